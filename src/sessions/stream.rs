//! Everything as a file.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use futures_util::{Stream, stream};

use super::{
    answer::{self, Format},
    desk::Desk,
    export::Asked,
    filtered,
    page_request::{Filter, PER_PAGE_MAX, PageRequest},
    plain_stream::{self, Plain},
    reader::Reader,
    store, totals,
};
use crate::{api_keys::Presented, db::Db, error::AppError};

/// Everything there was when the call began, a thousand sessions at a time: memory does not grow with their number,
/// and a key that is deleted meanwhile ends the stream (the connection is cut, so that it does not look complete).
pub(crate) async fn everything(
    key: &Presented,
    asked: Asked,
    (desk, db): (Data<Desk>, Data<Db>),
) -> Result<HttpResponse, AppError> {
    let found = key.run(|connection, credentials| {
        let newest = store::newest_of(connection, credentials)?;
        Ok(newest.map(|newest| (credentials.clone(), newest)))
    });
    let (credentials, newest) = found.await?;
    if asked.request.is_plain() {
        return Ok(plain_stream::answer(desk, db, Plain { credentials, asked, newest }));
    }
    Ok(answer_with(Reader::Program(credentials), asked.format, asked.request, newest, db))
}

/// Everything that a member who is logged in may read.
pub(crate) async fn for_member(
    reader: Reader,
    format: Format,
    request: PageRequest,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let client = reader.client().clone();
    let newest = db.run(move |connection| totals::total_of(connection, &client, &Filter::default())).await?;
    Ok(answer_with(reader, format, request, newest, db))
}

fn answer_with(
    reader: Reader,
    format: Format,
    request: PageRequest,
    newest: i64,
    db: Data<Db>,
) -> HttpResponse {
    let walk = Walk { reader, format, request, newest, cursor: None, has_begun: false };
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type());
    answer::attachment(&mut response, format).streaming(chunks(db, walk))
}

/// How far a stream has come.
#[derive(Clone)]
struct Walk {
    reader: Reader,
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
        filtered::chunk_of(connection, &asked.reader, &asked.request, asked.cursor, asked.newest)
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
