//! Sessions: the list, the newest first.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Query, ServiceConfig, get, resource},
};
use askama::Template;
use chrono::DateTime;
use serde::Deserialize;

use super::{
    record::STATUSES,
    session::Session,
    store::{self, Position, Towards},
};
use crate::{
    accounts::MaybeSignedIn,
    db::Db,
    error::AppError,
    web::{
        clock::{Moment, rfc3339},
        page::{Layout, Section, respond, see_other},
    },
};

/// Rows on one page.
const ROWS: usize = 50;

/// The addresses of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/").route(get().to(async || see_other("/sessions"))))
        .service(resource("/sessions").route(get().to(index)));
}

/// What the address says: a status, and where the list goes on.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    status: String,
    #[serde(default)]
    before: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "sessions/index.html")]
struct Index {
    layout: Layout,
    rows: Vec<Row>,
    total: String,
    client_id: String,
    statuses: [&'static str; 5],
    status: String,
    newer: Option<String>,
    older: Option<String>,
}

struct Row {
    created: Moment,
    status: String,
    channel: String,
    agent: String,
    shopper: String,
    queue: String,
    wait: String,
    duration: String,
    sequence: i64,
}

impl From<&Session> for Row {
    fn from(session: &Session) -> Self {
        let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "–".to_owned());
        Self {
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

/// Seconds as people say them: `1 h 02 min`, `3 min 20 s`, `45 s`, `–`.
fn spoken(seconds: Option<i32>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds @ ..60) => format!("{seconds} s"),
        Some(seconds @ 60..3600) => format!("{} min {:02} s", seconds / 60, seconds % 60),
        Some(seconds) => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number with thin groups: `1,234,567`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

async fn index(visitor: MaybeSignedIn, asked: Query<Asked>, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Sessions", Section::Sessions)?;
    let client = signed_in.client();
    let client_id = client.to_string();
    // An address that was tampered with shows everything from the top; there is nothing to lose.
    let status = STATUSES.iter().find(|known| **known == asked.status).map(|known| (*known).to_owned());
    let towards = towards(&asked);
    let wanted = status.clone();
    let (mut found, total) = db
        .run(move |connection| {
            let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
            let found = store::newest_first(connection, &client, wanted.as_deref(), towards, limit)?;
            store::total_of(connection, &client).map(|total| (found, total))
        })
        .await?;
    let (has_newer, has_older) = trim(&mut found, towards);
    let status = status.unwrap_or_default();
    let link = |name: &str, session: Option<&Session>| session.map(|it| link(name, it, &status));
    let page = Index {
        layout,
        rows: found.iter().map(Row::from).collect(),
        total: grouped(total),
        client_id,
        statuses: STATUSES,
        newer: link("after", found.first().filter(|_| has_newer)),
        older: link("before", found.last().filter(|_| has_older)),
        status,
    };
    respond(StatusCode::OK, &page)
}

fn towards(asked: &Asked) -> Towards {
    match (position(&asked.after), position(&asked.before)) {
        (Some(after), _) => Towards::Newer(after),
        (None, before) => Towards::Older(before),
    }
}

/// `2026-11-23T10:45:06Z~17`: a time and a sequence.
fn position(text: &str) -> Option<Position> {
    let (time, sequence) = text.split_once('~')?;
    let created_at = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
    Some(Position { created_at, sequence: sequence.parse().ok()? })
}

fn link(name: &str, session: &Session, status: &str) -> String {
    let position = format!("{}~{}", rfc3339(session.created_at), session.sequence);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !status.is_empty() {
        query.append_pair("status", status);
    }
    format!("/sessions?{}", query.append_pair(name, &position).finish())
}

/// Takes away the one row too many, which says that there is more in the direction of the walk; in the other there is
/// more unless the walk began at the top.
fn trim(found: &mut Vec<Session>, towards: Towards) -> (bool, bool) {
    let has_more = found.len() > ROWS;
    match towards {
        Towards::Older(from) => {
            found.truncate(ROWS);
            (from.is_some(), has_more)
        }
        Towards::Newer(_) => {
            if has_more {
                found.remove(0);
            }
            (has_more, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken() {
        let spoken: Vec<_> =
            [None, Some(0), Some(59), Some(200), Some(3725)].into_iter().map(spoken).collect();
        assert_eq!(spoken, ["–", "0 s", "59 s", "3 min 20 s", "1 h 02 min"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_position_comes_back_from_its_link_and_junk_is_none() {
        assert_eq!(position("2026-11-23T10:45:06Z~17").unwrap().sequence, 17);
        assert!(["", "~", "x~1", "2026-11-23T10:45:06Z~x"].iter().all(|text| position(text).is_none()));
    }
}
