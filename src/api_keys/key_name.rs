//! The name a person gives a key.

use std::{fmt, str::FromStr};

use crate::text::{LineError, line};

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
