//! Writes the times of exported rows in RFC 3339.

/// Days from 1 March of the year 0 to 1 January 2000.
const DAYS_TO_2000: i64 = 730_425;
/// Days from 1 March of the year 0 to the first day of the year 1 and the last of the year 9999.
const DAYS_WRITTEN: std::ops::RangeInclusive<i64> = 306..=3_652_364;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Writes instants as PostgreSQL sends them (microseconds since 2000-01-01T00:00:00Z) in the format of
/// [`crate::web::format::time::rfc3339_micros`].
///
/// An exported page has hundreds of them, and formatting them with chrono would cost as much as the rest of the page.
/// Most are of the same day as the previous one, so its date is reused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rfc3339Writer {
    day: Option<i64>,
    text: [u8; 27],
}

impl Default for Rfc3339Writer {
    fn default() -> Self {
        Self { day: None, text: *b"0000-00-00T00:00:00.000000Z" }
    }
}

impl Rfc3339Writer {
    /// Appends the instant. Returns `None` and appends nothing outside the years 1 to 9999.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, micros: i64) -> Option<()> {
        let day = micros.div_euclid(MICROS_PER_DAY);
        if self.day != Some(day) {
            self.write_date(day)?;
        }
        let micros = u64::try_from(micros.rem_euclid(MICROS_PER_DAY)).ok()?;
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        self.write_two_digits(11, seconds / 3600);
        self.write_two_digits(14, seconds / 60 % 60);
        self.write_two_digits(17, seconds % 60);
        self.write_two_digits(20, fraction / 10_000);
        self.write_two_digits(22, fraction / 100 % 100);
        self.write_two_digits(24, fraction % 100);
        out.extend_from_slice(&self.text);
        Some(())
    }

    fn write_date(&mut self, day: i64) -> Option<()> {
        let days = day + DAYS_TO_2000;
        if !DAYS_WRITTEN.contains(&days) {
            return None;
        }
        let (year, month, day_of_month) = date_from_days(u64::try_from(days).ok()?);
        self.write_two_digits(0, year / 100);
        self.write_two_digits(2, year % 100);
        self.write_two_digits(5, month);
        self.write_two_digits(8, day_of_month);
        self.day = Some(day);
        Some(())
    }

    /// `number` must be below 100.
    fn write_two_digits(&mut self, index: usize, number: u64) {
        let digit = |number: u64| b'0' + u8::try_from(number).unwrap_or_default();
        self.text[index] = digit(number / 10);
        self.text[index + 1] = digit(number % 10);
    }
}

/// The year, month and day of a number of days since 1 March of the year 0.
///
/// Years begin in March here, so that a leap day is the last day of its year; 400 years have 146,097 days.
fn date_from_days(days: u64) -> (u64, u64, u64) {
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::web::format::time::rfc3339_micros;

    fn by_chrono(micros: i64) -> String {
        rfc3339_micros(DateTime::from_timestamp_micros(micros + 946_684_800_000_000).unwrap())
    }

    fn write(micros: i64) -> Option<String> {
        write_with(&mut Rfc3339Writer::default(), micros)
    }

    fn write_with(writer: &mut Rfc3339Writer, micros: i64) -> Option<String> {
        let mut text = Vec::new();
        writer.push(&mut text, micros)?;
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn instants_of_postgresql_are_written_as_chrono_does() {
        let of = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp_micros() - 946_684_800_000_000;
        for text in [
            "0001-01-01T00:00:00Z",
            "1900-02-28T23:59:59.999999Z",
            "1970-01-01T00:00:00.5Z",
            "1999-12-31T23:59:59.000001Z",
            "2000-01-01T00:00:00Z",
            "2000-02-29T12:00:00Z",
            "2024-02-29T00:00:00.120Z",
            "2100-02-28T00:00:00Z",
            "2100-03-01T00:00:00Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(write(of(text)), Some(by_chrono(of(text))), "{text}");
        }
        for beyond in
            [i64::MIN, i64::MAX, of("0001-01-01T00:00:00Z") - 1, of("9999-12-31T23:59:59.999999Z") + 1]
        {
            assert_eq!(write(beyond), None);
        }
    }

    proptest! {
        #[test]
        fn any_instant_is_written_as_chrono_does(
            days in -730_119_i64..2_921_940,
            micros in prop_oneof![0..MICROS_PER_DAY, (0_i64..86_400_000).prop_map(|it| it * 1000), (0_i64..86_400).prop_map(|it| it * 1_000_000)],
        ) {
            let instant = days * MICROS_PER_DAY + micros;
            prop_assert_eq!(write(instant), Some(by_chrono(instant)));
        }
    }

    proptest! {
        #[test]
        fn earlier_instants_make_no_difference(
            instants in proptest::collection::vec((-1_i64..2, prop_oneof![Just(0), 0..MICROS_PER_DAY, (0_i64..86_400_000).prop_map(|it| it * 1000)]), 1..9),
        ) {
            let mut writer = Rfc3339Writer::default();
            for (day, micros) in instants {
                let instant = day * MICROS_PER_DAY + micros;
                prop_assert_eq!(write_with(&mut writer, instant), Some(by_chrono(instant)));
                prop_assert_eq!(write_with(&mut writer, i64::MAX), None);
            }
        }
    }
}
