//! Asking for pages through a pipeline: the statements of `store::page_of` as text, with the revision.

use std::sync::LazyLock;

use super::{
    query::{ExportQuery, PER_PAGE_MAX, SortOrder},
    response::{self, EncodedPage},
    row_encoder::{RowEncoder, SessionCounter, decode_integer},
};
use crate::{
    api_keys::{ADMITS, Credentials, Scope},
    db::pipeline::{Parameter, Pipeline, PipelineQuery, PipelineRow},
    error::AppError,
    sessions::fields::SESSION_FIELDS,
};

/// About so many bytes a session takes in an answer.
const SESSION_BYTES: usize = 1000;

/// The page of the sequences above `$6`, up to `$7`.
static ASCENDING: LazyLock<String> =
    LazyLock::new(|| page_sql("sessions.sequence > $6 and sessions.sequence <= $7", "asc"));

/// The page behind the newest `$6` sessions, down to the newest `$7`.
static DESCENDING: LazyLock<String> = LazyLock::new(|| {
    page_sql(
        "sessions.sequence <= session_counters.recorded - $6 and sessions.sequence > session_counters.recorded - $7",
        "desc",
    )
});

/// The same as [`ASCENDING`], the highest sequence first.
static ASCENDING_REVERSED: LazyLock<String> =
    LazyLock::new(|| page_sql("sessions.sequence > $6 and sessions.sequence <= $7", "desc"));

/// The revision of the sessions, and the limit of the key.
static REVISION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select session_counters.revision, api_keys.requests_per_minute \
         from api_keys \
         join session_counters on session_counters.client_id = api_keys.client_id \
         where {ADMITS}"
    )
});

/// The statement of a page in ascending order, for measuring it without us. Its parameters are those of [`ADMITS`], how
/// many sessions come before the page, and how many up to its end.
#[must_use]
pub fn page_statement() -> &'static str {
    &ASCENDING
}

fn page_sql(of_page: &str, direction: &str) -> String {
    let columns: Vec<String> =
        SESSION_FIELDS.iter().map(|field| format!("sessions.{}", field.column)).collect();
    format!(
        "select {}, session_counters.recorded, session_counters.revision, api_keys.requests_per_minute \
         from api_keys \
         join session_counters on session_counters.client_id = api_keys.client_id \
         left join sessions on sessions.client_id = api_keys.client_id and {of_page} \
         where {ADMITS} \
         order by sessions.sequence {direction}",
        columns.join(", ")
    )
}

/// What became of asking a pipeline.
pub(crate) enum PipelineReply<T> {
    /// There is no answer; the pool has one.
    Unanswered,
    /// The key is not let in.
    Refused,
    /// Here it is.
    Found(T),
}

/// The page that is asked for, which is of everything, and the revision it was made at.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn page_of(
    pipeline: &Pipeline,
    credentials: &Credentials,
    asked: &ExportQuery,
) -> Result<PipelineReply<(EncodedPage, i64)>, AppError> {
    let request = &asked.request;
    let after = request.skipped();
    let range = SequenceRange { after, last: after.saturating_add(request.per_page) };
    let sql = if request.order == SortOrder::Ascending { &ASCENDING } else { &DESCENDING };
    let mut out = response::opening(asked.format)?;
    out.reserve(bytes_of(request.per_page));
    let mut writer = RowEncoder::new(asked.format, out);
    if !ask(pipeline, credentials, sql, Some(range), |row| writer.encode(row)).await? {
        return Ok(PipelineReply::Unanswered);
    }
    let Some(SessionCounter { total, revision, requests_per_minute }) = writer.counter else {
        return Ok(PipelineReply::Refused);
    };
    credentials.let_in(requests_per_minute);
    let more_after = writer.last.filter(|last| match request.order {
        SortOrder::Ascending => *last < total,
        SortOrder::Descending => *last > 1,
    });
    writer.out.extend(response::closing(asked.format, request, total, more_after)?);
    Ok(PipelineReply::Found((EncodedPage::new(writer.out, total, more_after), revision)))
}

/// A range of sessions: how many come before it, how many up to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequenceRange {
    pub(crate) after: i64,
    pub(crate) last: i64,
}

/// The lines of the sessions with the sequences of a range.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn piece_of(
    pipeline: &Pipeline,
    credentials: &Credentials,
    asked: &ExportQuery,
    range: SequenceRange,
) -> Result<PipelineReply<Vec<u8>>, AppError> {
    let sql = if asked.request.order == SortOrder::Ascending { &ASCENDING } else { &ASCENDING_REVERSED };
    let out = Vec::with_capacity(bytes_of(range.last - range.after));
    let mut writer = RowEncoder::new(asked.format, out);
    if !ask(pipeline, credentials, sql, Some(range), |row| writer.encode(row)).await? {
        return Ok(PipelineReply::Unanswered);
    }
    Ok(if writer.counter.is_some() { PipelineReply::Found(writer.out) } else { PipelineReply::Refused })
}

/// About how much memory an answer with so many sessions takes.
fn bytes_of(sessions: i64) -> usize {
    usize::try_from(sessions).unwrap_or_default() * SESSION_BYTES
}

/// At which revision the client's sessions are.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn revision_of(
    pipeline: &Pipeline,
    credentials: &Credentials,
) -> Result<PipelineReply<i64>, AppError> {
    let mut found = None;
    let take = |row: PipelineRow<'_>| {
        let limit = i32::try_from(decode_integer(row.bytes(1)?)?).ok()?;
        found = Some((decode_integer(row.bytes(0)?)?, limit));
        Some(())
    };
    if !ask(pipeline, credentials, &REVISION, None, take).await? {
        return Ok(PipelineReply::Unanswered);
    }
    let Some((revision, requests_per_minute)) = found else { return Ok(PipelineReply::Refused) };
    credentials.let_in(requests_per_minute);
    Ok(PipelineReply::Found(revision))
}

/// Asks for the sessions of a range, or for none.
async fn ask(
    pipeline: &Pipeline,
    credentials: &Credentials,
    sql: &'static str,
    range: Option<SequenceRange>,
    take: impl FnMut(PipelineRow<'_>) -> Option<()>,
) -> Result<bool, AppError> {
    let scopes: Vec<&str> = credentials.scope.map(Scope::as_str).into_iter().collect();
    let SequenceRange { after, last } = range.unwrap_or(SequenceRange { after: 0, last: 0 });
    let parameters: [Parameter<'_>; 7] = [
        &credentials.client.as_str(),
        &credentials.public_key.as_str(),
        &credentials.secret_hash.as_slice(),
        &scopes,
        &credentials.address,
        &after,
        &last,
    ];
    let (parameters, rows_max) = match range {
        Some(_) => {
            (&parameters[..], u32::try_from((last - after).clamp(1, PER_PAGE_MAX)).map_err(AppError::broken)?)
        }
        None => (&parameters[..5], 1),
    };
    pipeline.ask(&PipelineQuery { sql, parameters, rows_max }, take).await
}
