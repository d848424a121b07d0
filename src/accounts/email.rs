//! Email addresses of users.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};
use unicode_normalization::UnicodeNormalization as _;

use crate::{
    db::sql::impl_text_column,
    text::{is_deceptive, is_variation_selector},
};

/// An email address in the form that is stored and compared: trimmed, NFC, lower case, 3 to 254 bytes (RFC
/// 5321).
///
/// Only the syntax is checked, not whether mail can be delivered.
#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq, Eq, Hash)]
#[diesel(sql_type = Text)]
pub struct EmailAddress(String);

impl_text_column!(EmailAddress);

impl EmailAddress {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text: String = text.trim().nfc().collect::<String>().to_lowercase();
        let is_plain = !text.chars().any(|it| {
            it.is_whitespace() || is_deceptive(it) || is_variation_selector(it) || "<>,;()\"".contains(it)
        });
        let is_address = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !domain.starts_with('.')
        });
        if is_plain && is_address && text.len() <= 254 {
            Ok(Self(text))
        } else {
            Err("Enter an email address like name@example.org.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_make_another_address() {
        assert_eq!(" Ada@Example.ORG ".parse(), "ada@example.org".parse::<EmailAddress>());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "ada@x@y",
            "a@b\0",
            "<a@b>",
            "a@.b",
            "a\r\nb@c",
            "a\u{202e}b@c",
            "a\u{200b}b@c",
            "a@b\u{ad}c",
            "a@b\u{feff}",
            "a\u{34f}@b.c",
            "a@\u{3164}.org",
            "a\u{fe0f}@b.c",
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?}");
        }
        assert!(format!("{}@b", "a".repeat(260)).parse::<EmailAddress>().is_err());
    }
}
