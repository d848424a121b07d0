//! The sign-ins of a user: listing and ending them.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{IntervalDsl as _, now},
    pg::Pg,
    prelude::*,
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::{
    accounts::sign_in::table::IDLE_HOURS,
    audit::{self, AuditContext, AuditEvent, EventKind},
    db::sql::database_now,
    ids::ClientId,
    schema::sign_ins,
};

/// Maximum number of sign-ins on the page, the last used first.
const LIST_MAX: i64 = 100;

/// A sign-in that has not ended.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = sign_ins, check_for_backend(Pg))]
pub(crate) struct SignInListing {
    pub(crate) id_hash: Vec<u8>,
    pub(crate) user_agent: Option<String>,
    pub(crate) address: Option<IpNet>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_seen_at: DateTime<Utc>,
}

/// The sign-ins of a user that have not ended, the last used first.
pub(crate) fn list(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<Vec<SignInListing>> {
    sign_ins::table
        .filter(sign_ins::user_id.eq(user_id))
        .filter(sign_ins::ends_at.gt(now))
        .filter(sign_ins::last_seen_at.gt(database_now() - IDLE_HOURS.hours()))
        .order((sign_ins::last_seen_at.desc(), sign_ins::id_hash))
        .limit(LIST_MAX)
        .select(SignInListing::as_select())
        .load(connection)
}

/// Ends one sign-in of a user. Returns `false` if it has ended already.
pub(crate) fn end_one(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    id_hash: &[u8],
) -> QueryResult<bool> {
    connection.transaction(|connection| {
        let of_user = sign_ins::user_id.eq(user_id).and(sign_ins::id_hash.eq(id_hash));
        let ended = diesel::delete(sign_ins::table.filter(of_user))
            .returning(sign_ins::client_id)
            .get_result::<Option<ClientId>>(connection)
            .optional()?;
        if let Some(Some(client)) = &ended {
            audit::record(connection, client, context, &ended_event(user_id))?;
        }
        Ok(ended.is_some())
    })
}

/// Ends all sign-ins of a user, except `kept`. Returns their number.
pub(crate) fn end_others(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    kept: &[u8],
) -> QueryResult<usize> {
    connection.transaction(|connection| {
        let mut clients = delete_others(connection, user_id, kept)?;
        // The order that `audit::record` needs.
        clients.sort_by(|a, b| a.as_ref().map(ClientId::as_str).cmp(&b.as_ref().map(ClientId::as_str)));
        for client in clients.iter().flatten() {
            audit::record(connection, client, context, &ended_event(user_id))?;
        }
        Ok(clients.len())
    })
}

/// Deletes all sign-ins of a user, except `kept`, without recording it. Returns the active client of
/// each, if it had one.
pub(crate) fn delete_others(
    connection: &mut PgConnection,
    user_id: Uuid,
    kept: &[u8],
) -> QueryResult<Vec<Option<ClientId>>> {
    let others = sign_ins::user_id.eq(user_id).and(sign_ins::id_hash.ne(kept));
    diesel::delete(sign_ins::table.filter(others)).returning(sign_ins::client_id).get_results(connection)
}

fn ended_event(user_id: Uuid) -> AuditEvent {
    AuditEvent::new(EventKind::SignInEnded).on(&user_id)
}
