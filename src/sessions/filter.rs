//! Which sessions a list or an export selects.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::record::{CHANNELS, STATUSES};
use crate::web::form::FieldReader;

/// Which sessions are meant. Times are of `createdAt` but for the last; an empty filter lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionFilter {
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
    /// One of [`STATUSES`].
    pub status: Option<String>,
    /// One of [`CHANNELS`].
    pub channel: Option<String>,
    /// The agent's name, exactly.
    pub agent_name: Option<String>,
    /// Changed at this time or later, by our clock.
    pub updated_since: Option<DateTime<Utc>>,
}

impl SessionFilter {
    /// Reads the fields of the filter, whose names are those of the API.
    pub(crate) fn read<'a>(reader: &mut FieldReader<impl Fn(&str) -> Option<&'a str>>) -> Self {
        Self {
            from: reader.read("from", parse_time),
            to: reader.read("to", parse_time),
            status: reader.read("status", |text| one_of(text, &STATUSES)),
            channel: reader.read("channel", |text| one_of(text, &CHANNELS)),
            agent_name: reader.read("agentName", |text| Ok::<_, String>(text.to_owned())),
            updated_since: reader.read("updatedSince", parse_time),
        }
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .ok()
        .or_else(|| day().map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .ok_or_else(|| {
            let hint = "Write it like 2026-11-23 or 2026-11-23T10:45:06Z (RFC 3339).";
            // Where a + stood in an address, a blank comes.
            if text.contains(' ') {
                format!("{hint} In an address a + is written %2B.")
            } else {
                hint.to_owned()
            }
        })
}

fn one_of(text: &str, allowed: &[&str]) -> Result<String, String> {
    if allowed.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("Use one of {}.", allowed.join(", ")))
    }
}
