//! `POST /api/sessions/export-csv-data`: a client's sessions for its programs, page by page or as a stream.

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Bytes, Data, ServiceConfig, post, resource},
};
use futures_util::{Stream, stream};
use serde::Serialize;

use super::{
    csv, ingest,
    page_request::{Filter, PageRequest},
    session::Session,
    store::{self, PageOf},
};
use crate::{
    api_keys::{ClientKey, Credentials, Gate, Scope},
    db::Db,
    error::{AppError, FieldError},
    web::api_request::ApiRequest,
};

/// The body has at most so many bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The addresses of this room below `/api`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/sessions/export-csv-data").route(post().to(export)))
        .service(resource("/sessions").route(post().to(ingest::record)));
}

/// What the answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    fn parse(text: Option<&str>) -> Result<Self, FieldError> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson") => Ok(Self::Ndjson),
            Some(_) => Err(FieldError::new("format", "Use json, csv or ndjson.")),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What comes before the first session.
    fn head(self) -> Result<Vec<u8>, AppError> {
        if self == Self::Csv { csv::header().map_err(AppError::broken) } else { Ok(Vec::new()) }
    }

    /// One line per session.
    fn lines(self, sessions: &[Session]) -> Result<Vec<u8>, AppError> {
        if self == Self::Csv {
            return csv::lines(sessions).map_err(AppError::broken);
        }
        let mut lines = Vec::new();
        for session in sessions {
            serde_json::to_writer(&mut lines, session).map_err(AppError::broken)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    data: Vec<Session>,
    page: i64,
    records_per_page: i64,
    total_sessions: i64,
    total_pages: i64,
}

async fn export(
    call: ApiRequest<BODY_LIMIT>,
    db: Data<Db>,
    gate: Data<Gate>,
) -> Result<HttpResponse, AppError> {
    let key = ClientKey::try_from(call.presented_key()?)?;
    let (format, request) = parse(&call)?;
    if format != Format::Json && call.get("page").is_none() {
        return stream_everything(key, format, request, db, gate).await;
    }
    let asked = request.clone();
    let page = db.run(move |connection| {
        let credentials = gate.credentials(connection, &key, Scope::SessionsRead)?;
        let page = if asked.filter == Filter::default() {
            store::page_of(connection, &credentials, &asked)
        } else {
            store::filtered_page_of(connection, &credentials, &asked)
        };
        match page? {
            Some(page) => Ok(page),
            None => credentials.refusal(connection),
        }
    });
    answer(format, &request, page.await?)
}

fn parse(call: &ApiRequest<BODY_LIMIT>) -> Result<(Format, PageRequest), AppError> {
    let format = Format::parse(call.get("format"));
    let request = PageRequest::parse(|name| call.get(name));
    match (format, request) {
        (Ok(format), Ok(request)) => Ok((format, request)),
        (format, request) => {
            let mut errors = request.err().unwrap_or_default();
            errors.extend(format.err());
            Err(AppError::Invalid(errors))
        }
    }
}

fn answer(format: Format, request: &PageRequest, page: PageOf) -> Result<HttpResponse, AppError> {
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    if format == Format::Json {
        let answer = Answer {
            page: request.page,
            records_per_page: request.per_page,
            total_sessions: page.total,
            total_pages: request.page_count(page.total),
            data: page.sessions,
        };
        return Ok(response.body(serde_json::to_vec(&answer).map_err(AppError::broken)?));
    }
    let mut body = format.head()?;
    body.extend(format.lines(&page.sessions)?);
    Ok(attachment(&mut response, format).body(body))
}

fn attachment(
    response: &mut actix_web::HttpResponseBuilder,
    format: Format,
) -> &mut actix_web::HttpResponseBuilder {
    let name = if format == Format::Csv { "sessions.csv" } else { "sessions.ndjson" };
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
}

/// Everything there was when the call began, a thousand sessions at a time: memory does not grow with their number,
/// and a key that is deleted meanwhile ends the stream (the connection is cut, so that it does not look complete).
async fn stream_everything(
    key: ClientKey,
    format: Format,
    request: PageRequest,
    db: Data<Db>,
    gate: Data<Gate>,
) -> Result<HttpResponse, AppError> {
    let (credentials, newest) = db
        .run(move |connection| {
            let credentials = gate.credentials(connection, &key, Scope::SessionsRead)?;
            match store::newest_of(connection, &credentials)? {
                Some(newest) => Ok((credentials, newest)),
                None => credentials.refusal(connection),
            }
        })
        .await?;
    let walk = Walk { credentials, format, request, newest, cursor: None, has_begun: false };
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    Ok(attachment(&mut response, format).streaming(chunks(db, walk)))
}

/// How far a stream has come.
#[derive(Clone)]
struct Walk {
    credentials: Credentials,
    format: Format,
    request: PageRequest,
    newest: i64,
    cursor: Option<i64>,
    has_begun: bool,
}

fn chunks(db: Data<Db>, walk: Walk) -> impl Stream<Item = Result<Bytes, AppError>> {
    stream::try_unfold(Some(walk), move |walk| {
        let db = db.clone();
        async move {
            let Some(walk) = walk else { return Ok(None) };
            next_chunk(&db, walk).await.map(Some)
        }
    })
}

async fn next_chunk(db: &Db, mut walk: Walk) -> Result<(Bytes, Option<Walk>), AppError> {
    let asked = walk.clone();
    let found = db.run(move |connection| {
        store::chunk_of(connection, &asked.credentials, &asked.request, asked.cursor, asked.newest)
    });
    let sessions = found.await?.ok_or(AppError::UnknownKey)?;
    let mut bytes = if walk.has_begun { Vec::new() } else { walk.format.head()? };
    bytes.extend(walk.format.lines(&sessions)?);
    walk.has_begun = true;
    let is_last = i64::try_from(sessions.len()).is_ok_and(|count| count < super::PER_PAGE_MAX);
    let goes_on = match sessions.last() {
        Some(last) if !is_last => {
            walk.cursor = Some(last.sequence);
            Some(walk)
        }
        _ => None,
    };
    Ok((bytes.into(), goes_on))
}
