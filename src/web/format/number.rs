//! Whole numbers as programs write them: a data frame turns 300 into 300.0.

use serde_json::Number;

/// Above this a float may stand for several whole numbers (2^53 - 1).
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Removes a fraction of zeros: `300.0` and `300.` are 300. Returns other text unchanged.
///
/// `10.000` stays as it is: where the point groups digits, it is ten thousand.
pub(crate) fn trim_zero_fraction(text: &str) -> &str {
    let Some((whole, fraction)) = text.split_once('.') else { return text };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_zero = fraction.bytes().all(|byte| byte == b'0');
    let is_grouped = fraction.len() == 3 && digits.len() <= 3 && !digits.starts_with('0');
    if is_whole && is_zero && !is_grouped { whole } else { text }
}

/// The digits of a whole number in JSON, where 300, 300.0 and 3e2 are the same.
///
/// Returns `None` for a fraction, and for a float too large to be exact.
pub(crate) fn whole_number_text(number: &Number) -> Option<String> {
    if !number.is_f64() {
        return Some(number.to_string());
    }
    let float = number.as_f64()?;
    (float.fract() == 0.0 && float.abs() <= EXACT_MAX).then(|| format!("{float:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_of_zeros_is_no_fraction() {
        for (text, expected) in [
            ("300", "300"),
            ("300.0", "300"),
            ("300.", "300"),
            ("-4990.00", "-4990"),
            ("1.000000", "1"),
            ("0.000", "0"),
            ("1234.000", "1234"),
        ] {
            assert_eq!(trim_zero_fraction(text), expected);
        }
        for text in [
            "", ".", ".0", "-.0", "-.", "1.5", "1.05", "10.000", "1.0.0", "1,0", "1e2", "+1.0", " 1.0", "x.0",
        ] {
            assert_eq!(trim_zero_fraction(text), text);
        }
    }

    #[test]
    fn a_json_number_is_whole_by_its_value() {
        let text = |json: &str| whole_number_text(&serde_json::from_str(json).unwrap());
        for (json, expected) in [
            ("300", "300"),
            ("300.0", "300"),
            ("3e2", "300"),
            ("-5.0", "-5"),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(text(json).as_deref(), Some(expected));
        }
        for json in ["1.5", "9007199254740993.0", "1e300", "99999999999999999999"] {
            assert_eq!(text(json), None, "{json}");
        }
    }
}
