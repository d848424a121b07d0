//! The tables `audit_log` and `audit_heads`.

use diesel::prelude::*;

use super::{context::AuditContext, event::AuditEvent, record::AuditRecord};
use crate::{
    ids::ClientId,
    schema::{audit_heads, audit_log, clients},
};

define_sql_function! {
    /// The current time. That of the transaction may be earlier, because it may have waited for the head.
    fn clock_timestamp() -> diesel::sql_types::Timestamptz
}

/// The end of a client's chain.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = audit_heads, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ChainHead {
    pub(crate) sequence: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) seal: Vec<u8>,
}

/// Adds a record about one client to its chain. Call it in the transaction of the event, and last.
///
/// It locks the head of the chain until the transaction ends. A transaction that holds a head must wait for no other
/// lock, or there may be deadlocks. One that records in several chains does so in the order of their clients.
///
/// # Errors
/// If the database fails.
pub fn record(
    connection: &mut PgConnection,
    client: &ClientId,
    context: &AuditContext,
    event: &AuditEvent,
) -> QueryResult<()> {
    append(connection, client, context, event.kind.as_str(), event)
}

/// Adds a record of any kind to the client's chain, with three statements that name the client.
pub(super) fn append<Kind>(
    connection: &mut PgConnection,
    client: &ClientId,
    context: &AuditContext,
    act: &str,
    event: &AuditEvent<Kind>,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let head = next_sequence(connection, client)?;
        // A query of its own: on a distributed table `returning` takes no clock.
        let at = diesel::select(clock_timestamp()).get_result(connection)?;
        let mut record = AuditRecord {
            client_id: client.to_string(),
            sequence: head.sequence,
            at,
            actor_kind: context.actor.kind().to_owned(),
            actor: context.actor.id(),
            act: act.to_owned(),
            target: event.target.clone(),
            related: event.related.clone(),
            details: event.details(),
            address: context.address.map(Into::into),
            request_id: context.request_id,
            previous_hash: head.hash,
            hash: Vec::new(),
        };
        record.hash = context.chain.hash(&head.seal, &record);
        let seal = context.chain.seal(&record.hash);
        diesel::insert_into(audit_log::table).values(&record).execute(connection)?;
        diesel::update(audit_heads::table.find(client))
            .set((audit_heads::hash.eq(&record.hash), audit_heads::seal.eq(seal)))
            .execute(connection)
            .map(|_rows| ())
    })
}

/// Locks the head and takes the next sequence. Hash and seal in the result are those of the previous record.
///
/// Clients created by older versions have no head; they get one here.
fn next_sequence(connection: &mut PgConnection, client: &ClientId) -> QueryResult<ChainHead> {
    diesel::insert_into(audit_heads::table)
        .values((audit_heads::client_id.eq(client), audit_heads::sequence.eq(1)))
        .on_conflict(audit_heads::client_id)
        .do_update()
        .set(audit_heads::sequence.eq(audit_heads::sequence + 1))
        .returning(ChainHead::as_returning())
        .get_result(connection)
}

/// Whether the log began with the client. If so, the first record must be about its first member.
pub(crate) fn is_from_start(connection: &mut PgConnection, client: &ClientId) -> QueryResult<bool> {
    clients::table.find(client).select(clients::audited_from_start).first(connection)
}

pub(crate) fn load_head(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Option<ChainHead>> {
    audit_heads::table.find(client).select(ChainHead::as_select()).first(connection).optional()
}

/// Up to `limit` records after `sequence`, oldest first.
pub(crate) fn load_after(
    connection: &mut PgConnection,
    client: &ClientId,
    sequence: i64,
    limit: i64,
) -> QueryResult<Vec<AuditRecord>> {
    audit_log::table
        .filter(audit_log::client_id.eq(client).and(audit_log::sequence.gt(sequence)))
        .order(audit_log::sequence)
        .limit(limit)
        .select(AuditRecord::as_select())
        .load(connection)
}

/// Another client that has a record with this hash: it was copied from there. Queries all clients.
pub(crate) fn find_other_owner(
    connection: &mut PgConnection,
    client: &ClientId,
    hash: &[u8],
) -> QueryResult<Option<String>> {
    audit_log::table
        .filter(audit_log::client_id.ne(client).and(audit_log::hash.eq(hash)))
        .select(audit_log::client_id)
        .first(connection)
        .optional()
}
