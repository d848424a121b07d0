//! Values as text: numbers, durations, money and bytes here; times, CSV and the parsers of both below.

pub mod csv;
pub(crate) mod number;
pub mod time;
pub(crate) mod time_parser;

use chrono::TimeDelta;

/// A number with thousands separators: `1,234,567`.
#[must_use]
pub fn grouped(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The noun in the form that the number needs: `call` for 1, else `calls`.
#[must_use]
pub fn plural(count: impl Into<i128>, noun: &str) -> String {
    if count.into() == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The text with a capital first letter.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Two lower-case hexadecimal digits for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// A number from 10,000 on with a unit and at most one decimal, rounded down: `9,000`, `20k`, `1.5M`.
#[must_use]
pub fn compact_number(number: i128) -> String {
    const STEPS: [(i128, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")];
    let Some((step, unit)) = STEPS.into_iter().find(|(step, _)| number >= *step) else {
        return grouped(number);
    };
    let step = if unit == "k" { 1000 } else { step };
    let tenths = number / (step / 10);
    match tenths % 10 {
        0 => format!("{}{unit}", grouped(tenths / 10)),
        tenth => format!("{}.{tenth}{unit}", grouped(tenths / 10)),
    }
}

/// A size in binary units: `812 bytes`, `17.0 MiB`.
#[must_use]
pub fn byte_size(count: i64) -> String {
    let tenths = |unit: i64| {
        let tenths = count.saturating_mul(10) / unit;
        format!("{}.{}", grouped(tenths / 10), tenths % 10)
    };
    match count {
        ..1024 => format!("{count} bytes"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(1_048_576)),
    }
}

/// A duration in its two largest units: `1 h 02 min`, `3 min 20 s`, `45 s`; `–` if it is unknown.
#[must_use]
pub fn exact_duration(seconds: Option<i32>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds @ ..60) => format!("{seconds} s"),
        Some(seconds @ 60..3600) => format!("{} min {:02} s", seconds / 60, seconds % 60),
        Some(seconds) => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration, rounded to minutes, hours or days: `90 minutes`, `2 hours`, `14 days`.
#[must_use]
pub fn rounded_duration(duration: TimeDelta) -> String {
    let minutes = (duration.num_seconds() + 30) / 60;
    let (count, unit) = match minutes {
        ..=0 => return "less than a minute".to_owned(),
        1..=90 => (minutes, "minute"),
        91..=2880 => ((minutes + 30) / 60, "hour"),
        _ => ((minutes + 720) / 1440, "day"),
    };
    format!("{count} {}", plural(count, unit))
}

/// Numbers of decimals other than 2, with their currencies (ISO 4217).
const DECIMALS: [(usize, &[&str]); 3] = [
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV",
            "XAF", "XOF", "XPF",
        ],
    ),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

/// An amount in minor units with its currency: `1,234.50 EUR`, `500 JPY`.
#[must_use]
pub fn money(minor: i64, currency: &str) -> String {
    let currency_decimals = DECIMALS.iter().find(|(_, currencies)| currencies.contains(&currency));
    let decimals = currency_decimals.map_or(2, |(decimals, _)| *decimals);
    let unit = 10_u64.pow(u32::try_from(decimals).unwrap_or(2));
    let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    let sign = if minor < 0 { "-" } else { "" };
    let fraction = if decimals == 0 { String::new() } else { format!(".{rest:0decimals$}") };
    format!("{sign}{}{fraction} {currency}", grouped(whole)).trim_end().to_owned()
}

/// `part` of `all` in whole per cent, rounded to the nearest. Returns `None` if `all` is 0.
#[must_use]
pub fn percent(part: i64, all: i64) -> Option<i64> {
    let hundredths = i128::from(part) * 100 + i128::from(all) / 2;
    (all > 0).then(|| i64::try_from(hundredths / i128::from(all)).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        let texts: Vec<_> =
            [None, Some(0), Some(59), Some(200), Some(3725)].into_iter().map(exact_duration).collect();
        assert_eq!(texts, ["–", "0 s", "59 s", "3 min 20 s", "1 h 02 min"]);
    }

    #[test]
    fn rounded_durations_have_one_unit() {
        let said = [0, 29, 30, 89, 3600, 5430, 82_800, 86_399, 172_800, 172_830, 1_209_600, 7_775_999]
            .map(|seconds| rounded_duration(TimeDelta::seconds(seconds)));
        let expected = [
            "less than a minute",
            "less than a minute",
            "1 minute",
            "1 minute",
            "60 minutes",
            "2 hours",
            "23 hours",
            "24 hours",
            "48 hours",
            "2 days",
            "14 days",
            "90 days",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567, -1234].map(grouped),
            ["0", "999", "1,000", "1,234,567", "-1,234"]
        );
        assert_eq!(grouped(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        let texts = [(123_450, "EUR"), (5, "EUR"), (500, "JPY"), (1234, "KWD"), (-250, "GBP"), (100, "")]
            .map(|(minor, currency)| money(minor, currency));
        assert_eq!(texts, ["1,234.50 EUR", "0.05 EUR", "500 JPY", "1.234 KWD", "-2.50 GBP", "1.00"]);
    }

    #[test]
    fn nouns_follow_their_number_and_bytes_are_two_digits_each() {
        assert_eq!([0, 1, 2].map(|count| plural(count, "call")), ["calls", "call", "calls"]);
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }

    #[test]
    fn shares_are_rounded() {
        assert_eq!(
            [percent(2, 3), percent(1, 200), percent(0, 5), percent(0, 0)],
            [Some(67), Some(1), Some(0), None]
        );
    }

    #[test]
    fn large_numbers_are_compact() {
        let texts = [0, 950, 9000, 20_000, 500_000, 1_500_000, 2_000_000_000].map(compact_number);
        assert_eq!(texts, ["0", "950", "9,000", "20k", "500k", "1.5M", "2G"]);
    }

    #[test]
    fn sizes_have_the_largest_unit_below_them() {
        let texts = [0, 1023, 1024, 1_048_575, 1_048_576, 17_817_885].map(byte_size);
        assert_eq!(texts, ["0 bytes", "1023 bytes", "1.0 KiB", "1,023.9 KiB", "1.0 MiB", "16.9 MiB"]);
    }
}
