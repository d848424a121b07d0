//! The table `idempotency_keys`: a request that is sent twice is executed once.

use diesel::{
    dsl::{IntervalDsl as _, now},
    prelude::*,
    sql_types::{BigInt, Text, Timestamptz},
};

use crate::{error::AppError, ids::ClientId, schema::idempotency_keys};

/// How long the first answer is replayed, in hours.
pub const KEPT_HOURS: i32 = 24;

define_sql_function!(fn pg_try_advisory_xact_lock(key: BigInt) -> Bool);
define_sql_function!(fn hashtextextended(text: Text, seed: BigInt) -> BigInt);

/// The sender's `Idempotency-Key` (1–255 characters) and the SHA-256 of the request.
#[derive(Clone, Debug)]
pub(crate) struct IdempotentRequest {
    pub(crate) key: String,
    pub(crate) fingerprint: Vec<u8>,
}

/// The saved answer to this request. Returns `None` for the first request, which locks the key until the transaction ends.
///
/// # Errors
/// [`AppError::InProgress`] while another transaction holds the key; [`AppError::IdempotencyKeyReused`] if the key was
/// sent with another request.
pub(crate) fn find_answer(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &IdempotentRequest,
) -> Result<Option<String>, AppError> {
    let name = format!("{client} {}", request.key);
    if !diesel::select(pg_try_advisory_xact_lock(hashtextextended(name, 0))).get_result::<bool>(connection)? {
        return Err(AppError::InProgress);
    }
    let mine = idempotency_keys::table.filter(idempotency_keys::client_id.eq(client));
    let oldest = now.into_sql::<Timestamptz>() - KEPT_HOURS.hours();
    diesel::delete(mine.filter(idempotency_keys::created_at.lt(oldest))).execute(connection)?;
    let known: Option<(Vec<u8>, String)> = mine
        .filter(idempotency_keys::idempotency_key.eq(&request.key))
        .select((idempotency_keys::fingerprint, idempotency_keys::answer))
        .first(connection)
        .optional()?;
    match known {
        Some((fingerprint, _)) if fingerprint != request.fingerprint => Err(AppError::IdempotencyKeyReused),
        known => Ok(known.map(|(_, answer)| answer)),
    }
}

/// Saves the answer in the transaction that executes the request.
pub(crate) fn save_answer(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &IdempotentRequest,
    answer: &str,
) -> QueryResult<()> {
    diesel::insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::client_id.eq(client),
            idempotency_keys::idempotency_key.eq(&request.key),
            idempotency_keys::fingerprint.eq(&request.fingerprint),
            idempotency_keys::answer.eq(answer),
        ))
        .execute(connection)
        .map(|_rows| ())
}
