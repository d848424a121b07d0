//! A key about to be made.

use std::{fmt, str::FromStr};

use super::{
    client_key::{ClientKey, KeyHasher},
    lifetime::KeyLifetime,
    rights::KeyRights,
};
use crate::{
    error::AppError,
    ids::{ClientId, PublicKey},
    text::{LineError, line},
};

/// The longest nonce of a form, in bytes.
const NONCE_MAX: usize = 64;

/// A name of 1 to 64 characters, without control or direction characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// The longest name, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        line(text, Self::LENGTH_MAX).map(Self)
    }
}

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// What a person calls it: no other key has this name that is neither deleted nor replaced.
    pub name: KeyName,
    /// How long it lives.
    pub lifetime: KeyLifetime,
    /// What it may do, how often and from where.
    pub rights: KeyRights,
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
