//! Why keys were not created or changed.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{key::LIVE_KEYS_MAX, lifetime::LifetimeError};
use crate::{error::AppError, ids::PublicKey, web::format::time::DisplayTime};

#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    #[error("This form has already created a key.")]
    FormUsed,
    /// The name of a valid key.
    #[error("A key with this name already exists. Choose another name, or replace that key.")]
    NameTaken,
    /// The name of an expired key.
    #[error("An expired key has this name. Replace or delete it, or choose another name.")]
    NameOfExpired,
    /// The client has [`LIVE_KEYS_MAX`] keys.
    #[error("This client has {LIVE_KEYS_MAX} keys, which is the limit. Delete one first.")]
    Full,
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    /// The acting key does not have the right that it would give, in this field.
    #[error("A key cannot grant more than it has itself. Choose less, or use a key that has it.")]
    BeyondActor(&'static str),
    /// The acting key ends at this time, before the key that it would create.
    #[error("The calling key expires on {}, so it cannot create, replace or extend a key that expires later. Choose an earlier end, or use a key that lasts longer.", DisplayTime::from(*.0).text)]
    OutlivesActor(DateTime<Utc>),
    /// The key to be replaced has rights that the acting key lacks.
    #[error("This key has more rights than the calling key. Use one with at least the same rights.")]
    StrongerThanActor,
    /// The acting key is deleted or has expired.
    #[error("The calling key was deleted or has expired.")]
    ActorGone,
    /// The client has no such key.
    #[error("There is nothing at this address.")]
    NotFound,
    #[error("This key has already been deleted. Generate a new one.")]
    Gone,
    /// Replaced by the key with this public key.
    #[error("This key has already been replaced by {0}.")]
    Replaced(PublicKey),
    #[error(transparent)]
    Database(diesel::result::Error),
}

impl KeyChangeError {
    /// The wrong field and the sentence for it. Returns `None` if the error is not about a field.
    #[must_use]
    pub fn field(&self) -> Option<(&'static str, Cow<'static, str>)> {
        let field = match self {
            Self::NameTaken | Self::NameOfExpired | Self::Full => "name",
            Self::Lifetime(LifetimeError::Past | LifetimeError::Day) => "expiresOn",
            Self::Lifetime(_) => "expires",
            Self::BeyondActor(field) => field,
            _ => return None,
        };
        Some((field, self.to_string().into()))
    }
}

impl From<diesel::result::Error> for KeyChangeError {
    fn from(error: diesel::result::Error) -> Self {
        match error {
            diesel::result::Error::NotFound => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

impl From<KeyChangeError> for AppError {
    fn from(error: KeyChangeError) -> Self {
        if let Some((field, message)) = error.field() {
            return Self::invalid(field, message);
        }
        match error {
            KeyChangeError::Database(error) => error.into(),
            KeyChangeError::ActorGone => Self::UnknownKey,
            KeyChangeError::NotFound => Self::NotFound,
            other => Self::Conflict(other.to_string().into()),
        }
    }
}
