//! Streamed exports: all sessions as a file.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{
    HttpResponse,
    rt::spawn,
    web::{Bytes, Data},
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::ready, stream};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    exporter::Exporter,
    pipelined_queries::{self, SESSION_BYTES, SequenceRange},
    query::{ExportFormat, ExportQuery, PER_PAGE_MAX, SessionPageRequest, SortOrder},
    response,
    store::{self, ChunkRange, ExportPrincipal},
};
use crate::{
    api_keys::{AuthorizedReply, KeyCredentials, PipelineReply, PresentedKey},
    db::Db,
    error::AppError,
    sessions::{
        filter::SessionFilter,
        queries::{SEARCHED_AT_ONCE, count_matching},
        session::Session,
    },
    web::connection::response_body::log_broken_stream,
};

/// Maximum number of large chunks in memory.
const LARGE_CHUNKS_MAX: usize = 16;
/// Approximate size of a large chunk, in bytes.
const LARGE_CHUNK_BYTES: usize = 1_000_000;
/// Approximate size of a small chunk, in bytes. Each chunk costs a statement that authorizes the key.
const SMALL_CHUNK_BYTES: usize = 32_000;

/// Shared by all streams of the process. Those that find no room, because there are many or because their clients do not
/// read, go on with small chunks. So none waits, and memory stays bounded.
static LARGE_CHUNKS: Semaphore = Semaphore::const_new(LARGE_CHUNKS_MAX);

/// The size of a chunk. Must live as long as its bytes.
struct ChunkReservation {
    /// 1 to [`PER_PAGE_MAX`].
    sessions: i64,
    _permit: Option<SemaphorePermit<'static>>,
}

impl ChunkReservation {
    fn new(session_size: &SessionSize) -> Self {
        let permit = LARGE_CHUNKS.try_acquire().ok();
        let bytes = if permit.is_some() { LARGE_CHUNK_BYTES } else { SMALL_CHUNK_BYTES };
        let sessions = i64::try_from(bytes / session_size.bytes()).unwrap_or(PER_PAGE_MAX);
        Self { sessions: sessions.clamp(1, PER_PAGE_MAX), _permit: permit }
    }
}

/// The size of an encoded session in the chunks of a stream so far.
struct SessionSize(AtomicUsize);

impl Default for SessionSize {
    fn default() -> Self {
        Self(AtomicUsize::new(SESSION_BYTES))
    }
}

impl SessionSize {
    fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn update(&self, chunk_bytes: usize, sessions: i64) {
        let average = usize::try_from(sessions).ok().and_then(|sessions| chunk_bytes.checked_div(sessions));
        self.0.store(average.unwrap_or(SESSION_BYTES).max(1), Ordering::Relaxed);
    }
}

/// All sessions that existed when the request began, in chunks, so memory does not grow with their number.
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
            let session_size = SessionSize::default();
            return stream_plain(exporter, db, UnfilteredStream { credentials, query, newest, session_size });
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
    let chunks = chunks(db, state).inspect_err(log_broken_stream);
    response::attachment(&mut response, format).streaming(chunks)
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

    /// The range of the next chunk. A search goes on in ascending order, a piece at a time.
    fn next_range(&self, count: i64) -> ChunkRange {
        let searched_to = self.cursor.unwrap_or(0).saturating_add(SEARCHED_AT_ONCE);
        let newest =
            if self.request.filter.needs_scan() { self.newest.min(searched_to) } else { self.newest };
        ChunkRange { cursor: self.cursor, newest, count }
    }

    /// The state after these sessions, which were found in the range; `None` after the last chunk.
    fn after_chunk(mut self, range: ChunkRange, sessions: &[Session]) -> Option<Self> {
        let is_full = i64::try_from(sessions.len()).is_ok_and(|found| found >= range.count);
        self.cursor = match sessions.last() {
            Some(last) if is_full => Some(last.sequence),
            _ if range.newest < self.newest => Some(range.newest),
            _ => return None,
        };
        self.has_begun = true;
        Some(self)
    }
}

fn chunks(db: Data<Db>, state: ExportStreamState) -> impl Stream<Item = Result<Bytes, AppError>> {
    let session_size = Arc::new(SessionSize::default());
    stream::try_unfold((Some(state), None), move |(state, sent)| {
        let (db, session_size) = (db.clone(), Arc::clone(&session_size));
        async move {
            drop::<Option<ChunkReservation>>(sent);
            let Some(state) = state else { return Ok(None) };
            let reservation = ChunkReservation::new(&session_size);
            let chunk = next_chunk(&db, state, reservation.sessions).await?;
            session_size.update(chunk.bytes.len(), chunk.sessions);
            Ok(Some((chunk.bytes, (chunk.next, Some(reservation)))))
        }
    })
}

struct EncodedChunk {
    bytes: Bytes,
    /// Number of sessions in it.
    sessions: i64,
    /// `None` after the last chunk.
    next: Option<ExportStreamState>,
}

