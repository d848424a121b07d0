//! The sections of the page of one session. A new field of the table of fields is shown here.

use chrono::{DateTime, Utc};

use super::row::{DurationText, order_value};
use crate::{
    sessions::{fields::SessionStatus, session::Session},
    web::time::{DisplayTime, rfc3339},
};

/// A heading and its rows.
pub(crate) struct DetailSection {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<DetailRow>,
}

pub(crate) struct DetailRow {
    pub(crate) name: &'static str,
    pub(crate) value: DetailValue,
}

pub(crate) enum DetailValue {
    Text(String),
    Time(DisplayTime),
    /// A duration, in words and in seconds.
    Span(DurationText),
    /// Shown as a badge.
    Status(SessionStatus),
    /// An id or the like, for copying.
    Code(String),
    /// A web address.
    Link(String),
}

/// The sections that have any rows.
pub(crate) fn sections(session: &Session) -> Vec<DetailSection> {
    [
        ("The call", call(session)),
        ("The shopper", shopper(session)),
        ("The order", order(session)),
        ("What was said about it", feedback(session)),
        ("Technical", technical(session)),
    ]
    .into_iter()
    .map(|(title, rows)| DetailSection { title, rows: rows.into_iter().flatten().collect() })
    .filter(|section| !section.rows.is_empty())
    .collect()
}

fn fact(name: &'static str, value: DetailValue) -> DetailRow {
    DetailRow { name, value }
}

fn text(name: &'static str, text: Option<&String>) -> Option<DetailRow> {
    Some(fact(name, DetailValue::Text(text?.clone())))
}

fn time(name: &'static str, instant: Option<DateTime<Utc>>) -> Option<DetailRow> {
    let instant = instant?;
    // With seconds; the list shows minutes.
    let text = instant.format("%-d %b %Y, %H:%M:%S UTC").to_string();
    Some(fact(name, DetailValue::Time(DisplayTime { text, iso: rfc3339(instant) })))
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
        Some(fact("Channel", DetailValue::Text(session.channel.to_string()))),
        text("Source", session.source.as_ref()),
        text("Queue", session.queue_name.as_ref()),
        text("Agent", session.agent_name.as_ref()),
        text("Agent’s e-mail", session.agent_email.as_ref()),
        time("Created", Some(session.created_at)),
        time("Started", session.started_at),
        time("Ended", Some(session.ended_at)),
        session.wait_seconds.map(|seconds| fact("Waited", DetailValue::Span(Some(seconds).into()))),
        session.duration_seconds.map(|seconds| fact("Lasted", DetailValue::Span(Some(seconds).into()))),
        session.wrap_up_seconds.map(|seconds| fact("Wrap-up", DetailValue::Span(Some(seconds).into()))),
        link("Page", session.page_url.as_ref()),
        link("Recording", session.recording_url.as_ref()),
    ]
}

fn shopper(session: &Session) -> Vec<Option<DetailRow>> {
    vec![
        time("Erased", session.erased_at),
        text("Name", session.shopper_name.as_ref()),
        code("ID", session.shopper_id.as_ref()),
        text("E-mail", session.shopper_email.as_ref()),
        text("Phone", session.shopper_phone.as_ref()),
        text("Country", session.shopper_country.as_ref()),
    ]
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

fn technical(session: &Session) -> Vec<Option<DetailRow>> {
    let tags = Some(session.tags.join(", ")).filter(|tags| !tags.is_empty());
    vec![
        Some(fact("Session ID", DetailValue::Code(session.session_id.to_string()))),
        code("External ID", session.external_id.as_ref()),
        Some(fact("Sequence", DetailValue::Code(session.sequence.to_string()))),
        text("Tags", tags.as_ref()),
        time("Recorded", Some(session.recorded_at)),
        time("Changed", Some(session.updated_at)),
    ]
}
