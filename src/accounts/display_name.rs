//! The name of a user or of a company.

use std::str::FromStr;

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};

use crate::{
    db::sql::impl_text_column,
    text::{TextError, normalize_line},
};

/// A name of 1 to 120 characters.
#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq, Eq)]
#[diesel(sql_type = Text)]
pub struct DisplayName(String);

impl_text_column!(DisplayName);

impl DisplayName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        normalize_line(text, 120).map(Self)
    }
}
