//! Streamed exports: all sessions as a file.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    rt::spawn,
    web::{Bytes, Data},
};
use futures_util::{Stream, StreamExt as _, future::ready, stream};

use super::{
    exporter::Exporter,
    pipelined_queries::{self, SequenceRange},
    query::{ExportFormat, ExportQuery, PER_PAGE_MAX, SessionPageRequest, SortOrder},
    response,
    store::{self, ExportPrincipal},
};
use crate::{
    api_keys::{AuthorizedReply, KeyCredentials, PipelineReply, PresentedKey},
    db::Db,
    error::AppError,
    sessions::{filter::SessionFilter, queries::count_matching},
};

/// All sessions that existed when the request began, a thousand at a time, so memory does not grow with their number.
///
/// If the key is deleted meanwhile, the connection is cut, so that the file does not look complete.
pub(crate) async fn stream_for_key(
    key: &PresentedKey,
    query: ExportQuery,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let start = key.run(|connection, credentials| {
        let newest = store::newest_sequence(connection, credentials)?;
        Ok(newest.map(|newest| newest.map(|newest| (credentials.clone(), newest))))
    });
    Ok(start.await?.map(|(credentials, newest)| {
        if query.request.is_plain() {
            return stream_plain(exporter, db, UnfilteredStream { credentials, query, newest });
        }
        let ExportQuery { format, request, .. } = query;
        stream(db, ExportStreamState::new(ExportPrincipal::ApiKey(credentials), format, request, newest))
    }))
}

/// All matching sessions that existed when the request began, for a signed-in user.
pub(crate) async fn stream_for_member(
    reader: ExportPrincipal,
    format: ExportFormat,
    request: SessionPageRequest,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let client = reader.client().clone();
    let newest =
        db.run(move |connection| count_matching(connection, &client, &SessionFilter::default())).await?;
    Ok(stream(db, ExportStreamState::new(reader, format, request, newest)))
}

fn stream(db: Data<Db>, state: ExportStreamState) -> HttpResponse {
    let format = state.format;
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    response::attachment(&mut response, format).streaming(chunks(db, state))
}

#[derive(Clone)]
struct ExportStreamState {
    reader: ExportPrincipal,
    format: ExportFormat,
    request: SessionPageRequest,
    /// The highest sequence when the request began.
    newest: i64,
    /// The sequence of the last session that was sent.
    cursor: Option<i64>,
    has_begun: bool,
}

impl ExportStreamState {
    fn new(reader: ExportPrincipal, format: ExportFormat, request: SessionPageRequest, newest: i64) -> Self {
        Self { reader, format, request, newest, cursor: None, has_begun: false }
    }
}

fn chunks(db: Data<Db>, state: ExportStreamState) -> impl Stream<Item = Result<Bytes, AppError>> {
    stream::try_unfold(Some(state), move |state| {
        let db = db.clone();
        async move {
            let Some(state) = state else { return Ok(None) };
            next_chunk(&db, state).await.map(Some)
        }
    })
}

async fn next_chunk(
    db: &Db,
    mut state: ExportStreamState,
) -> Result<(Bytes, Option<ExportStreamState>), AppError> {
    let current = state.clone();
    let found = db.run(move |connection| {
        store::load_chunk(connection, &current.reader, &current.request, current.cursor, current.newest)
    });
    let sessions = found.await?.ok_or(AppError::UnknownKey)?;
    let mut bytes = if state.has_begun { Vec::new() } else { state.format.head()? };
    bytes.extend(state.format.lines(&sessions)?);
    state.has_begun = true;
    let is_last = i64::try_from(sessions.len()).is_ok_and(|count| count < PER_PAGE_MAX);
    let next = match sessions.last() {
        Some(last) if !is_last => {
            state.cursor = Some(last.sequence);
            Some(state)
        }
        _ => None,
    };
    Ok((bytes.into(), next))
}

/// Number of chunks that are encoded while one is sent.
const CHUNKS_AHEAD: usize = 2;

struct UnfilteredStream {
    credentials: KeyCredentials,
    query: ExportQuery,
    /// The highest sequence when the request began.
    newest: i64,
}

/// Streams all sessions through the pipeline. Every chunk authorizes the key again.
fn stream_plain(exporter: Data<Exporter>, db: Data<Db>, plain: UnfilteredStream) -> HttpResponse {
    let format = plain.query.format;
    let head = stream::once(ready(format.head().map(Bytes::from)));
    let plain = Arc::new(plain);
    let chunks = chunk_ranges(plain.newest, plain.query.request.order).map(move |range| {
        // A task of its own reads the rows at once; a slow client would otherwise block the pipeline.
        let chunk = spawn(encode_chunk(exporter.clone(), db.clone(), Arc::clone(&plain), range));
        async { chunk.await.map_err(AppError::broken)? }
    });
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    let chunks = stream::iter(chunks).buffered(CHUNKS_AHEAD);
    response::attachment(&mut response, format).streaming(head.chain(chunks))
}

/// The sequences up to `newest` in chunks of a thousand.
fn chunk_ranges(newest: i64, order: SortOrder) -> impl Iterator<Item = SequenceRange> {
    let count = (newest + PER_PAGE_MAX - 1) / PER_PAGE_MAX;
    (0..count).map(move |number| {
        let number = if order == SortOrder::Ascending { number } else { count - 1 - number };
        let after = number * PER_PAGE_MAX;
        SequenceRange { after, last: newest.min(after + PER_PAGE_MAX) }
    })
}

async fn encode_chunk(
    exporter: Data<Exporter>,
    db: Data<Db>,
    plain: Arc<UnfilteredStream>,
    range: SequenceRange,
) -> Result<Bytes, AppError> {
    let (credentials, query) = (&plain.credentials, &plain.query);
    match pipelined_queries::encode_chunk(exporter.pipeline(), credentials, query, range).await? {
        PipelineReply::Rows(lines) => return Ok(lines.into_value().into()),
        PipelineReply::Denied => return Err(AppError::UnknownKey),
        PipelineReply::Unavailable => {}
    }
    let (reader, request) = (ExportPrincipal::ApiKey(credentials.clone()), query.request.clone());
    let found = db.run(move |connection| {
        let cursor = if request.order == SortOrder::Ascending { range.after } else { range.last + 1 };
        store::load_chunk(connection, &reader, &request, Some(cursor), range.last)
    });
    query.format.lines(&found.await?.ok_or(AppError::UnknownKey)?).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once_in_both_orders() {
        for newest in [0, 1, 999, 1000, 1001, 2500] {
            for order in [SortOrder::Ascending, SortOrder::Descending] {
                let mut sequences: Vec<i64> = Vec::new();
                for SequenceRange { after, last } in chunk_ranges(newest, order) {
                    let chunk = after + 1..=last;
                    if order == SortOrder::Ascending {
                        sequences.extend(chunk);
                    } else {
                        sequences.extend(chunk.rev());
                    }
                }
                if order == SortOrder::Descending {
                    sequences.reverse();
                }
                assert_eq!(sequences, (1..=newest).collect::<Vec<_>>(), "{newest} {order:?}");
            }
        }
    }
}
