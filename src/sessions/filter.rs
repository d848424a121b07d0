//! Which sessions a list or an export selects.

use chrono::{DateTime, Utc};

use super::{
    erasure::shopper::ShopperIdentifier,
    fields::{Channel, SessionStatus},
};
use crate::web::{
    body::form::FieldReader,
    format::{
        time::midnight,
        time_parser::{parse_day, parse_instant},
    },
};

/// A filter on sessions; the empty one selects all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionFilter {
    /// Lower limit of `createdAt`, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Upper limit of `createdAt`, exclusive.
    pub to: Option<DateTime<Utc>>,
    pub status: Option<SessionStatus>,
    pub channel: Option<Channel>,
    /// Whole names, with their case; a session of any of them matches. Empty: every agent.
    pub agent_names: Vec<String>,
    /// Lower limit of `updatedAt`, inclusive; by our clock, not the sender's.
    pub updated_since: Option<DateTime<Utc>>,
    /// Words that the session contains, or its `sessionId`. Only pages search.
    pub search: Option<String>,
    /// Only pages filter by shopper.
    pub shopper: Option<ShopperIdentifier>,
}

impl SessionFilter {
    /// Whether no index has the matching sessions. They are then searched in pieces, so that the cost of each statement
    /// is bounded.
    pub(crate) fn needs_scan(&self) -> bool {
        self.search.is_some() || self.shopper.is_some()
    }

    /// Parses the fields of the filter by their API names.
    pub(crate) fn read<'a>(reader: &mut FieldReader<impl Fn(&str) -> Option<&'a str>>) -> Self {
        let agent_name = reader.read("agentName", |text| Ok::<_, String>(text.to_owned()));
        Self {
            from: reader.read("from", parse_time),
            to: reader.read("to", parse_time),
            status: reader.read("status", str::parse),
            channel: reader.read("channel", str::parse),
            agent_names: agent_name.into_iter().collect(),
            updated_since: reader.read("updatedSince", parse_time),
            search: None,
            shopper: None,
        }
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    parse_instant(text).or_else(|| parse_day(text).map(midnight)).ok_or_else(|| {
        let hint = "Write it like 2026-11-23 or 2026-11-23T10:45:06Z (RFC 3339).";
        // A + in an address arrives as a blank, so the offset +01:00 is lost.
        if text.contains(' ') { format!("{hint} In an address a + is written %2B.") } else { hint.to_owned() }
    })
}
