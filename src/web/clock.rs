//! The time, for what is shown. What is decided (expiry, order) is decided by PostgreSQL's clock.

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant as a person reads it and as a machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// `23 Nov 2026, 10:45 UTC`.
    pub text: String,
    /// RFC 3339, for `<time datetime>`: `2026-11-23T10:45:06Z`.
    pub iso: String,
}

impl From<DateTime<Utc>> for Moment {
    fn from(instant: DateTime<Utc>) -> Self {
        Self { text: instant.format("%-d %b %Y, %H:%M UTC").to_string(), iso: rfc3339(instant) }
    }
}

/// An instant that is over, as people say it, and exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// `3 minutes ago`.
    pub text: String,
    /// When it was.
    pub exact: Moment,
}

impl Past {
    /// `then`, as it is said at `now`.
    #[must_use]
    pub fn of(then: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let minutes = (now - then).num_minutes();
        let text = match minutes {
            // Clocks of several machines differ a little: what is to come has just been.
            ..1 => "just now".to_owned(),
            1..60 => ago(minutes, "minute"),
            60..1440 => ago(minutes / 60, "hour"),
            1440..43_200 => ago(minutes / 1440, "day"),
            _ => then.format("on %-d %b %Y").to_string(),
        };
        Self { text, exact: then.into() }
    }
}

fn ago(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit} ago") } else { format!("{count} {unit}s ago") }
}

/// The time now, by this machine's clock.
#[must_use]
pub fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    Utc::now()
}

/// The days from 1 March of the year 0 to 1 January 2000 …
const DAYS_TO_2000: i64 = 730_425;
/// … and to the first day of the year 1 and the last of the year 9999.
const DAYS_WRITTEN: std::ops::RangeInclusive<i64> = 306..=3_652_364;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Appends what [`rfc3339`] says of an instant that PostgreSQL sends: microseconds since 2000-01-01T00:00:00Z. `None`
/// outside the years 1 to 9999, where it appends nothing.
///
/// A page has hundreds of them; formatting each with chrono costs as much as all else that is written.
pub fn push_rfc3339(out: &mut Vec<u8>, micros: i64) -> Option<()> {
    let days = micros.div_euclid(MICROS_PER_DAY) + DAYS_TO_2000;
    if !DAYS_WRITTEN.contains(&days) {
        return None;
    }
    let (year, month, day) = date_of(u32::try_from(days).ok()?);
    let micros = micros.rem_euclid(MICROS_PER_DAY);
    let seconds = u32::try_from(micros / 1_000_000).ok()?;
    let fraction = u32::try_from(micros % 1_000_000).ok()?;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [year / 100, year % 100, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60];
    for (place, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
        put(&mut text, place, part);
    }
    for (place, part) in
        [20, 22, 24].into_iter().zip([fraction / 10_000, fraction / 100 % 100, fraction % 100])
    {
        put(&mut text, place, part);
    }
    // As many digits as are needed: none, 3 or 6.
    let length = match fraction {
        0 => 19,
        _ if fraction % 1000 == 0 => 23,
        _ => 26,
    };
    text[length] = b'Z';
    out.extend_from_slice(&text[..=length]);
    Some(())
}

/// The year, month and day, so many days after 1 March of the year 0. Years begin in March here, so that a leap day is
/// the last of its year; 400 of them have 146 097 days.
fn date_of(days: u32) -> (u32, u32, u32) {
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}

/// Writes the two digits of a number below 100.
fn put(text: &mut [u8; 27], place: usize, number: u32) {
    let digit = |number: u32| b'0' + u8::try_from(number).unwrap_or_default();
    text[place] = digit(number / 10);
    text[place + 1] = digit(number % 10);
}

/// RFC 3339 in UTC, with as many digits after the second as are needed (none, 3 or 6).
#[must_use]
pub fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What chrono makes of PostgreSQL's microseconds.
    fn by_chrono(micros: i64) -> String {
        rfc3339(DateTime::from_timestamp_micros(micros + 946_684_800_000_000).unwrap())
    }

    fn by_us(micros: i64) -> Option<String> {
        let mut text = Vec::new();
        push_rfc3339(&mut text, micros)?;
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
            assert_eq!(by_us(of(text)), Some(by_chrono(of(text))), "{text}");
        }
        for beyond in
            [i64::MIN, i64::MAX, of("0001-01-01T00:00:00Z") - 1, of("9999-12-31T23:59:59.999999Z") + 1]
        {
            assert_eq!(by_us(beyond), None);
        }
    }

    proptest! {
        #[test]
        fn any_instant_is_written_as_chrono_does(
            days in -730_119_i64..2_921_940,
            micros in prop_oneof![0..MICROS_PER_DAY, (0_i64..86_400_000).prop_map(|it| it * 1000), (0_i64..86_400).prop_map(|it| it * 1_000_000)],
        ) {
            let instant = days * MICROS_PER_DAY + micros;
            prop_assert_eq!(by_us(instant), Some(by_chrono(instant)));
        }
    }

    #[test]
    fn a_moment_reads_in_both_ways() {
        let moment = Moment::from("2026-11-03T10:45:06Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(moment.text, "3 Nov 2026, 10:45 UTC");
        assert_eq!(moment.iso, "2026-11-03T10:45:06Z");
    }

    #[test]
    fn the_past_is_said_as_people_say_it() {
        let then: DateTime<Utc> = "2026-11-03T10:45:06Z".parse().unwrap();
        let said = [-5, 0, 59, 60, 3599, 3600, 86_399, 86_400, 2_591_999, 2_592_000]
            .map(|seconds| Past::of(then, then + chrono::TimeDelta::seconds(seconds)).text);
        let expected = [
            "just now",
            "just now",
            "just now",
            "1 minute ago",
            "59 minutes ago",
            "1 hour ago",
            "23 hours ago",
            "1 day ago",
            "29 days ago",
            "on 3 Nov 2026",
        ];
        assert_eq!(said, expected);
    }
}
