//! Everything as a file, where nothing is filtered: as sequences have no gaps, every piece of it is known beforehand.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    rt::spawn,
    web::{Bytes, Data},
};
use futures_util::{StreamExt as _, future::ready, stream};

use super::{
    answer,
    desk::Desk,
    export::Asked,
    filtered,
    page_request::{Order, PER_PAGE_MAX},
    pipelined::{self, Asking, Range},
    reader::Reader,
};
use crate::{api_keys::Credentials, db::Db, error::AppError};

/// So many pieces are made while one is written out.
const AHEAD: usize = 2;

/// What is streamed, to whom, and the newest session there was at the beginning.
pub(crate) struct Plain {
    pub(crate) credentials: Credentials,
    pub(crate) asked: Asked,
    pub(crate) newest: i64,
}

/// The stream. With every piece of it the key is asked for again; once it is not let in, the stream is cut.
pub(crate) fn answer(desk: Data<Desk>, db: Data<Db>, plain: Plain) -> HttpResponse {
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
    answer::attachment(&mut response, format).streaming(head.chain(pieces))
}

/// The sequences up to `newest` in pieces of a thousand.
fn ranges(newest: i64, order: Order) -> impl Iterator<Item = Range> {
    let count = (newest + PER_PAGE_MAX - 1) / PER_PAGE_MAX;
    (0..count).map(move |number| {
        let number = if order == Order::Ascending { number } else { count - 1 - number };
        let after = number * PER_PAGE_MAX;
        Range { after, last: newest.min(after + PER_PAGE_MAX) }
    })
}

async fn piece_of(
    desk: Data<Desk>,
    db: Data<Db>,
    plain: Arc<Plain>,
    range: Range,
) -> Result<Bytes, AppError> {
    match pipelined::piece_of(desk.pipeline(), &plain.credentials, &plain.asked, range).await? {
        Asking::Found(lines) => return Ok(lines.into()),
        Asking::Refused => return Err(AppError::UnknownKey),
        Asking::Unanswered => {}
    }
    let (reader, request) = (Reader::Program(plain.credentials.clone()), plain.asked.request.clone());
    let found = db.run(move |connection| {
        let before = if request.order == Order::Ascending { range.after } else { range.last + 1 };
        filtered::chunk_of(connection, &reader, &request, Some(before), range.last)
    });
    plain.asked.format.lines(&found.await?.ok_or(AppError::UnknownKey)?).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once_in_both_orders() {
        for newest in [0, 1, 999, 1000, 1001, 2500] {
            for order in [Order::Ascending, Order::Descending] {
                let mut sequences: Vec<i64> = Vec::new();
                for Range { after, last } in ranges(newest, order) {
                    let piece = after + 1..=last;
                    if order == Order::Ascending {
                        sequences.extend(piece);
                    } else {
                        sequences.extend(piece.rev());
                    }
                }
                if order == Order::Descending {
                    sequences.reverse();
                }
                assert_eq!(sequences, (1..=newest).collect::<Vec<_>>(), "{newest} {order:?}");
            }
        }
    }
}
