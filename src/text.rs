//! Normalization of text that users enter and others read: Unicode NFC, without characters that could deceive a reader.

use unicode_normalization::UnicodeNormalization as _;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Empty or only white space. All lines are names.
    #[error("Enter a name.")]
    Empty,
    /// More than this maximum number of characters.
    #[error("Use at most {0} characters.")]
    TooLong(usize),
    /// Contains control characters, bidirectional formatting or invisible characters.
    #[error("Remove the control, direction or invisible characters.")]
    Deceptive,
}

/// Returns `text` trimmed and in NFC, as one line of 1 to `max` characters (Unicode scalar values).
///
/// # Errors
/// [`TextError`]; its message is an instruction to the user.
pub(crate) fn normalize_line(text: &str, max: usize) -> Result<String, TextError> {
    let text: String = text.trim().nfc().filter(|it| !is_variation_selector(*it)).collect();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().any(is_deceptive) {
        return Err(TextError::Deceptive);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    Ok(text)
}

/// Returns the first `max` characters of untrusted text in NFC, without those that [`normalize_line`] refuses. For text
/// that must be stored but cannot be sent back, such as a user agent.
pub(crate) fn sanitize(text: &str, max: usize) -> String {
    let kept: String = text.nfc().filter(|character| !is_deceptive(*character)).take(max).collect();
    kept.trim().to_owned()
}

/// Control characters (Cc), line and paragraph separators, bidirectional formatting, and invisible characters (Unicode's
/// `Default_Ignorable_Code_Point`, and the blank Braille pattern). They can make one name look like another.
///
/// Not the variation selectors U+FE00–FE0F and U+E0100–E01EF, which emoji and Japanese names contain after a visible
/// character; [`normalize_line`] removes them.
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
}

/// Chooses another form of the character before it, which looks the same in most fonts.
pub(crate) fn is_variation_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_has_one_spelling() {
        assert_eq!(normalize_line("  cafe\u{301} ", 10).unwrap(), "café");
        assert_eq!(normalize_line("\u{2003}\t", 10), Err(TextError::Empty));
        assert_eq!(normalize_line("\u{fe0f}\u{e0100}", 10), Err(TextError::Empty));
        assert_eq!(normalize_line("\u{260e}\u{fe0f} x", 10).unwrap(), "\u{260e} x");
        assert_eq!(normalize_line(&"é".repeat(64), 64).unwrap().chars().count(), 64);
        assert_eq!(normalize_line(&"é".repeat(65), 64), Err(TextError::TooLong(64)));
    }

    #[test]
    fn untrusted_text_is_sanitized() {
        assert_eq!(sanitize(" curl/8.5\0\u{202e}\n (x) ", 200), "curl/8.5 (x)");
        assert_eq!(sanitize(&"é".repeat(300), 200).chars().count(), 200);
        assert_eq!(sanitize("\u{200b}\t", 200), "");
    }

    #[test]
    fn deceptive_characters_are_refused() {
        for character in
            "\0\u{7f}\u{85}\n\u{200b}\u{202e}\u{2066}\u{feff}\u{200f}\u{34f}\u{115f}\u{2800}\u{3164}\u{ffa0}\u{1d173}".chars()
        {
            assert_eq!(
                normalize_line(&format!("a{character}b"), 10),
                Err(TextError::Deceptive),
                "{character:?}"
            );
        }
    }
}
