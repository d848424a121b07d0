//! What is needed to create a key.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};

use super::{
    client_key::{ClientKey, KeyHasher},
    lifetime::KeyLifetime,
    rights::KeyRights,
};
use crate::{
    db::sql::impl_text_column,
    ids::{ClientId, PublicKey},
    text::{TextError, normalize_line},
};

/// Maximum length of the nonce of a form, in bytes.
const NONCE_MAX: usize = 64;

/// A name of 1 to 64 characters, without control or direction characters.
#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq, Eq, serde::Serialize)]
#[diesel(sql_type = Text)]
pub struct KeyName(String);

impl_text_column!(KeyName);

impl KeyName {
    /// In characters.
    pub const LENGTH_MAX: usize = 64;

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
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        normalize_line(text, Self::LENGTH_MAX).map(Self)
    }
}

/// The key that a user or program wants.
#[derive(Clone, Debug)]
pub struct KeySpec {
    /// Unique among the keys of the client that are neither deleted nor replaced.
    pub name: KeyName,
    pub lifetime: KeyLifetime,
    pub rights: KeyRights,
}

/// The generated part of a new row.
#[derive(Clone, Debug)]
pub struct HashedKey {
    pub public_key: PublicKey,
    pub secret_hash: Vec<u8>,
    /// Identifies the form, so that a form that is sent twice creates one key.
    pub form_nonce: Option<String>,
}

impl HashedKey {
    /// Generates a key: the whole of it, to be shown once, and what is stored. Ignores a malformed nonce.
    #[must_use]
    pub fn generate(hasher: &KeyHasher, client: &ClientId, form_nonce: Option<&str>) -> (ClientKey, Self) {
        let key = ClientKey::generate();
        let is_well_formed =
            |nonce: &&str| nonce.len() <= NONCE_MAX && nonce.bytes().all(|it| it.is_ascii_graphic());
        let new = Self {
            public_key: key.public().clone(),
            secret_hash: hasher.hash(&key, client),
            form_nonce: form_nonce.filter(is_well_formed).map(str::to_owned),
        };
        (key, new)
    }
}
