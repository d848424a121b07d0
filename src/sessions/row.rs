//! A session as a line of the list, in words that people read.

use super::session::Session;
use crate::web::{clock::Moment, numbers::spoken};

/// One line of the list.
pub(super) struct Row {
    pub(super) session_id: String,
    pub(super) created: Moment,
    pub(super) status: String,
    pub(super) channel: String,
    pub(super) agent: String,
    pub(super) shopper: String,
    pub(super) queue: String,
    pub(super) wait: String,
    pub(super) duration: String,
    pub(super) sequence: i64,
}

impl From<&Session> for Row {
    fn from(session: &Session) -> Self {
        let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "–".to_owned());
        Self {
            session_id: session.session_id.to_string(),
            created: session.created_at.into(),
            status: session.status.clone(),
            channel: session.channel.clone(),
            agent: or_dash(session.agent_name.as_ref()),
            shopper: or_dash(session.shopper_name.as_ref().or(session.shopper_id.as_ref())),
            queue: or_dash(session.queue_name.as_ref()),
            wait: spoken(session.wait_seconds),
            duration: spoken(session.duration_seconds),
            sequence: session.sequence,
        }
    }
}
