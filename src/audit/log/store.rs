//! The tables `audit_log` and `audit_heads`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{context::AuditContext, event::AuditEvent, record::AuditRecord};
use crate::{
    ids::ClientId,
    schema::{audit_heads, audit_log, clients},
};

define_sql_function! {
    /// The time now; not that of the transaction, which may have waited for the head.
    fn clock_timestamp() -> diesel::sql_types::Timestamptz
}

/// Where the chain of a client ends.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_heads, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ChainHead {
    pub(crate) sequence: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) seal: Vec<u8>,
}

/// Adds a record to the chain of the client, in the transaction of what it tells.
///
/// It locks the head of the chain until that transaction ends. Call it last: who holds a head waits for nothing else, so
/// nobody waits in a circle. Who writes into several chains does so in the order of their clients.
///
/// # Errors
/// Those of the database.
pub fn record(
    connection: &mut PgConnection,
    client: &ClientId,
    trail: &AuditContext,
    act: &AuditEvent,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let (head, at) = next(connection, client)?;
        let mut record = AuditRecord {
            client_id: client.to_string(),
            sequence: head.sequence,
            at,
            actor_kind: trail.actor.kind().to_owned(),
            actor: trail.actor.id(),
            act: act.kind.as_str().to_owned(),
            target: act.target.clone(),
            related: act.related.clone(),
            details: act.details(),
            address: trail.address.map(Into::into),
            request_id: trail.request_id,
            previous_hash: head.hash,
            hash: Vec::new(),
        };
        record.hash = trail.chain.hash(&head.seal, &record);
        let seal = trail.chain.seal(&record.hash);
        diesel::insert_into(audit_log::table).values(&record).execute(connection)?;
        diesel::update(audit_heads::table.find(client.as_str()))
            .set((audit_heads::hash.eq(&record.hash), audit_heads::seal.eq(seal)))
            .execute(connection)
            .map(|_rows| ())
    })
}

/// Takes the next sequence: hash and seal are still those of the record before. A client that has no head, as one that
/// an older version made, gets it here.
fn next(connection: &mut PgConnection, client: &ClientId) -> QueryResult<(ChainHead, DateTime<Utc>)> {
    diesel::insert_into(audit_heads::table)
        .values((audit_heads::client_id.eq(client.as_str()), audit_heads::sequence.eq(1)))
        .on_conflict(audit_heads::client_id)
        .do_update()
        .set(audit_heads::sequence.eq(audit_heads::sequence + 1))
        .returning((ChainHead::as_returning(), clock_timestamp()))
        .get_result(connection)
}

/// Whether the log of the client began with the client, so that its first record tells of its first member.
pub(crate) fn is_from_start(connection: &mut PgConnection, client: &ClientId) -> QueryResult<bool> {
    clients::table.find(client.as_str()).select(clients::audited_from_start).first(connection)
}

/// The head of the client's chain.
pub(crate) fn head(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Option<ChainHead>> {
    audit_heads::table.find(client.as_str()).select(ChainHead::as_select()).first(connection).optional()
}

/// Up to `limit` records of the client after `sequence`, in their order.
pub(crate) fn records_after(
    connection: &mut PgConnection,
    client: &ClientId,
    sequence: i64,
    limit: i64,
) -> QueryResult<Vec<AuditRecord>> {
    audit_log::table
        .filter(audit_log::client_id.eq(client.as_str()).and(audit_log::sequence.gt(sequence)))
        .order(audit_log::sequence)
        .limit(limit)
        .select(AuditRecord::as_select())
        .load(connection)
}

/// The client that has a record with this hash, other than `client`. The one statement across clients: it asks whether
/// a record was copied from one to another.
pub(crate) fn other_owner(
    connection: &mut PgConnection,
    client: &ClientId,
    hash: &[u8],
) -> QueryResult<Option<String>> {
    audit_log::table
        .filter(audit_log::client_id.ne(client.as_str()).and(audit_log::hash.eq(hash)))
        .select(audit_log::client_id)
        .first(connection)
        .optional()
}
