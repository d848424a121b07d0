//! A key about to be made.

use super::{
    client_key::{ClientKey, KeyHasher},
    key_name::KeyName,
    lifetime::Lifetime,
    rights::Rights,
};
use crate::{
    error::AppError,
    ids::{ClientId, PublicKey},
};

/// The longest nonce of a form, in bytes.
const NONCE_MAX: usize = 64;

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What a person calls it: no other key has this name that is neither deleted nor replaced.
    pub name: KeyName,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// What it may do, how often and from where.
    pub rights: Rights,
}

/// What is stored of a new key.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The part that may be shown.
    pub public_key: PublicKey,
    /// The keyed hash.
    pub secret_hash: Vec<u8>,
    /// The form it comes from; a second key of the same form is not made.
    pub form_nonce: Option<String>,
}

impl NewKey {
    /// A new key of the client, to be shown once, and what is stored of it. A nonce that no form of ours has is none.
    ///
    /// # Errors
    /// [`AppError::Broken`] when the operating system gives no random bytes.
    pub fn generate(
        hasher: &KeyHasher,
        client: &ClientId,
        form_nonce: Option<&str>,
    ) -> Result<(ClientKey, Self), AppError> {
        let key = ClientKey::generate().map_err(AppError::broken)?;
        let is_ours =
            |nonce: &&str| nonce.len() <= NONCE_MAX && nonce.bytes().all(|it| it.is_ascii_graphic());
        let new = Self {
            public_key: key.public().clone(),
            secret_hash: hasher.hash(&key, client),
            form_nonce: form_nonce.filter(is_ours).map(str::to_owned),
        };
        Ok((key, new))
    }
}
