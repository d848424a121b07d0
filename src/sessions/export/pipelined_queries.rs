//! Pages and chunks of the plain export through a pipeline: the statements of `store` as text, with the revision.

use std::sync::LazyLock;

use super::{
    query::{ExportQuery, PER_PAGE_MAX, SortOrder},
    response::{self, EncodedPage},
    row_encoder::{RowEncoder, TotalAndRevision, decode_integer},
};
use crate::{
    api_keys::{AuthorizedPipelineQuery, AuthorizedStatement, KeyCredentials, PipelineReply},
    db::pipeline::Pipeline,
    error::AppError,
    sessions::fields::SESSION_FIELDS,
};

/// Estimated size of an encoded session, in bytes.
pub(crate) const SESSION_BYTES: usize = 1000;

/// The counter of the client, next to its key.
const JOIN_COUNTER: &str = "join session_counters on session_counters.client_id = api_keys.client_id";

/// Sequences above `$6` and up to `$7`, ascending.
static ASCENDING: LazyLock<AuthorizedStatement> =
    LazyLock::new(|| build_page_statement("sessions.sequence > $6 and sessions.sequence <= $7", "asc"));

/// A page from the end: skips the newest `$6` sessions and ends with the newest `$7`.
static DESCENDING: LazyLock<AuthorizedStatement> = LazyLock::new(|| {
    build_page_statement(
        "sessions.sequence <= session_counters.recorded - $6 and sessions.sequence > session_counters.recorded - $7",
        "desc",
    )
});

/// As [`ASCENDING`], in descending order.
static ASCENDING_REVERSED: LazyLock<AuthorizedStatement> =
    LazyLock::new(|| build_page_statement("sessions.sequence > $6 and sessions.sequence <= $7", "desc"));

static REVISION: LazyLock<AuthorizedStatement> =
    LazyLock::new(|| AuthorizedStatement::new(&["session_counters.revision".to_owned()], JOIN_COUNTER, ""));

/// The SQL of a page in ascending order, for the benchmark. `$1` to `$5` authorize the key; `$6` and `$7` are the number
/// of sessions before the page and up to its end.
#[must_use]
pub fn page_statement() -> &'static str {
    ASCENDING.sql()
}

fn build_page_statement(range: &str, direction: &str) -> AuthorizedStatement {
    let columns = SESSION_FIELDS.iter().map(|field| format!("sessions.{}", field.column));
    let counters = ["session_counters.recorded".to_owned(), "session_counters.revision".to_owned()];
    AuthorizedStatement::new(
        &columns.chain(counters).collect::<Vec<_>>(),
        &format!("{JOIN_COUNTER} left join sessions on sessions.client_id = api_keys.client_id and {range}"),
        &format!("order by sessions.sequence {direction}"),
    )
}

/// A page of all sessions, and the revision that it shows.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn load_page(
    pipeline: &Pipeline,
    credentials: &KeyCredentials,
    query: &ExportQuery,
) -> Result<PipelineReply<(EncodedPage, i64)>, AppError> {
    let request = &query.request;
    let after = request.skipped();
    let range = SequenceRange { after, last: after.saturating_add(request.per_page) };
    let statement = if request.order == SortOrder::Ascending { &ASCENDING } else { &DESCENDING };
    let mut out = response::opening(query.format)?;
    out.reserve(estimated_bytes(request.per_page));
    let mut encoder = RowEncoder::new(query.format, out);
    let reply = encode_range(pipeline, credentials, statement, range, &mut encoder).await?;
    let TotalAndRevision { total, revision } = encoder.counter.unwrap_or_default();
    let next_cursor = encoder.last.filter(|last| match request.order {
        SortOrder::Ascending => *last < total,
        SortOrder::Descending => *last > 1,
    });
    encoder.out.extend(response::closing(query.format, request, total, next_cursor)?);
    Ok(reply.map(|()| (EncodedPage::new(encoder.out, total, next_cursor), revision)))
}

/// A range of sessions: how many come before it, and how many up to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SequenceRange {
    pub(crate) after: i64,
    pub(crate) last: i64,
}

/// The lines of the sessions in a range.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn encode_chunk(
    pipeline: &Pipeline,
    credentials: &KeyCredentials,
    query: &ExportQuery,
    range: SequenceRange,
) -> Result<PipelineReply<Vec<u8>>, AppError> {
    let statement =
        if query.request.order == SortOrder::Ascending { &ASCENDING } else { &ASCENDING_REVERSED };
    let out = Vec::with_capacity(estimated_bytes(range.last - range.after));
    let mut encoder = RowEncoder::new(query.format, out);
    let reply = encode_range(pipeline, credentials, statement, range, &mut encoder).await?;
    Ok(reply.map(|()| encoder.out))
}

fn estimated_bytes(sessions: i64) -> usize {
    usize::try_from(sessions).unwrap_or_default() * SESSION_BYTES
}

async fn encode_range(
    pipeline: &Pipeline,
    credentials: &KeyCredentials,
    statement: &'static AuthorizedStatement,
    SequenceRange { after, last }: SequenceRange,
    encoder: &mut RowEncoder,
) -> Result<PipelineReply<()>, AppError> {
    let rows_max = u32::try_from((last - after).clamp(1, PER_PAGE_MAX)).map_err(AppError::broken)?;
    let query = AuthorizedPipelineQuery { statement, credentials, parameters: &[&after, &last], rows_max };
    query.run(pipeline, |row| encoder.encode(row)).await
}

/// The current revision of the client's sessions.
///
/// # Errors
/// [`AppError::Busy`].
pub(crate) async fn load_revision(
    pipeline: &Pipeline,
    credentials: &KeyCredentials,
) -> Result<PipelineReply<i64>, AppError> {
    let query = AuthorizedPipelineQuery { statement: &REVISION, credentials, parameters: &[], rows_max: 1 };
    let mut revision = 0;
    let reply = query.run(pipeline, |row| {
        revision = decode_integer(row.bytes(0)?)?;
        Some(())
    });
    Ok(reply.await?.map(|()| revision))
}
