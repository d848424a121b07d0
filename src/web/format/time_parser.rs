//! Parses times and days as people and programs write them. All inputs use these functions, so all accept the same
//! spellings and refuse years that PostgreSQL cannot hold.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// Length of `2026-11-23T10:45` in bytes. A sign within it separates the parts of the date.
const MINUTES_LENGTH: usize = 16;
/// Length of `20261123T104506` in bytes, at which its fraction begins.
const BASIC_LENGTH: usize = 15;

/// Parses a time with a year of four digits: RFC 3339, and other spellings that have only one meaning.
///
/// They are the offsets `+0000` and `+00` (as PostgreSQL writes it) and the name `UTC` or `GMT`, each also after a space;
/// times without seconds; fractions after a comma and the form without separators (ISO 8601); and the name of the zone
/// after its offset, as Go and Java write it. A time without an offset is refused, because its zone is unknown.
///
/// Second 60 is the first second of the next minute, as it is for PostgreSQL.
pub(crate) fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let instant = DateTime::parse_from_rfc3339(text).ok();
    let instant = instant.or_else(|| DateTime::parse_from_rfc3339(&to_rfc3339(text)?).ok());
    without_leap_second(instant?.to_utc())
}

/// chrono keeps a leap second as the second before, with more than a second of fraction. PostgreSQL has none.
fn without_leap_second(instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let nanoseconds = instant.timestamp_subsec_nanos();
    let second = DateTime::from_timestamp(instant.timestamp(), 0)?;
    second.checked_add_signed(TimeDelta::nanoseconds(nanoseconds.into()))
}

/// Parses a day: `2026-11-23`. The year has four digits; month and day may have one.
pub(crate) fn parse_day(text: &str) -> Option<NaiveDate> {
    let is_unsigned =
        text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text.find('-') == Some(4);
    if is_unsigned { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

/// Respells a time in RFC 3339. What is not a time stays invalid.
fn to_rfc3339(text: &str) -> Option<String> {
    let text = text.replace('\u{2212}', "-");
    let (local, offset) = split_offset(without_zone_name(&text))?;
    let local = with_separators(local.trim_end()).replacen(',', ".", 1);
    let seconds = if local.len() == MINUTES_LENGTH { ":00" } else { "" };
    Some(format!("{local}{seconds}{offset}"))
}

/// Removes what only repeats the offset: `[Europe/Berlin]` (Java) and ` CEST` after `+0200` (Go).
fn without_zone_name(text: &str) -> &str {
    let text = match text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
        Some((time, _zone)) => time,
        None => text,
    };
    match text.rsplit_once(' ') {
        Some((time, name)) if is_zone_name(name) && ends_with_offset(time) => time,
        _ => text,
    }
}

/// An abbreviation. `UTC` and `GMT` are not among them: after another offset they contradict it.
fn is_zone_name(name: &str) -> bool {
    (2..=5).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_uppercase())
        && !["UTC", "GMT"].contains(&name)
}

