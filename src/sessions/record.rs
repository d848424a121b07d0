//! A session as a sender describes it: parsed from text, field by field, with a sentence for each that is wrong.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::fields::{Channel, SessionStatus};
use crate::{error::FieldError, schema::sessions};

/// The longest text of a field without a limit of its own, in characters.
const TEXT_MAX: usize = 10_000;
/// The longest address, in characters.
const URL_MAX: usize = 2048;

/// What a sender gave: a record, and when the sender last changed it.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingSession {
    /// The record.
    pub record: SessionRecord,
    /// The sender's `updatedAt`; `None`: it did not say, so the record is the newest there is.
    pub updated_at: Option<DateTime<Utc>>,
    /// Our id of the session, as an export gave it: what it is known by where the sender has no id.
    pub session_id: Option<Uuid>,
    /// When we recorded it, as an export says. By it a session that comes back from an export is recognised, and that
    /// `updated_at` is our time and not the sender's.
    pub recorded_at: Option<DateTime<Utc>>,
}

/// The fields that a sender gives. What is ours (`sessionId`, `sequence`, `recordedAt` …) is not among them.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg), treat_none_as_null = true)]
pub struct SessionRecord {
    pub external_id: Option<String>,
    pub status: SessionStatus,
    pub channel: Channel,
    pub source: Option<String>,
    pub queue_name: Option<String>,
    pub agent_name: Option<String>,
    pub agent_email: Option<String>,
    pub shopper_id: Option<String>,
    pub shopper_name: Option<String>,
    pub shopper_email: Option<String>,
    pub shopper_phone: Option<String>,
    pub shopper_country: Option<String>,
    pub page_url: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
    pub wait_seconds: Option<i32>,
    pub duration_seconds: Option<i32>,
    pub rating: Option<i16>,
    pub rating_comment: Option<String>,
    pub notes: Option<String>,
    pub order_id: Option<String>,
    pub order_value_minor: Option<i64>,
    pub currency: Option<String>,
    pub recording_url: Option<String>,
    pub tags: Vec<String>,
}

impl SessionRecord {
    /// The record without what is known of the shopper.
    #[must_use]
    pub fn without_shopper(self) -> Self {
        Self {
            shopper_id: None,
            shopper_name: None,
            shopper_email: None,
            shopper_phone: None,
            shopper_country: None,
            rating_comment: None,
            notes: None,
            recording_url: None,
            ..self
        }
    }

    /// Parses the fields that `field` gives by name; the empty text is absent. `now` bounds the times: what was
    /// recorded has happened.
    ///
    /// # Errors
    /// Every field that is wrong, with what to do about it.
    pub fn parse<'a>(
        now: DateTime<Utc>,
        field: impl Fn(&str) -> &'a str,
    ) -> Result<IncomingSession, Vec<FieldError>> {
        let mut reader = RecordReader { field, now, errors: Vec::new() };
        let record = reader.record();
        let updated_at = reader.time("updatedAt");
        let session_id = reader.session_id();
        let recorded_at = reader.recorded_at();
        match record {
            Some(record) if reader.errors.is_empty() => {
                Ok(IncomingSession { record, updated_at, session_id, recorded_at })
            }
            _ => Err(reader.errors),
        }
    }
}

/// Reads fields and collects what is wrong with them.
struct RecordReader<F> {
    field: F,
    now: DateTime<Utc>,
    errors: Vec<FieldError>,
}

