//! Everything as a file.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    rt::spawn,
    web::{Bytes, Data},
};
use futures_util::{Stream, StreamExt as _, future::ready, stream};

use super::{
    exporter::Exporter,
    pipeline_store::{self, PipelineReply, SequenceRange},
    query::{ExportFormat, ExportQuery, PER_PAGE_MAX, PageRequest, SortOrder},
    response,
    store::{self, ExportReader},
};
use crate::{
    api_keys::{Credentials, PresentedKey},
    db::Db,
    error::AppError,
    sessions::{filter::SessionFilter, queries::total_of},
};

/// Everything there was when the call began, a thousand sessions at a time: memory does not grow with their number,
/// and a key that is deleted meanwhile ends the stream (the connection is cut, so that it does not look complete).
pub(crate) async fn everything(
    key: &PresentedKey,
    asked: ExportQuery,
    (desk, db): (Data<Exporter>, Data<Db>),
) -> Result<HttpResponse, AppError> {
    let found = key.run(|connection, credentials| {
        let newest = store::newest_sequence(connection, credentials)?;
        Ok(newest.map(|newest| (credentials.clone(), newest)))
    });
    let (credentials, newest) = found.await?;
    if asked.request.is_plain() {
        return Ok(plain(desk, db, PlainStream { credentials, asked, newest }));
    }
    Ok(answer_with(ExportReader::Program(credentials), asked.format, asked.request, newest, db))
}

/// Everything that a member who is logged in may read.
pub(crate) async fn for_member(
    reader: ExportReader,
    format: ExportFormat,
    request: PageRequest,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let client = reader.client().clone();
    let newest = db.run(move |connection| total_of(connection, &client, &SessionFilter::default())).await?;
    Ok(answer_with(reader, format, request, newest, db))
}

fn answer_with(
    reader: ExportReader,
    format: ExportFormat,
    request: PageRequest,
    newest: i64,
    db: Data<Db>,
) -> HttpResponse {
    let walk = StreamState { reader, format, request, newest, cursor: None, has_begun: false };
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    response::attachment(&mut response, format).streaming(chunks(db, walk))
}

/// How far a stream has come.
#[derive(Clone)]
struct StreamState {
    reader: ExportReader,
    format: ExportFormat,
    request: PageRequest,
    newest: i64,
    cursor: Option<i64>,
    has_begun: bool,
}

fn chunks(db: Data<Db>, walk: StreamState) -> impl Stream<Item = Result<Bytes, AppError>> {
    stream::try_unfold(Some(walk), move |walk| {
        let db = db.clone();
        async move {
            let Some(walk) = walk else { return Ok(None) };
            next_chunk(&db, walk).await.map(Some)
        }
    })
}

async fn next_chunk(db: &Db, mut walk: StreamState) -> Result<(Bytes, Option<StreamState>), AppError> {
    let asked = walk.clone();
    let found = db.run(move |connection| {
        store::load_chunk(connection, &asked.reader, &asked.request, asked.cursor, asked.newest)
    });
    let sessions = found.await?.ok_or(AppError::UnknownKey)?;
    let mut bytes = if walk.has_begun { Vec::new() } else { walk.format.head()? };
    bytes.extend(walk.format.lines(&sessions)?);
    walk.has_begun = true;
    let is_last = i64::try_from(sessions.len()).is_ok_and(|count| count < PER_PAGE_MAX);
    let goes_on = match sessions.last() {
        Some(last) if !is_last => {
            walk.cursor = Some(last.sequence);
            Some(walk)
        }
        _ => None,
    };
    Ok((bytes.into(), goes_on))
}

/// So many pieces are made while one is written out.
const AHEAD: usize = 2;

/// What is streamed, to whom, and the newest session there was at the beginning.
struct PlainStream {
    pub(crate) credentials: Credentials,
    pub(crate) asked: ExportQuery,
    pub(crate) newest: i64,
}

/// The stream. With every piece of it the key is asked for again; once it is not let in, the stream is cut.
fn plain(desk: Data<Exporter>, db: Data<Db>, plain: PlainStream) -> HttpResponse {
    let format = plain.asked.format;
    let head = stream::once(ready(format.head().map(Bytes::from)));
    let plain = Arc::new(plain);
    let pieces = ranges(plain.newest, plain.asked.request.order).map(move |range| {
        // A task of its own: rows that nobody takes would hold up the pipeline, and whoever reads slowly takes none.
        let piece = spawn(piece_of(desk.clone(), db.clone(), Arc::clone(&plain), range));
        async { piece.await.map_err(AppError::broken)? }
    });
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    let pieces = stream::iter(pieces).buffered(AHEAD);
    response::attachment(&mut response, format).streaming(head.chain(pieces))
}

/// The sequences up to `newest` in pieces of a thousand.
fn ranges(newest: i64, order: SortOrder) -> impl Iterator<Item = SequenceRange> {
    let count = (newest + PER_PAGE_MAX - 1) / PER_PAGE_MAX;
    (0..count).map(move |number| {
        let number = if order == SortOrder::Ascending { number } else { count - 1 - number };
        let after = number * PER_PAGE_MAX;
        SequenceRange { after, last: newest.min(after + PER_PAGE_MAX) }
    })
}

async fn piece_of(
    desk: Data<Exporter>,
    db: Data<Db>,
    plain: Arc<PlainStream>,
    range: SequenceRange,
) -> Result<Bytes, AppError> {
    match pipeline_store::piece_of(desk.pipeline(), &plain.credentials, &plain.asked, range).await? {
        PipelineReply::Found(lines) => return Ok(lines.into()),
        PipelineReply::Refused => return Err(AppError::UnknownKey),
        PipelineReply::Unanswered => {}
    }
    let (reader, request) = (ExportReader::Program(plain.credentials.clone()), plain.asked.request.clone());
    let found = db.run(move |connection| {
        let before = if request.order == SortOrder::Ascending { range.after } else { range.last + 1 };
        store::load_chunk(connection, &reader, &request, Some(before), range.last)
    });
    plain.asked.format.lines(&found.await?.ok_or(AppError::UnknownKey)?).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once_in_both_orders() {
        for newest in [0, 1, 999, 1000, 1001, 2500] {
            for order in [SortOrder::Ascending, SortOrder::Descending] {
                let mut sequences: Vec<i64> = Vec::new();
                for SequenceRange { after, last } in ranges(newest, order) {
                    let piece = after + 1..=last;
                    if order == SortOrder::Ascending {
                        sequences.extend(piece);
                    } else {
                        sequences.extend(piece.rev());
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