fn ends_with_offset(time: &str) -> bool {
    time.rsplit_once(['+', '-']).is_some_and(|(local, digits)| {
        local.len() >= MINUTES_LENGTH && digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Writes `20261123T104506` as `2026-11-23T10:45:06`. Returns other text unchanged.
fn with_separators(local: &str) -> Cow<'_, str> {
    let bytes = local.as_bytes();
    let is_basic = bytes.len() >= BASIC_LENGTH
        && bytes[..BASIC_LENGTH].iter().enumerate().all(|(at, byte)| match at {
            8 => matches!(byte, b'T' | b't'),
            _ => byte.is_ascii_digit(),
        });
    if !is_basic {
        return local.into();
    }
    let part = |from: usize, to: usize| &local[from..to];
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    let (hour, minute, rest) = (part(9, 11), part(11, 13), &local[13..]);
    format!("{year}-{month}-{day}T{hour}:{minute}:{rest}").into()
}

/// Divides a time into its local part and the offset in RFC 3339.
fn split_offset(text: &str) -> Option<(&str, String)> {
    if let Some(local) = strip_utc(text) {
        return Some((local, "Z".to_owned()));
    }
    let (local, offset) = text.split_at(text.rfind(['+', '-']).filter(|index| *index >= MINUTES_LENGTH)?);
    let (sign, digits) = offset.split_at(1);
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    Some((local, format!("{sign}{hours}:{minutes}")))
}

/// Removes `Z`, `UTC` or `GMT` from the end. Go writes the name after the offset: `+0000 UTC`.
fn strip_utc(text: &str) -> Option<&str> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some(local);
    }
    let (local, name) = text.split_at_checked(text.len().checked_sub(3)?)?;
    if !["UTC", "GMT"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    let local = local.trim_end();
    Some(local.strip_suffix("+0000").unwrap_or(local))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_may_be_spelled_as_programs_do() {
        for text in [
            "2026-03-02T09:00:00Z",
            "2026-03-02t09:00:00z",
            "2026-03-02 09:00:00Z",
            "2026-03-02 09:00:00 Z",
            "2026-03-02T09:00Z",
            "2026-03-02T10:00+01:00",
            "2026-03-02 04:00-05",
            "2026-03-02T09:00:00+0000",
            "2026-03-02T14:30:00+0530",
            "2026-03-02 09:00:00 +0000",
            "2026-03-02 09:00:00+00",
            "2026-03-02 10:00:00+01",
            "2026-03-02 09:00:00 UTC",
            "2026-03-02 09:00:00UTC",
            "2026-03-02T09:00 utc",
            "2026-03-02 09:00:00.000 GMT",
            "2026-03-02 09:00:00 +0000 UTC",
            "2026-03-02T09:00:00,000+0000",
            "2026-03-02T09:00:00.000000000000+00",
            "2026-03-02 10:00:00 +0100 CET",
            "2026-03-02T10:00:00+01:00[Europe/Berlin]",
            "2026-03-02T09:00:00Z[UTC]",
            "20260302T090000Z",
            "20260302T090000.000+0000",
            "2026-03-02T04:00:00\u{2212}05",
            "2026-03-02T08:59:60Z",
        ] {
            let expected = "2026-03-02T09:00:00Z".parse().ok();
            assert_eq!(parse_instant(text), expected, "{text}");
        }
        let fraction = parse_instant("2026-03-02 09:00:00.250000+00").unwrap();
        assert_eq!(fraction.timestamp_subsec_millis(), 250);
        assert_eq!(parse_instant("2016-12-31T23:59:60.5Z"), parse_instant("2017-01-01T00:00:00.5Z"));
    }

    #[test]
    fn what_has_several_meanings_or_none_is_no_time() {
        for text in [
            "",
            "Z",
            "UTC",
            "+00",
            "now",
            "2026-03-02",
            "2026-03-02Z",
            "2026-03-02T09:00",
            "2026-03-02T09:00:00",
            "2026-03-02 09:00:00 00:00",
            "2026-03-02 09:00:00 CET",
            "2026-03-02T09:00:00 +0100 UTC",
            "2026-03-02T09:00:00[Europe/Berlin]",
            "20260302T0900Z",
            "20260302 09:00:00Z",
            "2026-03-02T09:00:00+1",
            "2026-03-02T09:00:00+100",
            "2026-03-02T09:00:00+01:0",
            "2026-03-02T09:00:00+0é",
            "2026-03-02T09:00:00+2400",
            "2026-03-02T24:00:00+00",
            "2026-02-30 09:00 UTC",
            "03/02/2026 09:00:00 AM",
            "1772442000",
            "1772442000000",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_year_has_four_digits_and_no_sign() {
        for text in ["2026-11-23", "2026-1-5", "0000-01-01", "9999-12-31"] {
            assert!(parse_day(text).is_some(), "{text}");
        }
        for text in [
            "",
            "-9999-1-01",
            "-9999-01-01",
            "+2026-1-01",
            "+12345-1-1",
            "12345-1-01",
            "99999-01-01",
            "262142-12-31",
            "26-11-23",
            " 2026-11-23",
            "2026-11- 3",
            "2026-+1-01",
            "2026-13-01",
            "2026-02-30",
            "2026-11-023",
            "2026-11-23 BC",
            "٢٠٢٦-11-23",
        ] {
            assert_eq!(parse_day(text), None, "{text}");
        }
        for text in [
            "-9999-01-01T00:00:00Z",
            "+12345-01-01T00:00:00Z",
            "-0001-01-01T00:00Z",
            "10000-01-01 00:00+00",
            "294277-01-01T00:00:00 UTC",
        ] {
            assert_eq!(parse_instant(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in prop_oneof!["[0-9TZ:+., UTCé-]{0,32}", any::<String>()]) {
            let _read = (parse_instant(&text), parse_day(&text));
        }
    }
}
