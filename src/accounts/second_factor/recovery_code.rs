//! Recovery codes: each replaces the authenticator app once.

use secrecy::{ExposeSecret as _, SecretString};

use crate::random;

/// Characters of a code without its hyphens: 120 bits, so that a fast hash protects it.
const LENGTH: usize = 24;
/// Characters between two hyphens.
const GROUP: usize = 4;
/// Number of codes that a user gets at a time.
pub(super) const CODES: usize = 10;

/// 24 digits and lower-case letters.
pub(super) struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// A new code.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(super) fn generate() -> Self {
        Self(random::base32(LENGTH).into())
    }

    /// A full set of new codes.
    pub(super) fn generate_set() -> Vec<Self> {
        std::iter::repeat_with(Self::generate).take(CODES).collect()
    }

    /// Reads what a user typed: case, spaces and hyphens do not matter, and letters that look like digits are read as
    /// such. Returns `None` if it is no code.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let kept = text.chars().filter(|it| !it.is_whitespace() && *it != '-');
        let code: String = kept.map(|it| read_character(it.to_ascii_lowercase())).collect();
        let is_code = code.len() == LENGTH && code.bytes().all(|it| it.is_ascii_alphanumeric() && it != b'u');
        is_code.then(|| Self(code.into()))
    }

    /// The code without hyphens, to be hashed.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The code as it is shown: `7k3m-…`.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for (index, character) in self.expose().chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(character);
        }
        text
    }
}

fn read_character(character: char) -> char {
    match character {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = RecoveryCode(String::from("0123456789abcdefghjkmnpq").into());
        assert_eq!(code.to_text(), "0123-4567-89ab-cdef-ghjk-mnpq");
        for typed in [
            code.to_text(),
            code.to_text().to_uppercase(),
            code.to_text().replace('-', " "),
            code.expose().to_owned(),
            " oI23-4567-89ab-cdef-ghjk-mnpq\n".to_owned(),
        ] {
            assert_eq!(RecoveryCode::parse(&typed).unwrap().expose(), code.expose(), "{typed}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        for typed in ["", "123456", "0123-4567-89ab-cdef-ghjk-mnp", "0123-4567-89ab-cdef-ghjk-mnpu", "é"] {
            assert!(RecoveryCode::parse(typed).is_none(), "{typed}");
        }
    }

    #[test]
    fn new_codes_are_ten_different_ones() {
        let codes = RecoveryCode::generate_set();
        let texts: std::collections::BTreeSet<_> = codes.iter().map(RecoveryCode::to_text).collect();

        assert_eq!(texts.len(), 10);
        assert!(
            texts.iter().all(|text| text.len() == 29 && RecoveryCode::parse(text).is_some()),
            "{texts:?}"
        );
    }
}
