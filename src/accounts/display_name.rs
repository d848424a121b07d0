//! The name of a user or of a company.

use std::str::FromStr;

use crate::text::{LineError, normalize_line};

/// A name of 1 to 120 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = LineError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        normalize_line(text, 120).map(Self)
    }
}
