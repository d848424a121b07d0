//! The sections of the page of one session. A new field of the table of fields is shown here.

use chrono::{DateTime, Utc};

use super::row::{DurationText, order_value};
use crate::{
    sessions::{
        erasure::shopper::ShopperIdentifier,
        fields::{Channel, SessionStatus},
        session::Session,
    },
    web::format::{capitalized, time::DisplayTime},
};

/// What the session was and with whom: `Missed audio call`, `Luca Moretti`.
pub(crate) struct SessionHeading {
    pub(crate) kind: String,
    /// Name or ID.
    pub(crate) shopper: Option<String>,
}

impl SessionHeading {
    pub(crate) fn new(session: &Session) -> Self {
        let status = match session.status {
            SessionStatus::Completed => "Completed",
            SessionStatus::Missed => "Missed",
            SessionStatus::Abandoned => "Abandoned",
            SessionStatus::Declined => "Declined",
            SessionStatus::Failed => "Failed",
        };
        let channel = match session.channel {
            Channel::Video => "video call",
            Channel::Audio => "audio call",
            Channel::Chat => "chat",
        };
        let shopper = session.shopper_name.as_ref().or(session.shopper_id.as_ref());
        Self { kind: format!("{status} {channel}"), shopper: shopper.cloned() }
    }
}

/// A heading and its rows.
pub(crate) struct DetailSection {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<DetailRow>,
}

pub(crate) struct DetailRow {
    pub(crate) name: &'static str,
    pub(crate) value: DetailValue,
    /// A link to all sessions with this value.
    pub(crate) sessions: Option<SessionsLink>,
}

pub(crate) struct SessionsLink {
    pub(crate) address: String,
    pub(crate) text: &'static str,
}

pub(crate) enum DetailValue {
    Text(String),
    Time(DisplayTime),
    /// A duration, in words and in seconds.
    Span(DurationText),
    /// Shown as a badge.
    Status(SessionStatus),
    /// An id, with a button that copies it.
    Code(String),
    /// A web address.
    Link(String),
}

/// The sections that have any rows.
pub(crate) fn sections(session: &Session) -> Vec<DetailSection> {
    [
        (if session.channel == Channel::Chat { "Chat" } else { "Call" }, call(session)),
        ("Shopper", shopper(session)),
        ("Order", order(session)),
        ("Feedback", feedback(session)),
        ("Details", record(session)),
    ]
    .into_iter()
    .map(|(title, rows)| DetailSection { title, rows: rows.into_iter().flatten().collect() })
    .filter(|section| !section.rows.is_empty())
    .collect()
}

fn fact(name: &'static str, value: DetailValue) -> DetailRow {
    DetailRow { name, value, sessions: None }
}

fn text(name: &'static str, text: Option<&String>) -> Option<DetailRow> {
    Some(fact(name, DetailValue::Text(text?.clone())))
}

fn time(name: &'static str, instant: Option<DateTime<Utc>>) -> Option<DetailRow> {
    let instant = instant?;
    // With seconds; the list shows minutes. The page says that times are UTC.
    let text = instant.format("%-d %b %Y, %H:%M:%S").to_string();
    Some(fact(name, DetailValue::Time(DisplayTime { text, ..instant.into() })))
}

fn code(name: &'static str, text: Option<&String>) -> Option<DetailRow> {
    Some(fact(name, DetailValue::Code(text?.clone())))
}

/// Only a web address becomes a link: senders may write anything, such as `javascript:`.
fn link(name: &'static str, address: Option<&String>) -> Option<DetailRow> {
    let address = address?.clone();
    let is_web = url::Url::parse(&address).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    Some(fact(name, if is_web { DetailValue::Link(address) } else { DetailValue::Text(address) }))
}

fn call(session: &Session) -> Vec<Option<DetailRow>> {
    vec![
        Some(fact("Status", DetailValue::Status(session.status))),
        Some(fact("Channel", DetailValue::Text(capitalized(&session.channel.to_string())))),
        text("Source", session.source.as_deref().map(source_label).as_ref()),
        text("Queue", session.queue_name.as_ref()),
        text("Agent", session.agent_name.as_ref())
            .map(|row| DetailRow { sessions: session.agent_name.as_deref().map(agent_sessions), ..row }),
        text("Agent email", session.agent_email.as_ref()),
        time("Created", Some(session.created_at)),
        time("Started", session.started_at),
        time("Ended", Some(session.ended_at)),
        session.wait_seconds.map(|seconds| fact("Wait", DetailValue::Span(Some(seconds).into()))),
        session.duration_seconds.map(|seconds| fact("Duration", DetailValue::Span(Some(seconds).into()))),
        session.wrap_up_seconds.map(|seconds| fact("Wrap-up", DetailValue::Span(Some(seconds).into()))),
        link("Page", session.page_url.as_ref()),
        link("Recording", session.recording_url.as_ref()),
    ]
}

fn shopper(session: &Session) -> Vec<Option<DetailRow>> {
    let mut rows = vec![
        text("Name", session.shopper_name.as_ref()),
        code("Shopper ID", session.shopper_id.as_ref()),
        text("Email", session.shopper_email.as_ref()),
        text("Phone", session.shopper_phone.as_ref()),
        text("Country code", session.shopper_country.as_ref()),
        time("Erased", session.erased_at),
    ];
    if let Some(first) = rows.iter_mut().flatten().next() {
        first.sessions = ShopperIdentifier::from_session(session).map(|_| shopper_sessions(session));
    }
    rows
}

/// The sources that the documentation names, in words. Senders may use others, which are shown as they are.
fn source_label(source: &str) -> String {
    match source {
        "qr" => "QR code".to_owned(),
        "widget" | "link" | "phone" => capitalized(source),
        other => other.to_owned(),
    }
}

fn agent_sessions(name: &str) -> SessionsLink {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("agentName", name);
    SessionsLink { address: format!("/sessions?{}", query.finish()), text: "All sessions with this agent" }
}

/// The address has the id of this session instead of the shopper’s, so that no history or log names a shopper.
fn shopper_sessions(session: &Session) -> SessionsLink {
    let address = format!("/sessions?shopper={}", session.session_id);
    SessionsLink { address, text: "All sessions with this shopper" }
}

fn order(session: &Session) -> Vec<Option<DetailRow>> {
    vec![
        code("Order ID", session.order_id.as_ref()),
        session.order_value_minor.and_then(|_| text("Value", order_value(session).as_ref())),
    ]
}

fn feedback(session: &Session) -> Vec<Option<DetailRow>> {
    vec![
        session.rating.map(|stars| fact("Rating", DetailValue::Text(format!("{stars} of 5 stars")))),
        text("Comment", session.rating_comment.as_ref()),
        text("Notes", session.notes.as_ref()),
    ]
}

fn record(session: &Session) -> Vec<Option<DetailRow>> {
    let tags = Some(session.tags.join(", ")).filter(|tags| !tags.is_empty());
    vec![
        Some(fact("Session ID", DetailValue::Code(session.session_id.to_string()))),
        code("External ID", session.external_id.as_ref()),
        Some(fact("Sequence", DetailValue::Text(session.sequence.to_string()))),
        text("Tags", tags.as_ref()),
        time("Recorded", Some(session.recorded_at)),
        time("Updated", Some(session.updated_at)),
    ]
}
