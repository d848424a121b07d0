//! The shopper whose personal fields are to be erased.

use crate::{error::FieldError, sessions::session::Session};

/// Maximum length of an id or email in characters, as in a session.
const TEXT_MAX: usize = 10_000;

/// How a shopper is identified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShopperIdentifier {
    /// The sender's id of the shopper, matched exactly.
    Id(String),
    /// The email, ignoring case.
    Email(String),
}

impl ShopperIdentifier {
    /// Requires exactly one of the two. Empty text counts as absent.
    ///
    /// # Errors
    /// A message for the wrong field.
    pub fn parse(shopper_id: &str, email: &str) -> Result<Self, FieldError> {
        let (shopper_id, email) = (shopper_id.trim(), email.trim());
        let shopper = match (shopper_id.is_empty(), email.is_empty()) {
            (false, true) => Self::Id(shopper_id.to_owned()),
            (true, false) => Self::Email(email.to_owned()),
            (true, true) => return Err(FieldError::new("shopperId", "Enter the shopper’s ID or email.")),
            (false, false) => return Err(FieldError::new("email", "Enter the ID or the email, not both.")),
        };
        if shopper.text().chars().any(char::is_control) {
            return Err(FieldError::new(shopper.field(), "Remove the control characters."));
        }
        if shopper.text().chars().count() > TEXT_MAX {
            return Err(FieldError::new(shopper.field(), format!("Use at most {TEXT_MAX} characters.")));
        }
        Ok(shopper)
    }

    /// The shopper of a session: by the ID, or by the email if there is no ID. Returns `None` if there is neither.
    pub(crate) fn from_session(session: &Session) -> Option<Self> {
        let id = session.shopper_id.clone().map(Self::Id);
        id.or_else(|| session.shopper_email.clone().map(Self::Email))
    }

    /// The id or the email.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Email(text) => text,
        }
    }

    /// The name of its form field.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Id(_) => "shopperId",
            Self::Email(_) => "email",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_of_the_two() {
        assert_eq!(ShopperIdentifier::parse(" s-1 ", ""), Ok(ShopperIdentifier::Id("s-1".to_owned())));
        assert_eq!(
            ShopperIdentifier::parse("", "Nora@example.org"),
            Ok(ShopperIdentifier::Email("Nora@example.org".to_owned()))
        );
        for (id, email, field) in [("", " ", "shopperId"), ("a", "b", "email"), ("a\0", "", "shopperId")] {
            assert_eq!(ShopperIdentifier::parse(id, email).unwrap_err().field, field);
        }
    }
}
