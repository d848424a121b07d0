//! The tables `second_factors` and `recovery_codes`.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{IntervalDsl as _, count_star, now},
    pg::Pg,
    prelude::*,
};
use uuid::Uuid;

use crate::{
    db::sql::database_now,
    schema::{recovery_codes, second_factors},
};

/// A set-up that is not completed within this many hours begins again.
const SET_UP_HOURS: i32 = 1;

/// A second factor, being set up or on.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = second_factors, check_for_backend(Pg))]
pub(super) struct StoredFactor {
    /// Encrypted.
    pub(super) secret: Vec<u8>,
    /// `None` while it is being set up.
    pub(super) activated_at: Option<DateTime<Utc>>,
}

/// Locks the factor of a user, so that changes and codes at the same time wait for each other. Returns `None` if there is
/// none, or if its set-up was not completed in time.
pub(super) fn lock(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<Option<StoredFactor>> {
    let is_in_time = second_factors::created_at.gt(database_now() - SET_UP_HOURS.hours());
    second_factors::table
        .find(user_id)
        .filter(second_factors::activated_at.is_not_null().or(is_in_time))
        .select(StoredFactor::as_select())
        .for_no_key_update()
        .first(connection)
        .optional()
}

/// Stores a factor that is being set up, in place of another one that is. The user must be locked and have none that is on.
pub(super) fn insert(connection: &mut PgConnection, user_id: Uuid, secret: &[u8]) -> QueryResult<()> {
    let unfinished = second_factors::table.find(user_id).filter(second_factors::activated_at.is_null());
    diesel::delete(unfinished).execute(connection)?;
    diesel::insert_into(second_factors::table)
        .values((second_factors::user_id.eq(user_id), second_factors::secret.eq(secret)))
        .execute(connection)
        .map(|_rows| ())
}

/// Turns the factor on. The code of this step was used.
pub(super) fn activate(connection: &mut PgConnection, user_id: Uuid, step: i64) -> QueryResult<()> {
    diesel::update(second_factors::table.find(user_id))
        .set((second_factors::activated_at.eq(now), second_factors::last_used_step.eq(step)))
        .execute(connection)
        .map(|_rows| ())
}

/// When the factor was turned on. Returns `None` if it is not on.
pub(super) fn find_activation(
    connection: &mut PgConnection,
    user_id: Uuid,
) -> QueryResult<Option<DateTime<Utc>>> {
    let activated_at = second_factors::table.find(user_id).select(second_factors::activated_at);
    Ok(activated_at.first::<Option<DateTime<Utc>>>(connection).optional()?.flatten())
}

/// Marks the code of a step as used. Returns `false` if it, or the code of a later step, was used before. One statement, so
/// that only one of several requests with the same code succeeds.
pub(super) fn use_step(connection: &mut PgConnection, user_id: Uuid, step: i64) -> QueryResult<bool> {
    let is_unused = second_factors::last_used_step.is_null().or(second_factors::last_used_step.lt(step));
    diesel::update(second_factors::table.find(user_id).filter(is_unused))
        .set(second_factors::last_used_step.eq(step))
        .execute(connection)
        .map(|rows| rows == 1)
}

/// Uses up a recovery code. Returns `false` if the user has no such code, or not any more.
pub(super) fn use_recovery_code(
    connection: &mut PgConnection,
    user_id: Uuid,
    hash: &[u8],
) -> QueryResult<bool> {
    diesel::delete(recovery_codes::table.find((user_id, hash))).execute(connection).map(|rows| rows == 1)
}

/// Replaces all recovery codes of a user.
pub(super) fn replace_recovery_codes(
    connection: &mut PgConnection,
    user_id: Uuid,
    hashes: &[Vec<u8>],
) -> QueryResult<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(user_id))).execute(connection)?;
    let rows =
        hashes.iter().map(|hash| (recovery_codes::user_id.eq(user_id), recovery_codes::code_hash.eq(hash)));
    diesel::insert_into(recovery_codes::table).values(rows.collect::<Vec<_>>()).execute(connection)?;
    Ok(())
}

/// Number of recovery codes that have not been used.
pub(super) fn count_recovery_codes(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<i64> {
    let codes = recovery_codes::table.filter(recovery_codes::user_id.eq(user_id));
    codes.select(count_star()).first(connection)
}

/// Deletes the factor of a user and its recovery codes. Returns `false` if none was on.
pub(super) fn delete(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<bool> {
    let was_on = diesel::delete(second_factors::table.find(user_id))
        .returning(second_factors::activated_at.is_not_null())
        .get_result::<bool>(connection)
        .optional()?;
    Ok(was_on.unwrap_or_default())
}
