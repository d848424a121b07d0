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
}
