//! Numbers as people read them.

/// A number with its groups: `1,234,567`.
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

/// A round number in little room: `9,000`, `20k`, `1.5M`.
#[must_use]
pub fn short(number: i128) -> String {
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

/// Seconds as people say them: `1 h 02 min`, `3 min 20 s`, `45 s`, `–`.
#[must_use]
pub fn spoken(seconds: Option<i32>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds @ ..60) => format!("{seconds} s"),
        Some(seconds @ 60..3600) => format!("{} min {:02} s", seconds / 60, seconds % 60),
        Some(seconds) => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken() {
        let spoken: Vec<_> =
            [None, Some(0), Some(59), Some(200), Some(3725)].into_iter().map(spoken).collect();
        assert_eq!(spoken, ["–", "0 s", "59 s", "3 min 20 s", "1 h 02 min"]);
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
    fn round_numbers_are_short() {
        let short = [0, 950, 9000, 20_000, 500_000, 1_500_000, 2_000_000_000].map(short);
        assert_eq!(short, ["0", "950", "9,000", "20k", "500k", "1.5M", "2G"]);
    }
}
