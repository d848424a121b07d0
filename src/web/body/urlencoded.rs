//! Parses `application/x-www-form-urlencoded` as browsers do (WHATWG URL), but refuses bytes that are not UTF-8 instead of
//! replacing them, so that no text is stored that nobody sent.

use std::string::FromUtf8Error;

use percent_encoding::percent_decode;

use crate::error::{AppError, FieldError};

/// The fields with their values, in the order sent.
///
/// # Errors
/// 400 that names the first field whose name or value is not UTF-8.
pub(crate) fn parse_pairs(text: &[u8]) -> Result<Vec<(String, String)>, AppError> {
    let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let pairs: Result<_, FieldError> = pairs.map(parse_pair).collect();
    pairs.map_err(|error| AppError::Invalid(vec![error]))
}

fn parse_pair(pair: &[u8]) -> Result<(String, String), FieldError> {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    let mut next_part = || decode(parts.next().unwrap_or_default());
    let name =
        next_part().map_err(|error| not_text(String::from_utf8_lossy(error.as_bytes()).into_owned()))?;
    match next_part() {
        Ok(value) => Ok((name, value)),
        Err(_not_utf8) => Err(not_text(name)),
    }
}

fn decode(part: &[u8]) -> Result<String, FromUtf8Error> {
    let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect())
}

/// The error for a field that is not UTF-8.
pub(super) fn not_text(field: String) -> FieldError {
    FieldError::new(field, "Send UTF-8 text.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_refused_and_named() {
        for (form, field) in [
            ("name=%FF%FE", "name"),
            ("a=1&name=a%C0%AFb", "name"),
            ("name=%ED%A0%80", "name"),
            ("name=%E2%82", "name"),
            ("%FF=1", "\u{fffd}"),
        ] {
            let Err(AppError::Invalid(errors)) = parse_pairs(form.as_bytes()) else {
                panic!("{form} is read")
            };
            assert_eq!((errors.len(), errors[0].field.as_ref()), (1, field), "{form}");
        }
        assert!(parse_pairs(b"name=\xff").is_err());
    }

    proptest! {
        #[test]
        fn text_is_read_as_browsers_do(text in prop_oneof!["[a%2A+=&é;]{0,24}", any::<String>()]) {
            let expected: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            if expected.iter().all(|(name, value)| !name.contains('\u{fffd}') && !value.contains('\u{fffd}')) {
                prop_assert_eq!(parse_pairs(text.as_bytes()).unwrap(), expected);
            }
        }
    }
}
