//! A session as a row of the list.

use chrono::{DateTime, Datelike as _, Utc};

use crate::{
    sessions::{
        fields::{Channel, SessionStatus},
        session::Session,
    },
    web::format::{exact_duration, money, time::DisplayTime},
};

pub(crate) struct SessionListRow {
    pub(crate) session_id: String,
    pub(crate) created: DisplayTime,
    pub(crate) status: SessionStatus,
    pub(crate) channel: Channel,
    pub(crate) agent: Option<String>,
    pub(crate) shopper: Option<String>,
    pub(crate) queue: Option<String>,
    pub(crate) wait: DurationText,
    pub(crate) duration: DurationText,
    pub(crate) rating: Option<i16>,
    pub(crate) order: Option<String>,
    pub(crate) sequence: i64,
}

/// A duration in rounded units, and in seconds.
pub(crate) struct DurationText {
    pub(crate) text: String,
    /// `3725 seconds`.
    pub(crate) exact: Option<String>,
}

impl From<Option<i32>> for DurationText {
    fn from(seconds: Option<i32>) -> Self {
        Self { text: exact_duration(seconds), exact: seconds.map(|seconds| format!("{seconds} seconds")) }
    }
}

impl SessionListRow {
    /// `now` decides which sessions are of today and yesterday.
    pub(crate) fn new(session: &Session, now: DateTime<Utc>) -> Self {
        let erased = session.erased_at.map(|_| "erased".to_owned());
        let shopper = session.shopper_name.as_ref().or(session.shopper_id.as_ref());
        Self {
            session_id: session.session_id.to_string(),
            created: relative_day(session.created_at, now),
            status: session.status,
            channel: session.channel,
            agent: session.agent_name.clone(),
            shopper: erased.or_else(|| shopper.cloned()),
            queue: session.queue_name.clone(),
            wait: session.wait_seconds.into(),
            duration: session.duration_seconds.into(),
            rating: session.rating,
            order: order_value(session),
            sequence: session.sequence,
        }
    }
}

/// The value of the order, or its id if the value is unknown.
pub(crate) fn order_value(session: &Session) -> Option<String> {
    let currency = session.currency.as_deref().unwrap_or_default();
    let value = session.order_value_minor.map(|minor| money(minor, currency));
    value.or_else(|| session.order_id.clone())
}

/// `Today, 10:45`, `Yesterday, 10:45`, `3 Nov, 10:45` or, of another year, `3 Nov 2025, 10:45`. UTC.
fn relative_day(instant: DateTime<Utc>, now: DateTime<Utc>) -> DisplayTime {
    let format = match (now.date_naive() - instant.date_naive()).num_days() {
        0 => "Today, %H:%M",
        1 => "Yesterday, %H:%M",
        _ if instant.year() == now.year() => "%-d %b, %H:%M",
        _ => "%-d %b %Y, %H:%M",
    };
    DisplayTime { text: instant.format(format).to_string(), ..DisplayTime::from(instant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_name_the_day_relative_to_today() {
        let now = "2026-11-25T00:30:00Z".parse().unwrap();
        let texts =
            ["2026-11-25T00:10:00Z", "2026-11-24T23:50:00Z", "2026-11-03T10:45:06Z", "2025-11-03T10:45:06Z"]
                .map(|time| relative_day(time.parse().unwrap(), now).text);
        assert_eq!(texts, ["Today, 00:10", "Yesterday, 23:50", "3 Nov, 10:45", "3 Nov 2025, 10:45"]);
    }
}
