//! A key as pages show it.

use chrono::{NaiveDate, TimeDelta};

use crate::{
    api_keys::{
        client_key::ClientKey,
        key::{ApiKey, KeyStatus},
        list_query::COMMAND_LINE,
        rights::Scope,
    },
    usage::{DailyRequests, KeyActivity},
    web::{
        format::{
            compact_number, grouped, plural, rounded_duration,
            time::{DisplayTime, RelativeTime},
        },
        page::sparkline::Sparkline,
    },
};

pub(crate) struct KeyView {
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) client_id: String,
    pub(crate) created: DisplayTime,
    /// Who created it: the name of a user, a public key, or the command line.
    pub(crate) creator: String,
    pub(crate) scopes: String,
    pub(crate) limit: String,
    pub(crate) networks: Vec<String>,
    pub(crate) status: KeyStatus,
    /// `expires in 12 days`.
    pub(crate) end: String,
    /// `None` if it does not expire.
    pub(crate) ends_at: Option<DisplayTime>,
    pub(crate) replaced_by: Option<String>,
    /// `None` if no use is known.
    pub(crate) used: Option<KeyUseSummary>,
    /// The whole key, only in the response that created it.
    pub(crate) whole_key: Option<String>,
}

pub(crate) struct KeyUseSummary {
    pub(crate) when: RelativeTime,
    pub(crate) address: String,
    /// Its `User-Agent`, if it sent one.
    pub(crate) program: Option<String>,
    /// `2 min ago · 32 requests`, the requests of the last 24 hours.
    pub(crate) short: String,
    /// `1,204 requests`, in the last 24 hours.
    pub(crate) requests: String,
    /// Whether it was used within the last 24 hours.
    pub(crate) is_recent: bool,
    /// Whether it was used within the last 7 days.
    pub(crate) is_of_this_week: bool,
}

impl KeyView {
    pub(crate) fn new(key: ApiKey, usage: Option<&KeyActivity>) -> Self {
        let status = key.status();
        Self {
            creator: creator_text(&key),
            scopes: Scope::join(&key.scopes, ", "),
            limit: limit_text(key.requests_per_minute.get()),
            networks: key.rights().networks.texts(),
            end: end_text(status, key.time_left()),
            ends_at: key.expires_at.map(DisplayTime::from),
            used: usage.map(|usage| KeyUseSummary::new(usage, &key)),
            created: key.created_at.into(),
            name: key.name.to_string(),
            public_key: key.public_key.to_string(),
            client_id: key.client_id.to_string(),
            status,
            replaced_by: key.replaced_by.map(|successor| successor.to_string()),
            whole_key: None,
        }
    }

    /// Adds the whole key if it is this one.
    pub(crate) fn with_whole_key(mut self, new_key: Option<&ClientKey>) -> Self {
        self.whole_key =
            new_key.filter(|key| key.public().as_str() == self.public_key).map(ClientKey::expose);
        self
    }

    /// A key can be replaced once.
    pub(crate) fn is_replaceable(&self) -> bool {
        self.replaced_by.is_none()
    }
}

impl KeyUseSummary {
    fn new(usage: &KeyActivity, key: &ApiKey) -> Self {
        let (last, requests) = (&usage.last, usage.requests_last_day);
        let when = RelativeTime::new(last.at, key.as_of);
        Self {
            short: short_use(&when, requests),
            is_of_this_week: key.as_of - last.at < TimeDelta::days(7),
            when,
            address: last.address.to_string(),
            program: last.user_agent.clone(),
            requests: format!("{} {}", grouped(requests), plural(requests, "request")),
            is_recent: requests > 0,
        }
    }
}

/// The requests are left out if there are none.
fn short_use(when: &RelativeTime, requests: i64) -> String {
    if requests == 0 {
        return when.short.clone();
    }
    format!("{} · {} {}", when.short, compact_number(requests.into()), plural(requests, "request"))
}

/// The requests of the last days.
pub(crate) fn draw_sparkline(days: &[DailyRequests]) -> Sparkline {
    let label = |day: NaiveDate| day.format("%-d %b").to_string();
    let points: Vec<_> = days.iter().map(|count| (label(count.day), count.requests)).collect();
    Sparkline::new("requests", &points)
}

fn creator_text(key: &ApiKey) -> String {
    match (&key.creator, &key.created_by_key) {
        (Some(name), _) => name.clone(),
        (None, Some(public_key)) => public_key.to_string(),
        (None, None) if key.created_by.is_some() => "a former user".to_owned(),
        (None, None) => COMMAND_LINE.to_owned(),
    }
}

fn limit_text(requests_per_minute: i32) -> String {
    match requests_per_minute {
        0 => "No limit".to_owned(),
        number => format!("{} {} per minute", grouped(number), plural(number, "request")),
    }
}

fn end_text(status: KeyStatus, left: Option<TimeDelta>) -> String {
    let Some(left) = left else { return "never expires".to_owned() };
    let duration = rounded_duration(left.abs());
    match status {
        KeyStatus::Active | KeyStatus::Expiring => format!("expires in {duration}"),
        KeyStatus::Replaced => format!("ends in {duration}"),
        KeyStatus::Expired => format!("ended {duration} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_use_is_one_line() {
        let then: chrono::DateTime<chrono::Utc> = "2026-11-03T10:45:06Z".parse().unwrap();
        let short = |minutes, requests| {
            short_use(&RelativeTime::new(then, then + TimeDelta::minutes(minutes)), requests)
        };
        assert_eq!(short(2, 32), "2 min ago · 32 requests");
        assert_eq!(short(0, 1), "just now · 1 request");
        assert_eq!(short(180, 1_250_000), "3 h ago · 1.2M requests");
        assert_eq!(short(60 * 24 * 12, 0), "12 days ago");
    }

    #[test]
    fn an_end_says_what_becomes_of_the_key() {
        let hours = |hours| Some(TimeDelta::hours(hours));
        assert_eq!(end_text(KeyStatus::Active, None), "never expires");
        assert_eq!(end_text(KeyStatus::Expiring, hours(72)), "expires in 3 days");
        assert_eq!(end_text(KeyStatus::Replaced, hours(23)), "ends in 23 hours");
        assert_eq!(end_text(KeyStatus::Expired, hours(-72)), "ended 3 days ago");
    }
}
