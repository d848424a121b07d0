//! A recorded session, as the API, the CSV and the pages show it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

use super::fields::{Channel, SessionStatus};
use crate::{schema::sessions, web::time::rfc3339};

/// The columns of a CSV and the names in JSON, in their order.
pub const COLUMNS: [&str; 31] = [
    "sessionId",
    "sequence",
    "externalId",
    "status",
    "channel",
    "source",
    "queueName",
    "agentName",
    "agentEmail",
    "shopperId",
    "shopperName",
    "shopperEmail",
    "shopperPhone",
    "shopperCountry",
    "pageUrl",
    "createdAt",
    "startedAt",
    "endedAt",
    "waitSeconds",
    "durationSeconds",
    "rating",
    "ratingComment",
    "notes",
    "orderId",
    "orderValueMinor",
    "currency",
    "recordingUrl",
    "tags",
    "recordedAt",
    "updatedAt",
    "erasedAt",
];

/// One recorded session. Fields that may be unknown are `None`: `null` in JSON, empty in CSV.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    pub session_id: Uuid,
    pub sequence: i64,
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
    pub recorded_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub erased_at: Option<DateTime<Utc>>,
}

impl Session {
    /// The cells of this session, in the order of [`COLUMNS`], not yet made safe for spreadsheets.
    #[must_use]
    pub fn cells(&self) -> [String; 31] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let time = |value: Option<DateTime<Utc>>| value.map(rfc3339).unwrap_or_default();
        [
            self.session_id.to_string(),
            self.sequence.to_string(),
            text(&self.external_id),
            self.status.to_string(),
            self.channel.to_string(),
            text(&self.source),
            text(&self.queue_name),
            text(&self.agent_name),
            text(&self.agent_email),
            text(&self.shopper_id),
            text(&self.shopper_name),
            text(&self.shopper_email),
            text(&self.shopper_phone),
            text(&self.shopper_country),
            text(&self.page_url),
            rfc3339(self.created_at),
            time(self.started_at),
            rfc3339(self.ended_at),
            number(self.wait_seconds),
            number(self.duration_seconds),
            number(self.rating),
            text(&self.rating_comment),
            text(&self.notes),
            text(&self.order_id),
            number(self.order_value_minor),
            text(&self.currency),
            text(&self.recording_url),
            self.tags.join(";"),
            rfc3339(self.recorded_at),
            rfc3339(self.updated_at),
            time(self.erased_at),
        ]
    }
}

fn number(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
