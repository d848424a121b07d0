//! Email addresses of users.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types::Text};
use unicode_normalization::UnicodeNormalization as _;

use crate::{
    db::sql::impl_text_column,
    text::{is_deceptive, is_variation_selector},
};

/// Maximum length, in bytes.
const LENGTH_MAX: usize = 254;

/// An email address in the form that is stored and compared: trimmed, NFC, lower case, with the domain in Unicode (UTS
/// 46), 3 to 254 bytes (RFC 5321).
///
/// Parsing checks the syntax loosely, so that accounts stay reachable whose address would not be accepted today. What
/// is stored anew comes from [`Self::parse_deliverable`].
#[derive(AsExpression, Clone, Debug, FromSqlRow, PartialEq, Eq, Hash)]
#[diesel(sql_type = Text)]
pub struct EmailAddress(String);

impl_text_column!(EmailAddress);

/// The text is not like an email address.
const MALFORMED: &str = "Enter an email address like name@example.org.";
/// The text is like one, but no mail server accepts it.
const UNDELIVERABLE: &str = "Mail cannot be sent to this address. Check its spelling.";

impl EmailAddress {
    /// Parses an address for an account, an invitation or an answer: mail programs must accept it. Whether its mailbox exists
    /// is not checked.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn parse_deliverable(text: &str) -> Result<Self, &'static str> {
        let email: Self = text.parse()?;
        let (local, _domain) = email.0.split_once('@').ok_or(MALFORMED)?;
        let ascii_domain = email.ascii_domain().ok_or(UNDELIVERABLE)?;
        match lettre::Address::new(local, ascii_domain) {
            Ok(_address) => Ok(email),
            Err(_refused) => Err(UNDELIVERABLE),
        }
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spellings under which the address may be stored: this one and, from before domains were normalised, the one
    /// with the domain in ASCII (`xn--…`).
    pub(crate) fn spellings(&self) -> Vec<String> {
        let mut spellings = vec![self.0.clone()];
        spellings.extend(self.ascii_spelling());
        spellings
    }

    /// The address with its domain in ASCII. Returns `None` if the domain is so already.
    pub(crate) fn ascii_spelling(&self) -> Option<String> {
        let (local, domain) = self.0.split_once('@')?;
        let ascii = self.ascii_domain().filter(|ascii| ascii != domain)?;
        Some(format!("{local}@{ascii}"))
    }

    /// Returns `None` if the domain is not valid by UTS 46.
    fn ascii_domain(&self) -> Option<String> {
        let (_local, domain) = self.0.split_once('@')?;
        idna::domain_to_ascii(domain).ok()
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
        let (local, domain) = text.split_once('@').ok_or(MALFORMED)?;
        if !is_plain(local) || !is_domain(domain) {
            return Err(MALFORMED);
        }
        let email = format!("{local}@{}", normalize_domain(domain));
        if email.len() <= LENGTH_MAX { Ok(Self(email)) } else { Err(MALFORMED) }
    }
}

/// The domain in Unicode, which is the spelling that people know. A domain that is not valid stays as it is.
fn normalize_domain(domain: &str) -> String {
    let (unicode, validity) = idna::domain_to_unicode(domain);
    if validity.is_ok() && is_domain(&unicode) { unicode } else { domain.to_owned() }
}

fn is_domain(text: &str) -> bool {
    is_plain(text) && !text.contains('@') && !text.starts_with('.')
}

fn is_plain(text: &str) -> bool {
    let is_refused = |it: char| {
        it.is_whitespace() || is_deceptive(it) || is_variation_selector(it) || "<>,;()\"".contains(it)
    };
    !text.is_empty() && !text.chars().any(is_refused)
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

    #[test]
    fn both_spellings_of_a_domain_are_one_address() {
        let email = |text: &str| text.parse::<EmailAddress>().unwrap();
        for text in [
            "ada@xn--bcher-kva.example",
            "ada@XN--BCHER-KVA.example",
            "Ada@Bücher.example",
            "ada@bu\u{308}cher.example",
            "ada@bücher\u{3002}example",
        ] {
            assert_eq!(email(text).as_str(), "ada@bücher.example", "{text}");
        }
        assert_eq!(email("ada@straße.example").as_str(), "ada@straße.example", "ß is a letter of its own");
        assert_eq!(
            email("ada@bücher.example").spellings(),
            ["ada@bücher.example", "ada@xn--bcher-kva.example"]
        );
        assert_eq!(email("ada@example.org").spellings(), ["ada@example.org"]);
    }

    #[test]
    fn what_no_mail_server_accepts_is_refused_for_new_addresses_only() {
        for text in [
            "a..b@example.org",
            ".a@example.org",
            "a@example..org",
            "a@example.org.",
            "a@-example.org",
            "a@xn--0.example",
        ] {
            assert_eq!(EmailAddress::parse_deliverable(text), Err(UNDELIVERABLE), "{text}");
            assert!(text.parse::<EmailAddress>().is_ok(), "{text}");
        }
        let long_name = format!("{}@example.org", "a".repeat(65));
        let long_label = format!("a@{}.example", "b".repeat(64));
        for text in [long_name, long_label] {
            assert_eq!(EmailAddress::parse_deliverable(&text), Err(UNDELIVERABLE), "{text}");
        }
        for text in [
            "ada+keys@example.org",
            "o'hara@example.org",
            "ada@bücher.example",
            "ädä@example.org",
            "ada@localhost",
        ] {
            assert_eq!(EmailAddress::parse_deliverable(text).unwrap().as_str(), text);
        }
        assert_eq!(EmailAddress::parse_deliverable("ada"), Err(MALFORMED));
    }
}