/// A chunk of up to `count` sessions. Within a search it may be empty.
async fn next_chunk(db: &Db, state: ExportStreamState, count: i64) -> Result<EncodedChunk, AppError> {
    let range = state.next_range(count);
    let (reader, request) = (state.reader.clone(), state.request.clone());
    let found = db.run(move |connection| store::load_chunk(connection, &reader, &request, range));
    let sessions = found.await?.ok_or(AppError::UnknownKey)?;
    let mut bytes = if state.has_begun { Vec::new() } else { state.format.head()? };
    bytes.extend(state.format.lines(&sessions)?);
    Ok(EncodedChunk {
        bytes: bytes.into(),
        sessions: i64::try_from(sessions.len()).unwrap_or(i64::MAX),
        next: state.after_chunk(range, &sessions),
    })
}

/// Number of chunks that are encoded while one is sent.
const CHUNKS_AHEAD: usize = 2;

struct UnfilteredStream {
    credentials: KeyCredentials,
    query: ExportQuery,
    /// The highest sequence when the request began.
    newest: i64,
    session_size: SessionSize,
}

/// Streams all sessions through the pipeline. Every chunk authorizes the key again.
fn stream_plain(exporter: Data<Exporter>, db: Data<Db>, plain: UnfilteredStream) -> HttpResponse {
    let format = plain.query.format;
    let head = stream::once(ready(format.head().map(Bytes::from)));
    let (newest, order) = (plain.newest, plain.query.request.order);
    let plain = Arc::new(plain);
    let shared = Arc::clone(&plain);
    let ranges = chunk_ranges(newest, order, move || ChunkReservation::new(&shared.session_size));
    let chunks = ranges.map(move |(range, reservation)| {
        // A task of its own reads the rows at once; a slow client would otherwise block the pipeline.
        let chunk = spawn(encode_chunk(exporter.clone(), db.clone(), Arc::clone(&plain), range));
        async move {
            let chunk: Bytes = chunk.await.map_err(AppError::broken)??;
            Ok::<_, AppError>((chunk, reservation))
        }
    });
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    let chunks = stream::iter(chunks).buffered(CHUNKS_AHEAD).scan(None, |sending, chunk| {
        ready(Some(chunk.map(|(bytes, reservation)| {
            // By now the chunk before this one is sent.
            *sending = Some(reservation);
            bytes
        })))
    });
    response::attachment(&mut response, format).streaming(head.chain(chunks).inspect_err(log_broken_stream))
}

/// The sequences up to `newest` in chunks. `reserve` decides the size of each when it begins.
fn chunk_ranges(
    newest: i64,
    order: SortOrder,
    reserve: impl Fn() -> ChunkReservation,
) -> impl Iterator<Item = (SequenceRange, ChunkReservation)> {
    let mut rest = SequenceRange { after: 0, last: newest };
    iter::from_fn(move || {
        if rest.after >= rest.last {
            return None;
        }
        let (reservation, mut range) = (reserve(), rest);
        if order == SortOrder::Ascending {
            range.last = range.last.min(range.after + reservation.sessions);
            rest.after = range.last;
        } else {
            range.after = range.after.max(range.last - reservation.sessions);
            rest.last = range.after;
        }
        Some((range, reservation))
    })
}

async fn encode_chunk(
    exporter: Data<Exporter>,
    db: Data<Db>,
    plain: Arc<UnfilteredStream>,
    range: SequenceRange,
) -> Result<Bytes, AppError> {
    let chunk = load_chunk(&exporter, &db, &plain, range).await?;
    plain.session_size.update(chunk.len(), range.last - range.after);
    Ok(chunk)
}

async fn load_chunk(
    exporter: &Exporter,
    db: &Db,
    plain: &UnfilteredStream,
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
        let count = range.last - range.after;
        let range = ChunkRange { cursor: Some(cursor), newest: range.last, count };
        store::load_chunk(connection, &reader, &request, range)
    });
    query.format.lines(&found.await?.ok_or(AppError::UnknownKey)?).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once_in_both_orders() {
        for newest in [0, 1, 49, 50, 51, 999, 1000, 1001, 2500] {
            for order in [SortOrder::Ascending, SortOrder::Descending] {
                let size = std::cell::Cell::new(50);
                let reserve = || {
                    let sessions = size.replace(1050 - size.get());
                    ChunkReservation { sessions, _permit: None }
                };
                let mut sequences: Vec<i64> = Vec::new();
                for (SequenceRange { after, last }, _) in chunk_ranges(newest, order, reserve) {
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

    #[test]
    fn chunks_shrink_with_the_size_of_sessions_and_without_room() {
        let sessions = |size: &SessionSize| ChunkReservation::new(size);
        let size = SessionSize::default();
        assert_eq!(sessions(&size).sessions, 1000);
        size.update(100 * 4000, 100);
        assert_eq!(sessions(&size).sessions, 250);
        size.update(0, 0);
        assert_eq!(sessions(&size).sessions, 1000);
        let all: Vec<_> = std::iter::repeat_with(|| sessions(&size)).take(LARGE_CHUNKS_MAX + 1).collect();
        assert_eq!(all.last().unwrap().sessions, 32);
        drop(all);
        size.update(10_000_000, 1);
        assert_eq!(sessions(&size).sessions, 1);
    }
}
