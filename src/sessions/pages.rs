//! Sessions: the list, the newest first; one session; and what the list shows as a file.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path, ServiceConfig, get, resource},
};
use askama::Template;
use chrono::DateTime;
use uuid::Uuid;

use super::{
    page_request::{Filter, PageRequest},
    reader::Reader,
    record::{CHANNELS, STATUSES},
    row::Row,
    session::{COLUMNS, Session},
    store::{self, Position, Towards},
    stream, totals,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn},
    db::Db,
    error::{AppError, FieldError},
    web::{
        clock::{Moment, rfc3339},
        form::FormState,
        numbers::{grouped, spoken},
        page::{Layout, Section, respond, see_other},
    },
};

/// Rows on one page.
const ROWS: usize = 50;
/// What the list can be narrowed by, in the order of the form; the names are those of the API.
const FILTERS: [&str; 5] = ["status", "channel", "agentName", "from", "to"];

/// The addresses of this room.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/").route(get().to(async || see_other("/sessions"))))
        .service(resource("/sessions").route(get().to(index)))
        .service(resource("/sessions.csv").route(get().to(download)))
        .service(resource("/sessions/{session_id}").route(get().to(show)));
}

#[derive(Template)]
#[template(path = "sessions/index.html")]
struct Index {
    layout: Layout,
    rows: Vec<Row>,
    /// The filter cannot be read.
    is_wrong: bool,
    /// How many there are in all, and how many match; in words.
    total: String,
    matching: Option<String>,
    client_id: String,
    statuses: [&'static str; 5],
    channels: [&'static str; 3],
    form: FormState,
    /// The filter as a query string, empty or with its `?`.
    query: String,
    newer: Option<String>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "sessions/show.html")]
struct Show {
    layout: Layout,
    created: Moment,
    wait: String,
    duration: String,
    /// Name and text of every field that has one.
    fields: Vec<(&'static str, String)>,
}

/// What the address asks for. What is wrong with it is told in the form, and the list shows everything.
struct Asked {
    request: PageRequest,
    form: FormState,
    /// The filter as pairs, for links.
    pairs: Vec<(&'static str, String)>,
    towards: Towards,
    /// What is wrong with the filter: then nothing is shown, rather than everything.
    errors: Vec<FieldError>,
}

impl Asked {
    fn parse(query: &str) -> Result<Self, AppError> {
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text = |name: &str| given.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let form = FILTERS.iter().fold(FormState::default(), |form, name| form.keep(name, text(name)));
        let filter =
            |name: &str| Some(text(name)).filter(|value| FILTERS.contains(&name) && !value.is_empty());
        let controls = FILTERS.iter().filter(|name| text(name).chars().any(char::is_control));
        let mut errors: Vec<_> =
            controls.map(|name| FieldError::new(*name, "Remove the control characters.")).collect();
        let request = PageRequest::parse(filter).map_err(|wrong| errors.extend(wrong)).ok();
        let request = match request.filter(|_| errors.is_empty()) {
            Some(request) => request,
            None => PageRequest::parse(|_| None).map_err(AppError::Invalid)?,
        };
        let form = errors.iter().cloned().fold(form, told);
        let pairs = FILTERS.iter().filter_map(|name| Some((*name, filter(name)?.to_owned()))).collect();
        let towards = match (position(text("after")), position(text("before"))) {
            (Some(after), _) => Towards::Newer(after),
            (None, before) => Towards::Older(before),
        };
        Ok(Self { request, form, pairs, towards, errors })
    }

    /// The address of the list with its filter, and this too.
    fn link(&self, name: &str, session: &Session) -> String {
        let position = format!("{}~{}", rfc3339(session.created_at), session.sequence);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.pairs).append_pair(name, &position);
        format!("/sessions?{}", query.finish())
    }

    fn query(&self) -> String {
        if self.pairs.is_empty() {
            return String::new();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        format!("?{}", query.extend_pairs(&self.pairs).finish())
    }
}

fn told(form: FormState, error: FieldError) -> FormState {
    match FILTERS.iter().find(|name| **name == error.field) {
        Some(name) => form.refuse(name, error.message),
        None => form,
    }
}

async fn index(request: HttpRequest, visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Sessions", Section::Sessions)?;
    let client = signed_in.client();
    let client_id = client.to_string();
    let asked = Asked::parse(request.query_string())?;
    let (filter, towards) = (asked.request.filter.clone(), asked.towards);
    let (mut found, total, matching) = db
        .run(move |connection| {
            let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
            let found = store::newest_first(connection, &client, &filter, towards, limit)?;
            let total = totals::total_of(connection, &client, &Filter::default())?;
            totals::total_of(connection, &client, &filter).map(|matching| (found, total, matching))
        })
        .await?;
    let (has_newer, has_older) = trim(&mut found, towards);
    if !asked.errors.is_empty() {
        found.clear();
    }
    let page = Index {
        layout,
        is_wrong: !asked.errors.is_empty(),
        rows: found.iter().map(Row::from).collect(),
        total: grouped(total),
        matching: (!asked.pairs.is_empty() && asked.errors.is_empty()).then(|| grouped(matching)),
        client_id,
        statuses: STATUSES,
        channels: CHANNELS,
        newer: found.first().filter(|_| has_newer).map(|session| asked.link("after", session)),
        older: found.last().filter(|_| has_older).map(|session| asked.link("before", session)),
        query: asked.query(),
        form: asked.form,
    };
    respond(StatusCode::OK, &page)
}

async fn show(
    visitor: MaybeSignedIn,
    session_id: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Session", Section::Sessions)?;
    let session_id = session_id.parse::<Uuid>().map_err(|_not_an_id| AppError::NotFound)?;
    let client = signed_in.client();
    let session = db.run(move |connection| store::find_for_member(connection, &client, session_id)).await?;
    let fields = COLUMNS.into_iter().zip(session.cells()).filter(|(_, text)| !text.is_empty());
    let page = Show {
        layout,
        created: session.created_at.into(),
        wait: spoken(session.wait_seconds),
        duration: spoken(session.duration_seconds),
        fields: fields.collect(),
    };
    respond(StatusCode::OK, &page)
}

/// What the list is narrowed to, as a CSV.
async fn download(request: HttpRequest, signed_in: SignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let asked = Asked::parse(request.query_string())?;
    if !asked.errors.is_empty() {
        return Err(AppError::Invalid(asked.errors));
    }
    let reader = Reader::Member { client: signed_in.client(), user_id: signed_in.user_id };
    stream::for_member(reader, asked.request, db).await
}

/// `2026-11-23T10:45:06Z~17`: a time and a sequence.
fn position(text: &str) -> Option<Position> {
    let (time, sequence) = text.split_once('~')?;
    let created_at = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
    Some(Position { created_at, sequence: sequence.parse().ok()? })
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
    fn a_position_comes_back_from_its_link_and_junk_is_none() {
        assert_eq!(position("2026-11-23T10:45:06Z~17").unwrap().sequence, 17);
        assert!(["", "~", "x~1", "2026-11-23T10:45:06Z~x"].iter().all(|text| position(text).is_none()));
    }
}
