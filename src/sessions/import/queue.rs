//! Imports that wait for a worker, or have waited too long. These queries search the imports of all clients.
//!
//! A search locks nothing, because rows of several clients cannot be locked together where tables are distributed. Each
//! import that it finds is locked on its own, and only if it still is as the search found it.

use diesel::{
    dsl::{IntervalDsl as _, now},
    pg::Pg,
    prelude::*,
    sql_types::{Bool, Nullable, Timestamptz},
};
use uuid::Uuid;

use super::{
    job::{ImportId, ImportJob, ImportState},
    store::discard,
};
use crate::{ids::ClientId, schema::imports};

/// A worker without a heartbeat for this long is considered dead, and another takes over its import.
const LEASE_SECONDS: i32 = 15;
/// An unfinished import is discarded after this many hours.
const KEPT_HOURS: i32 = 24;
/// Maximum number of waiting imports that a worker tries to claim, the oldest first. Other workers may be faster.
const CANDIDATES_MAX: i64 = 20;
const ENDED_STATES: [ImportState; 3] = [ImportState::Done, ImportState::Failed, ImportState::Discarded];

/// Assigns to `worker` the oldest import that has none, or whose worker is dead or is `predecessor`.
pub(super) fn claim(
    connection: &mut PgConnection,
    predecessor: Uuid,
    worker: Uuid,
) -> QueryResult<Option<ImportJob>> {
    let waiting: Vec<(ClientId, Uuid)> = imports::table
        .filter(is_claimable(predecessor))
        .order(imports::created_at)
        .limit(CANDIDATES_MAX)
        .select((imports::client_id, imports::import_id))
        .load(connection)?;
    for (client, id) in waiting {
        if let Some(import) = claim_one(connection, &ImportId { client, id }, predecessor, worker)? {
            return Ok(Some(import));
        }
    }
    Ok(None)
}

/// Assigns the import to `worker`, unless another worker has it by now.
fn claim_one(
    connection: &mut PgConnection,
    import: &ImportId,
    predecessor: Uuid,
    worker: Uuid,
) -> QueryResult<Option<ImportJob>> {
    connection.transaction(|connection| {
        let row = imports::table.find((&import.client, import.id));
        let claimable: Option<ImportJob> = row
            .filter(is_claimable(predecessor))
            .select(ImportJob::as_select())
            .for_update()
            .skip_locked()
            .first(connection)
            .optional()?;
        if claimable.is_some() {
            diesel::update(row)
                .set((imports::worker.eq(worker), imports::heartbeat_at.eq(now)))
                .execute(connection)?;
        }
        Ok(claimable)
    })
}

/// The import is to be worked on and has no worker, or its worker is dead or is `predecessor`.
fn is_claimable(
    predecessor: Uuid,
) -> Box<dyn BoxableExpression<imports::table, Pg, SqlType = Nullable<Bool>>> {
    let oldest = now.into_sql::<Timestamptz>() - LEASE_SECONDS.seconds();
    let has_no_worker = imports::heartbeat_at
        .is_null()
        .or(imports::heartbeat_at.lt(oldest.nullable()))
        .or(imports::worker.eq(predecessor));
    let is_running = imports::state.eq_any([ImportState::Checking, ImportState::Importing]);
    Box::new(is_running.and(has_no_worker))
}

/// Discards imports that were begun more than [`KEPT_HOURS`] ago and have not ended.
pub(super) fn discard_old(connection: &mut PgConnection) -> QueryResult<()> {
    let oldest = now.into_sql::<Timestamptz>() - KEPT_HOURS.hours();
    let old: Vec<(ClientId, Uuid)> = imports::table
        .filter(imports::created_at.lt(oldest))
        .filter(imports::state.ne_all(ENDED_STATES))
        .select((imports::client_id, imports::import_id))
        .load(connection)?;
    old.into_iter().try_for_each(|(client, id)| discard_unfinished(connection, &ImportId { client, id }))
}

/// Discards the import, unless it has ended by now or another transaction works on it.
fn discard_unfinished(connection: &mut PgConnection, import: &ImportId) -> QueryResult<()> {
    connection.transaction(|connection| {
        let unfinished = imports::table
            .find((&import.client, import.id))
            .filter(imports::state.ne_all(ENDED_STATES))
            .select(imports::import_id)
            .for_update()
            .skip_locked()
            .first::<Uuid>(connection)
            .optional()?;
        unfinished.map_or(Ok(()), |_id| discard(connection, import))
    })
}
