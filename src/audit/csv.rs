//! The audit log as a CSV file (RFC 4180).

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use diesel::PgConnection;
use futures_util::{TryStreamExt as _, stream};

use super::{
    list::{self, AuditFilter},
    log::record::AuditRecord,
};
use crate::{
    accounts::{self, SignedIn},
    db::Db,
    error::AppError,
    ids::ClientId,
    web::{
        connection::response_body::log_broken_stream,
        format::{csv, hex, time::rfc3339_micros},
    },
};

/// Records per query, about 100 kB. A download that is not read holds this many in memory.
const CHUNK: i64 = 200;
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

/// Progress of a download.
struct DownloadState {
    /// The last record sent.
    before: Option<i64>,
    signed_in: SignedIn,
    filter: AuditFilter,
    db: Data<Db>,
}

/// Streams the records that match, newest first. The stream breaks off once the user is no longer a member.
pub(crate) fn download(signed_in: SignedIn, filter: AuditFilter, db: Data<Db>) -> HttpResponse {
    let start = DownloadState { before: None, signed_in, filter, db };
    let chunks = stream::try_unfold(Some(start), async |state| {
        let Some(state) = state else { return Ok(None) };
        let records = load_chunk(&state).await?;
        let bytes = lines(state.before.is_none(), &records)?;
        let is_last = i64::try_from(records.len()).is_ok_and(|count| count < CHUNK);
        let last = records.last().filter(|_| !is_last);
        let next = last.map(|last| DownloadState { before: Some(last.sequence), ..state });
        Ok::<_, AppError>(Some((Bytes::from(bytes), next)))
    });
    csv::download("audit-log.csv").streaming(Box::pin(chunks.inspect_err(log_broken_stream)))
}

/// Passes the whole log of a client to `write`, in chunks, newest first.
///
/// # Errors
/// If the database or `write` fails.
pub(crate) fn export(
    connection: &mut PgConnection,
    client: &ClientId,
    mut write: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let records = list::load_older(connection, client, &AuditFilter::default(), before, CHUNK)?;
        write(&lines(before.is_none(), &records)?)?;
        let Some(last) = records.last() else { return Ok(()) };
        before = Some(last.sequence);
    }
}

async fn load_chunk(state: &DownloadState) -> Result<Vec<AuditRecord>, AppError> {
    let (filter, before) = (state.filter.clone(), state.before);
    let (client, user_id) = (state.signed_in.client(), state.signed_in.user_id);
    let load = move |connection: &mut PgConnection| {
        if !accounts::is_member(connection, &client, user_id)? {
            return Err(AppError::SignedOut);
        }
        Ok(list::load_older(connection, &client, &filter, before, CHUNK)?)
    };
    state.db.run(load).await
}

fn lines(has_header: bool, records: &[AuditRecord]) -> Result<Vec<u8>, AppError> {
    let header = has_header.then(|| COLUMNS.map(str::to_owned));
    csv::lines(header.into_iter().chain(records.iter().map(cells)))
}

fn cells(record: &AuditRecord) -> [String; COLUMNS.len()] {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        record.sequence.to_string(),
        rfc3339_micros(record.at),
        record.act.clone(),
        record.actor_kind.clone(),
        or_empty(&record.actor),
        or_empty(&record.target),
        or_empty(&record.related),
        record.details.clone(),
        record.address.map(|network| network.addr().to_string()).unwrap_or_default(),
        record.request_id.map(|id| id.to_string()).unwrap_or_default(),
        hex(&record.previous_hash),
        hex(&record.hash),
        record.client_id.clone(),
    ]
}