impl<'a, F: Fn(&str) -> &'a str> RecordReader<F> {
    /// `None` only after an error was noted.
    fn record(&mut self) -> Option<SessionRecord> {
        let status = self.one_of("status");
        let channel = self.one_of("channel");
        let created_at = self.required_time("createdAt");
        let ended_at = self.required_time("endedAt");
        let started_at = self.time("startedAt");
        let tags = self.tags();
        let record = SessionRecord {
            external_id: self.text("externalId", 255),
            source: self.text("source", 64),
            queue_name: self.text("queueName", TEXT_MAX),
            agent_name: self.text("agentName", TEXT_MAX),
            agent_email: self.text("agentEmail", TEXT_MAX),
            shopper_id: self.text("shopperId", TEXT_MAX),
            shopper_name: self.text("shopperName", TEXT_MAX),
            shopper_email: self.text("shopperEmail", TEXT_MAX),
            shopper_phone: self.form("shopperPhone", is_e164, "Write it like +4930123456 (E.164)."),
            shopper_country: self.form(
                "shopperCountry",
                |it| is_upper(it, 2),
                "Write it like DE (ISO 3166-1).",
            ),
            page_url: self.text("pageUrl", URL_MAX),
            wait_seconds: self.number("waitSeconds", 0..=i32::MAX),
            duration_seconds: self.number("durationSeconds", 0..=i32::MAX),
            rating: self.number("rating", 1..=5),
            rating_comment: self.text("ratingComment", TEXT_MAX),
            notes: self.text("notes", TEXT_MAX),
            order_id: self.text("orderId", TEXT_MAX),
            order_value_minor: self.number("orderValueMinor", i64::MIN..=i64::MAX),
            currency: self.form("currency", |it| is_upper(it, 3), "Write it like EUR (ISO 4217)."),
            recording_url: self.text("recordingUrl", URL_MAX),
            status: status?,
            channel: channel?,
            created_at: created_at?,
            started_at,
            ended_at: ended_at?,
            tags,
        };
        self.check_times(&record);
        Some(record)
    }

    fn refuse(&mut self, name: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) {
        self.errors.push(FieldError::new(name, message));
    }

    fn text(&mut self, name: &'static str, max: usize) -> Option<String> {
        let text = (self.field)(name);
        if text.is_empty() {
            return None;
        }
        if text.chars().count() > max {
            self.refuse(name, format!("Use at most {max} characters."));
        } else if text.chars().any(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
            self.refuse(name, "Remove the control characters.");
        }
        Some(text.to_owned())
    }

    fn one_of<T: FromStr<Err = String>>(&mut self, name: &'static str) -> Option<T> {
        (self.field)(name).parse().map_err(|message: String| self.refuse(name, message)).ok()
    }

    fn form(
        &mut self,
        name: &'static str,
        is_valid: fn(&str) -> bool,
        message: &'static str,
    ) -> Option<String> {
        let text = (self.field)(name);
        if !text.is_empty() && !is_valid(text) {
            self.refuse(name, message);
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let text = (self.field)(name);
        if text.is_empty() {
            return None;
        }
        match text.parse() {
            Ok(number) if range.contains(&number) && !text.starts_with('+') => Some(number),
            _ => {
                self.refuse(name, format!("Use a whole number from {} to {}.", range.start(), range.end()));
                None
            }
        }
    }

    fn required_time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        if (self.field)(name).is_empty() {
            self.refuse(name, "Give the time, like 2026-11-23T10:45:06Z.");
        }
        self.time(name)
    }

    fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = (self.field)(name);
        if text.is_empty() {
            return None;
        }
        // PostgreSQL keeps microseconds; a finer time would never compare equal to what was stored.
        let time = DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|time| time.to_utc().with_nanosecond(time.nanosecond() / 1000 * 1000));
        match time {
            Some(time) if time > self.now + TimeDelta::days(1) => {
                self.refuse(name, "This time is in the future. Send what has happened.");
            }
            Some(time) if time < DateTime::UNIX_EPOCH => self.refuse(name, "This time is before 1970."),
            Some(time) => return Some(time),
            None => self.refuse(name, "Write the time like 2026-11-23T10:45:06Z (RFC 3339)."),
        }
        None
    }

    fn session_id(&mut self) -> Option<Uuid> {
        let text = (self.field)("sessionId");
        let id = Uuid::parse_str(text).ok().filter(|id| id.get_version_num() == 7);
        if id.is_none() && !text.is_empty() {
            self.refuse("sessionId", "Leave it out, or send the one that an export gave.");
        }
        id
    }

    /// Ours: what else may stand there is ignored.
    fn recorded_at(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339((self.field)("recordedAt")).ok().map(|time| time.to_utc())
    }

    fn tags(&mut self) -> Vec<String> {
        let text = self.text("tags", TEXT_MAX).unwrap_or_default();
        text.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
    }

    fn check_times(&mut self, record: &SessionRecord) {
        if record.ended_at < record.created_at {
            self.refuse("endedAt", "The end is before createdAt.");
        }
        match record.started_at {
            Some(started_at) if started_at < record.created_at => {
                self.refuse("startedAt", "The start is before createdAt.");
            }
            Some(started_at) if started_at > record.ended_at => {
                self.refuse("startedAt", "The start is after endedAt.");
            }
            None if record.duration_seconds.is_some() => {
                self.refuse("durationSeconds", "A session without startedAt has no duration.");
            }
            _ => {}
        }
    }
}

/// `+` and 2 to 15 digits, the first not 0.
fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|it| it.is_ascii_digit())
    })
}

fn is_upper(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("status", "completed"),
        ("channel", "video"),
        ("createdAt", "2026-11-23T10:00:00Z"),
        ("startedAt", "2026-11-23T11:00:10+01:00"),
        ("endedAt", "2026-11-23T10:05:00.123456789Z"),
    ];

    fn parse(changes: &[(&str, &str)]) -> Result<SessionRecord, Vec<String>> {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let all: Vec<_> = changes.iter().chain(&GOOD).copied().collect();
        SessionRecord::parse(now, |name| {
            all.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
        })
        .map(|given| given.record)
        .map_err(|errors| errors.iter().map(|error| error.field.to_string()).collect())
    }

    #[test]
    fn times_are_utc_to_the_microsecond() {
        let record = parse(&[]).unwrap();
        assert_eq!(record.started_at.unwrap().to_rfc3339(), "2026-11-23T10:00:10+00:00");
        assert_eq!(record.ended_at.timestamp_subsec_nanos(), 123_456_000);
    }

    #[test]
    fn tags_are_a_list() {
        assert_eq!(parse(&[("tags", "vip; repeat;;")]).unwrap().tags, ["vip", "repeat"]);
        assert!(parse(&[]).unwrap().tags.is_empty());
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (field, value) in [
            ("status", "done"),
            ("status", ""),
            ("channel", "fax"),
            ("createdAt", ""),
            ("createdAt", "yesterday"),
            ("endedAt", "9999-01-01T00:00:00Z"),
            ("endedAt", "2026-11-23T09:00:00Z"),
            ("startedAt", "2026-11-23T09:00:00Z"),
            ("startedAt", "1969-01-01T00:00:00Z"),
            ("externalId", &"x".repeat(256)),
            ("externalId", "a\0b"),
            ("source", &"x".repeat(65)),
            ("waitSeconds", "-1"),
            ("waitSeconds", "+1"),
            ("waitSeconds", "1.5"),
            ("durationSeconds", "99999999999"),
            ("rating", "0"),
            ("rating", "6"),
            ("shopperPhone", "030 123"),
            ("shopperCountry", "de"),
            ("currency", "EURO"),
            ("pageUrl", &"x".repeat(2049)),
        ] {
            let errors = parse(&[(field, value)]).unwrap_err();
            assert!(errors.iter().any(|wrong| wrong == field), "{field}={value:.20}: {errors:?}");
        }
    }

    #[test]
    fn all_errors_come_at_once() {
        assert_eq!(parse(&[("status", "x"), ("rating", "9"), ("currency", "x")]).unwrap_err().len(), 3);
    }

    #[test]
    fn what_never_connected_has_no_duration() {
        let errors = parse(&[("startedAt", ""), ("durationSeconds", "5")]).unwrap_err();
        assert_eq!(errors, ["durationSeconds"]);
    }
}
