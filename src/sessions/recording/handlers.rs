//! `POST /api/sessions` records one session or a batch.

use actix_web::{
    FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    batch::{self, BatchItem, RecordRequest},
    batch_queue::BatchQueue,
    idempotency::IdempotentRequest,
};
use crate::{
    api_keys::{ApiQuery, AuthorizedReply, PresentedKey},
    error::{AppError, FieldError},
    sessions::{import::parser::in_line, record_json},
    web::{body::RawBody, format::time},
};

/// Maximum number of records in a body.
pub const BATCH_MAX: usize = 1000;
/// Maximum size of a body, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

pub(crate) async fn record(
    request: HttpRequest,
    key: PresentedKey,
    (payload, queue): (Payload, Data<BatchQueue>),
    query: Result<ApiQuery, AppError>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let large_body = queue.admit_body(&request, &key).await?;
    let body = RawBody::<BODY_LIMIT>::from_request(&request, &mut payload.into_inner()).await;
    let body = key.authorize_before_error(RecordBody::read(&request, body, query)).await?;
    let _permit = match &large_body {
        Some(large_body) => Some(large_body.wait_to_store().await?),
        None => None,
    };
    let now = time::now();
    let answer = key.write(move |connection, credentials| {
        let (batch, idempotent) = body.parse(now)?;
        batch::record_once(connection, &credentials.client, batch, idempotent.as_ref())
    });
    Ok(answer.await?.map(|answer| {
        let mut response = HttpResponse::Ok();
        if answer.is_replayed {
            response.insert_header(("Idempotency-Replayed", "true"));
        }
        response.content_type("application/json").body(answer.body)
    }))
}

/// The request before its body is parsed, which happens on a blocking thread.
struct RecordBody {
    bytes: Bytes,
    /// In lower case.
    media_type: String,
    is_partial: bool,
    idempotent: Option<IdempotentRequest>,
}

impl RecordBody {
    fn read(
        request: &HttpRequest,
        body: Result<RawBody<BODY_LIMIT>, AppError>,
        query: Result<ApiQuery, AppError>,
    ) -> Result<Self, AppError> {
        let is_partial = match query?.get("partial") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(AppError::invalid("partial", "Use true or false.")),
        };
        let RawBody(bytes) = body.map_err(|error| match error {
            AppError::UnsupportedType => AppError::UnsupportedJson,
            other => other,
        })?;
        let idempotent = read_idempotency_key(request, is_partial, &bytes)?;
        let media_type = request.content_type().to_ascii_lowercase();
        Ok(Self { bytes, media_type, is_partial, idempotent })
    }

    /// Frees the body and each item once it is parsed, so that all three do not exist at the same time.
    fn parse(self, now: DateTime<Utc>) -> Result<(RecordRequest, Option<IdempotentRequest>), AppError> {
        let Self { bytes, media_type, is_partial, idempotent } = self;
        let items = split_items(&media_type, &bytes)?;
        drop(bytes);
        Ok((RecordRequest { items: parse_items(now, items), is_partial }, idempotent))
    }
}

fn read_idempotency_key(
    request: &HttpRequest,
    is_partial: bool,
    body: &Bytes,
) -> Result<Option<IdempotentRequest>, AppError> {
    let Some(header) = request.headers().get("Idempotency-Key") else { return Ok(None) };
    let key = header.to_str().unwrap_or_default().trim();
    if !(1..=255).contains(&key.len()) {
        return Err(AppError::Malformed(
            "Use 1 to 255 printable ASCII characters as Idempotency-Key.".into(),
        ));
    }
    let mut hash = Sha256::new();
    hash.update([u8::from(is_partial)]);
    hash.update(request.content_type());
    hash.update([0]);
    hash.update(body);
    Ok(Some(IdempotentRequest { key: key.to_owned(), fingerprint: hash.finalize().to_vec() }))
}

/// The items of a body that is one object, an array, or one object per line (NDJSON).
fn split_items(media_type: &str, body: &[u8]) -> Result<Vec<Value>, AppError> {
    let items = match media_type {
        "application/json" => match serde_json::from_slice(body) {
            Ok(Value::Array(items)) => items,
            Ok(item) => vec![item],
            Err(error) => {
                return Err(AppError::Malformed(format!("The JSON cannot be read: {error}.").into()));
            }
        },
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => parse_lines(body)?,
        _ => return Err(AppError::UnsupportedJson),
    };
    if items.len() > BATCH_MAX {
        let message =
            format!("Send at most {BATCH_MAX} sessions at a time; this request has {}.", items.len());
        return Err(AppError::Malformed(message.into()));
    }
    Ok(items)
}

fn parse_lines(body: &[u8]) -> Result<Vec<Value>, AppError> {
    let lines =
        body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let line = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            AppError::Malformed(format!("Line {} cannot be read: {}.", index + 1, in_line(&error)).into())
        })
    };
    lines.map(line).collect()
}

fn parse_items(now: DateTime<Utc>, items: Vec<Value>) -> Vec<BatchItem> {
    let id = |item: &Value| item.get("externalId").and_then(Value::as_str).map(str::to_owned);
    let item = |(index, item): (usize, Value)| {
        record_json::parse(now, &item).map_err(|errors| {
            (id(&item), errors.into_iter().map(|error| FieldError { index: Some(index), ..error }).collect())
        })
    };
    items.into_iter().enumerate().map(item).collect()
}
