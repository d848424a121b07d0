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

/// RFC 3339 in UTC, with as many digits after the second as are needed (none, 3 or 6).
#[must_use]
pub fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

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
