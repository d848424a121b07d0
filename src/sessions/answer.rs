//! What answers are written as: a page in JSON, or lines of CSV or NDJSON.

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::CONTENT_DISPOSITION};
use serde::Serialize;

use super::{csv, page_request::PageRequest, session::Session, store::PageOf};
use crate::error::{AppError, FieldError};

/// What the answer is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Ndjson,
}

impl Format {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, FieldError> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson") => Ok(Self::Ndjson),
            Some(_) => Err(FieldError::new("format", "Use json, csv or ndjson.")),
        }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// What comes before the first session.
    pub(super) fn head(self) -> Result<Vec<u8>, AppError> {
        if self == Self::Csv { csv::header().map_err(AppError::broken) } else { Ok(Vec::new()) }
    }

    /// One line per session.
    pub(super) fn lines(self, sessions: &[Session]) -> Result<Vec<u8>, AppError> {
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

/// A page and the totals it is part of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageAnswer {
    data: Vec<Session>,
    page: i64,
    records_per_page: i64,
    total_sessions: i64,
    total_pages: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The page as it was asked for.
pub(super) fn page(format: Format, request: &PageRequest, page: PageOf) -> Result<HttpResponse, AppError> {
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    if format == Format::Json {
        return Ok(response.body(json(request, page)?));
    }
    let mut body = format.head()?;
    body.extend(format.lines(&page.sessions)?);
    Ok(attachment(&mut response, format).body(body))
}

/// The page in JSON.
pub(super) fn json(request: &PageRequest, page: PageOf) -> Result<Vec<u8>, AppError> {
    let answer = PageAnswer {
        page: request.page,
        records_per_page: request.per_page,
        total_sessions: page.total,
        total_pages: request.page_count(page.total),
        next_cursor: page.more_after.map(PageRequest::cursor_after),
        data: page.sessions,
    };
    serde_json::to_vec(&answer).map_err(AppError::broken)
}

/// The name under which a browser keeps the file.
pub(super) fn attachment(response: &mut HttpResponseBuilder, format: Format) -> &mut HttpResponseBuilder {
    let name = if format == Format::Csv { "sessions.csv" } else { "sessions.ndjson" };
    response.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
}
