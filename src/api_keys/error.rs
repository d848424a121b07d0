//! Why keys were not changed, by what the caller can do about it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::{key::LIVING_MAX, lifetime::LifetimeError};
use crate::{error::AppError, web::time::DisplayTime};

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyChangeError {
    /// The form has made its key already.
    #[error("This form has made its key already.")]
    FormUsed,
    /// A key of the client that is neither deleted nor replaced has this name.
    #[error("A key has this name already. Choose another, or replace that key.")]
    NameTaken,
    /// … but it has expired.
    #[error("A key that has expired has this name. Replace or delete it, or choose another name.")]
    NameOfExpired,
    /// The client has [`LIVING_MAX`] living keys.
    #[error("This client has {LIVING_MAX} keys, which is the limit. Delete one first.")]
    Full,
    /// The end that was asked for is over, or too far away.
    #[error(transparent)]
    Lifetime(#[from] LifetimeError),
    /// The key that acts does not have what it would give, in this field.
    #[error("A key gives no more than it has itself. Choose less, or use a key that has it.")]
    BeyondActor(&'static str),
    /// The key that acts ends then, and another would outlive it through what was asked.
    #[error("The key that acts ends on {}, and makes none that outlives it. Ask for less, or use a key that lives longer.", DisplayTime::from(*.0).text)]
    OutlivesActor(DateTime<Utc>),
    /// The key that acts does not have what the key has that is to be replaced.
    #[error("This key may do more than the one that acts. Use a key that may do as much.")]
    StrongerThanActor,
    /// The key that acts lives no more.
    #[error("The key that acts is deleted or has expired.")]
    ActorGone,
    /// The key is not the client's.
    #[error("There is nothing at this address.")]
    NotFound,
    /// The key is deleted.
    #[error("This key was deleted already. Generate a new one.")]
    Gone,
    /// The key was replaced, by the one with this public key.
    #[error("This key was replaced already, by {0}.")]
    Replaced(String),
    /// Something unexpected.
    #[error(transparent)]
    Database(diesel::result::Error),
}

impl KeyChangeError {
    /// The field that is wrong, if it is one, with a sentence that says what to do.
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
