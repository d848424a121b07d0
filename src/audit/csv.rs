//! The audit log as a CSV (RFC 4180), a thousand records at a time.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use futures_util::stream;

use super::{
    list::{self, AuditFilter, Towards},
    log::record::AuditRecord,
};
use crate::{
    accounts::SignedIn,
    db::Db,
    error::AppError,
    web::{csv, format::hex, time::rfc3339},
};

/// Records that are read at a time.
const CHUNK: i64 = 1000;
const COLUMNS: [&str; 13] = [
    "sequence",
    "at",
    "act",
    "actorKind",
    "actor",
    "target",
    "related",
    "details",
    "address",
    "requestId",
    "previousHash",
    "hash",
    "clientId",
];

/// Everything that matches, the newest first; it ends early with whoever is no member any more.
pub(crate) fn answer(signed_in: SignedIn, filter: AuditFilter, db: Data<Db>) -> HttpResponse {
    let begin = Some((Towards::Older(None), signed_in, filter, db));
    let chunks = stream::try_unfold(begin, async |walk| {
        let Some((towards, signed_in, filter, db)) = walk else { return Ok(None) };
        let (asked, client, user_id) = (filter.clone(), signed_in.client(), signed_in.user_id);
        let records = db
            .run(move |connection| {
                if !crate::accounts::is_member(connection, &client, user_id)? {
                    return Err(AppError::SignedOut);
                }
                Ok(list::newest_first(connection, &client, &asked, towards, CHUNK)?)
            })
            .await?;
        let bytes = lines(towards == Towards::Older(None), &records)?;
        let is_last = i64::try_from(records.len()).is_ok_and(|count| count < CHUNK);
        let last = records.last().filter(|_| !is_last).map(|record| record.sequence);
        let goes_on = last.map(|last| (Towards::Older(Some(last)), signed_in, filter, db));
        Ok::<_, AppError>(Some((Bytes::from(bytes), goes_on)))
    });
    csv::download("audit-log.csv").streaming(Box::pin(chunks))
}

fn lines(has_header: bool, records: &[AuditRecord]) -> Result<Vec<u8>, AppError> {
    let header = has_header.then(|| COLUMNS.map(str::to_owned));
    csv::lines(header.into_iter().chain(records.iter().map(cells)))
}

fn cells(record: &AuditRecord) -> [String; COLUMNS.len()] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        record.sequence.to_string(),
        rfc3339(record.at),
        record.act.clone(),
        record.actor_kind.clone(),
        text(&record.actor),
        text(&record.target),
        text(&record.related),
        record.details.clone(),
        record.address.map(|it| it.addr().to_string()).unwrap_or_default(),
        record.request_id.map(|it| it.to_string()).unwrap_or_default(),
        hex(&record.previous_hash),
        hex(&record.hash),
        record.client_id.clone(),
    ]
}
