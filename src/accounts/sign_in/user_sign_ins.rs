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
    audit::{self, AccountEventKind, AuditContext, AuditEvent},
    db::sql::database_now,
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
///
/// # Errors
/// If the database fails.
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
        let ended = diesel::delete(sign_ins::table.filter(of_user)).execute(connection)?;
        record_ended(connection, context, user_id, ended)?;
        Ok(ended > 0)
    })
}

/// Ends all sign-ins of a user, except `kept`. Returns their number.
pub(crate) fn end_all(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    kept: Option<&[u8]>,
) -> QueryResult<usize> {
    connection.transaction(|connection| {
        let ended = delete(connection, user_id, kept)?;
        record_ended(connection, context, user_id, ended)?;
        Ok(ended)
    })
}

/// Deletes all sign-ins of a user, except `kept`, and returns their number. The caller passes it to [`record_ended`], at the
/// end of its transaction.
pub(in crate::accounts) fn delete(
    connection: &mut PgConnection,
    user_id: Uuid,
    kept: Option<&[u8]>,
) -> QueryResult<usize> {
    let of_user = sign_ins::table.filter(sign_ins::user_id.eq(user_id));
    match kept {
        Some(kept) => diesel::delete(of_user.filter(sign_ins::id_hash.ne(kept))).execute(connection),
        None => diesel::delete(of_user).execute(connection),
    }
}

/// Records that `count` sign-ins of a user were ended, unless there were none.
pub(in crate::accounts) fn record_ended(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    count: usize,
) -> QueryResult<()> {
    if count == 0 {
        return Ok(());
    }
    let event = AuditEvent::new(AccountEventKind::SignInEnded).with("count", &count);
    audit::record_account_event(connection, user_id, context, &event)
}
