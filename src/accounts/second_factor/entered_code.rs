//! The field `Code`, which takes a code of the app or a recovery code.

use super::recovery_code::RecoveryCode;

/// Digits of a code of the app.
const APP_CODE_LENGTH: usize = 6;

/// What a user entered, well-formed but not verified.
pub(super) enum EnteredCode {
    /// Six digits.
    OfApp(String),
    Recovery(RecoveryCode),
}

impl EnteredCode {
    /// Apps show a space between the digits, which does not matter. Returns `None` if it is no code.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|it| !it.is_whitespace()).collect();
        if digits.len() == APP_CODE_LENGTH && digits.bytes().all(|it| it.is_ascii_digit()) {
            return Some(Self::OfApp(digits));
        }
        RecoveryCode::parse(text).map(Self::Recovery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_code_are_told_apart() {
        assert!(
            matches!(EnteredCode::parse(" 005 924 "), Some(EnteredCode::OfApp(code)) if code == "005924")
        );
        assert!(matches!(
            EnteredCode::parse("0123-4567-89ab-cdef-ghjk-mnpq"),
            Some(EnteredCode::Recovery(_))
        ));
        for text in ["", "12345", "1234567", "12345a", "not a code"] {
            assert!(EnteredCode::parse(text).is_none(), "{text}");
        }
    }
}
