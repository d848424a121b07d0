//! Times as text. Decisions such as expiry and order use PostgreSQL's clock.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

use super::plural;

/// An instant for people and for machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayTime {
    /// `23 Nov 2026, 10:45 UTC`.
    pub text: String,
    /// `23 Nov 2026`.
    pub day: String,
    /// RFC 3339, for `<time datetime>`: `2026-11-23T10:45:06Z`.
    pub iso: String,
}

impl From<DateTime<Utc>> for DisplayTime {
    fn from(instant: DateTime<Utc>) -> Self {
        let day = instant.format("%-d %b %Y").to_string();
        Self { text: format!("{day}, {}", instant.format("%H:%M UTC")), day, iso: rfc3339(instant) }
    }
}

/// A past instant, relative to now and exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativeTime {
    /// `3 minutes ago`.
    pub text: String,
    /// `3 min ago`, for tables.
    pub short: String,
    pub exact: DisplayTime,
}

impl RelativeTime {
    /// From 30 days on the text is a date.
    #[must_use]
    pub fn new(then: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let minutes = (now - then).num_minutes();
        let text = match minutes {
            // Clocks of machines differ a little, so `then` may be later than `now`.
            ..1 => "just now".to_owned(),
            1..60 => ago(minutes, "minute"),
            60..1440 => ago(minutes / 60, "hour"),
            1440..43_200 => ago(minutes / 1440, "day"),
            _ => then.format("on %-d %b %Y").to_string(),
        };
        let short = match minutes {
            1..60 => format!("{minutes} min ago"),
            60..1440 => format!("{} h ago", minutes / 60),
            _ => text.trim_start_matches("on ").to_owned(),
        };
        Self { text, short, exact: then.into() }
    }
}

fn ago(count: i64, unit: &str) -> String {
    format!("{count} {} ago", plural(count, unit))
}

/// The first instant of the day, in UTC.
#[must_use]
pub fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Whether the instant is the first of a day in UTC.
#[must_use]
pub fn is_midnight(instant: DateTime<Utc>) -> bool {
    instant.time() == NaiveTime::MIN
}

/// The time of this machine's clock.
#[must_use]
pub fn now() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    Utc::now()
}

/// RFC 3339 in UTC with 6 decimals, for programs: of two times, the later one is also the greater text.
#[must_use]
pub fn rfc3339_micros(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// RFC 3339 in UTC with 0, 3 or 6 decimals, as needed.
#[must_use]
pub fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_a_text_and_an_iso_form() {
        let time = DisplayTime::from("2026-11-03T10:45:06Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(time.text, "3 Nov 2026, 10:45 UTC");
        assert_eq!(time.iso, "2026-11-03T10:45:06Z");
    }

    #[test]
    fn the_past_is_relative_up_to_a_month() {
        let then: DateTime<Utc> = "2026-11-03T10:45:06Z".parse().unwrap();
        let texts = [-5, 0, 59, 60, 3599, 3600, 86_399, 86_400, 2_591_999, 2_592_000]
            .map(|seconds| RelativeTime::new(then, then + chrono::TimeDelta::seconds(seconds)).text);
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
        assert_eq!(texts, expected);
        let short = [0, 120, 7200, 172_800, 2_592_000]
            .map(|seconds| RelativeTime::new(then, then + chrono::TimeDelta::seconds(seconds)).short);
        assert_eq!(short, ["just now", "2 min ago", "2 h ago", "2 days ago", "3 Nov 2026"]);
    }
}
