//! A new row of the table `sessions`, as `COPY` takes it.
#![expect(clippy::ref_option_ref, reason = "what `Insertable` derives has them")]

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    ids::ClientId,
    schema::sessions,
    sessions::{
        fields::{Channel, SessionStatus},
        record::{IncomingSession, SessionRecord},
    },
};

/// Flat, and nothing left to defaults but the times that are ours: `COPY` knows neither parts nor gaps.
#[derive(Insertable)]
#[diesel(table_name = sessions, treat_none_as_default_value = false)]
pub(crate) struct NewSessionRow<'a> {
    client_id: &'a str,
    sequence: i64,
    session_id: Uuid,
    external_id: Option<&'a str>,
    status: SessionStatus,
    channel: Channel,
    source: Option<&'a str>,
    queue_name: Option<&'a str>,
    agent_name: Option<&'a str>,
    agent_email: Option<&'a str>,
    shopper_id: Option<&'a str>,
    shopper_name: Option<&'a str>,
    shopper_email: Option<&'a str>,
    shopper_phone: Option<&'a str>,
    shopper_country: Option<&'a str>,
    page_url: Option<&'a str>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: DateTime<Utc>,
    wait_seconds: Option<i32>,
    duration_seconds: Option<i32>,
    rating: Option<i16>,
    rating_comment: Option<&'a str>,
    notes: Option<&'a str>,
    order_id: Option<&'a str>,
    order_value_minor: Option<i64>,
    currency: Option<&'a str>,
    recording_url: Option<&'a str>,
    tags: &'a [String],
    sender_updated_at: Option<DateTime<Utc>>,
}

impl<'a> NewSessionRow<'a> {
    /// The row of what was given.
    pub(crate) fn of(
        client: &'a ClientId,
        sequence: i64,
        session_id: Uuid,
        given: &'a IncomingSession,
    ) -> Self {
        let IncomingSession { record, updated_at, .. } = given;
        let SessionRecord { created_at, started_at, ended_at, .. } = *record;
        let SessionRecord { wait_seconds, duration_seconds, rating, order_value_minor, .. } = *record;
        Self {
            client_id: client.as_str(),
            sequence,
            session_id,
            external_id: record.external_id.as_deref(),
            status: record.status,
            channel: record.channel,
            source: record.source.as_deref(),
            queue_name: record.queue_name.as_deref(),
            agent_name: record.agent_name.as_deref(),
            agent_email: record.agent_email.as_deref(),
            shopper_id: record.shopper_id.as_deref(),
            shopper_name: record.shopper_name.as_deref(),
            shopper_email: record.shopper_email.as_deref(),
            shopper_phone: record.shopper_phone.as_deref(),
            shopper_country: record.shopper_country.as_deref(),
            page_url: record.page_url.as_deref(),
            created_at,
            started_at,
            ended_at,
            wait_seconds,
            duration_seconds,
            rating,
            rating_comment: record.rating_comment.as_deref(),
            notes: record.notes.as_deref(),
            order_id: record.order_id.as_deref(),
            order_value_minor,
            currency: record.currency.as_deref(),
            recording_url: record.recording_url.as_deref(),
            tags: &record.tags,
            sender_updated_at: *updated_at,
        }
    }
}
