//! Public identifiers of clients and API keys, which every room uses.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};

use crate::{db::sql::impl_text_column, random};

/// A Client ID: `cl_` and 10 characters of `0-9a-z`.
#[derive(
    AsExpression,
    Clone,
    Debug,
    FromSqlRow,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[diesel(sql_type = Text)]
pub struct ClientId(String);

impl_text_column!(ClientId);

impl ClientId {
    /// Generates an ID with 51 random bits. The database refuses a duplicate.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("cl_{}", random::base36(10)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ClientId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = text.strip_prefix("cl_").is_some_and(|rest| {
            rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        });
        if is_valid { Ok(Self(text.to_owned())) } else { Err("a Client ID looks like cl_4f9k2m7qxw") }
    }
}

/// The part of a key that is not secret: `uptok_` and 12 characters of `0-9A-Za-z`.
#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[diesel(sql_type = Text)]
pub struct PublicKey(String);

impl_text_column!(PublicKey);

impl PublicKey {
    /// Length of a public key in bytes, including the prefix.
    pub(crate) const LENGTH: usize = Self::PREFIX.len() + Self::RANDOM_LENGTH;
    const PREFIX: &str = "uptok_";
    const RANDOM_LENGTH: usize = 12;

    /// Generates a public key with 71 random bits. The database refuses a duplicate.
    pub(crate) fn generate() -> Self {
        Self(format!("{}{}", Self::PREFIX, random::alphanumeric(Self::RANDOM_LENGTH)))
    }

    /// The public key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for PublicKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let random = text.strip_prefix(Self::PREFIX).ok_or(MalformedKey)?;
        if random.len() == Self::RANDOM_LENGTH && is_base62(random) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedKey)
        }
    }
}

/// The text is not a key, for instance because of a typo. Detected without a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key looks like uptok_ and 12 characters, then _ and 38 more")]
pub struct MalformedKey;

pub(crate) fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_id_parses_and_others_do_not() {
        let id = ClientId::generate();
        assert_eq!(id.as_str().parse(), Ok(id));
        for text in ["", "cl_", "cl_4F9k2m7qxw", "cl_4f9k2m7qxwx", "xx_4f9k2m7qxw"] {
            assert!(text.parse::<ClientId>().is_err(), "{text}");
        }
    }
}
