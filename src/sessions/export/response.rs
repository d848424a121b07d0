//! The format of responses: a page in JSON, or lines of CSV or NDJSON.

use std::sync::OnceLock;

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::CONTENT_DISPOSITION, web::Bytes};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    query::{ExportFormat, SessionPageRequest},
    store::SessionPage,
};
use crate::{
    error::AppError,
    sessions::{fields::COLUMNS, session::Session},
    web::format::{csv, hex},
};

impl ExportFormat {
    /// The CSV header; empty in other formats.
    pub(crate) fn head(self) -> Result<Vec<u8>, AppError> {
        if self == Self::Csv { csv::lines([COLUMNS]) } else { Ok(Vec::new()) }
    }

    /// One line per session.
    pub(crate) fn lines(self, sessions: &[Session]) -> Result<Vec<u8>, AppError> {
        if self == Self::Csv {
            return csv::lines(sessions.iter().map(Session::cells));
        }
        let mut lines = Vec::new();
        for session in sessions {
            serde_json::to_writer(&mut lines, session).map_err(AppError::broken)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

/// The body of a page, and what the headers need.
#[derive(Debug)]
pub(crate) struct EncodedPage {
    pub(crate) body: Bytes,
    pub(crate) total: i64,
    pub(crate) next_cursor: Option<i64>,
    etag: OnceLock<String>,
}

impl EncodedPage {
    pub(crate) fn new(body: Vec<u8>, total: i64, next_cursor: Option<i64>) -> Self {
        Self { body: body.into(), total, next_cursor, etag: OnceLock::new() }
    }

    pub(crate) fn etag(&self) -> &str {
        self.etag.get_or_init(|| etag(&self.body))
    }

    /// Drops the spare capacity of the body, for the cache.
    pub(crate) fn compact(mut self) -> Self {
        self.body = Bytes::copy_from_slice(&self.body);
        self
    }
}

/// A strong `ETag` (RFC 9110, section 8.8.3): the first half of the SHA-256 of the body.
pub(crate) fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex(&Sha256::digest(body)[..16]))
}

/// The fields after the sessions of a JSON page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonPageTail {
    page: i64,
    records_per_page: i64,
    total_sessions: i64,
    total_pages: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The part of the body before the first session.
pub(crate) fn opening(format: ExportFormat) -> Result<Vec<u8>, AppError> {
    if format == ExportFormat::Json { Ok(br#"{"data":["#.to_vec()) } else { format.head() }
}

/// The part of the body after the last session.
pub(crate) fn closing(
    format: ExportFormat,
    request: &SessionPageRequest,
    total: i64,
    next_cursor: Option<i64>,
) -> Result<Vec<u8>, AppError> {
    if format != ExportFormat::Json {
        return Ok(Vec::new());
    }
    let totals = JsonPageTail {
        page: request.page,
        records_per_page: request.per_page,
        total_sessions: total,
        total_pages: request.page_count(total),
        next_cursor: next_cursor.map(SessionPageRequest::cursor_after),
    };
    let mut end = serde_json::to_vec(&totals).map_err(AppError::broken)?;
    // `opening` already wrote the brace.
    end.splice(..1, *b"],");
    Ok(end)
}

pub(crate) fn encode_page(
    format: ExportFormat,
    request: &SessionPageRequest,
    page: &SessionPage,
) -> Result<EncodedPage, AppError> {
    let mut body = opening(format)?;
    if format == ExportFormat::Json {
        for (index, session) in page.sessions.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            serde_json::to_writer(&mut body, session).map_err(AppError::broken)?;
        }
    } else {
        body.extend(format.lines(&page.sessions)?);
    }
    body.extend(closing(format, request, page.total, page.next_cursor)?);
    Ok(EncodedPage::new(body, page.total, page.next_cursor))
}

pub(crate) fn page(format: ExportFormat, page: &EncodedPage) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    if format != ExportFormat::Json {
        attachment(&mut response, format);
    }
    response.body(page.body.clone())
}

/// Sets the name under which a browser saves the file.
pub(crate) fn attachment(
    response: &mut HttpResponseBuilder,
    format: ExportFormat,
) -> &mut HttpResponseBuilder {
    let name = if format == ExportFormat::Csv { "sessions.csv" } else { "sessions.ndjson" };
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
}
