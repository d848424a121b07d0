//! The tables `key_rate_limits` and `attempt_rate_limits`.
//!
//! PostgreSQL's clock decides when a limit is available again, so that the clocks of nodes may differ.

use std::{num::NonZeroU32, time::Duration};

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Binary, Double, Integer, Text},
};

use super::{key_limit::KeyLimit, shared_bucket::StoredUse, subject::AttemptSubject};
use crate::{
    ids::{ClientId, PublicKey},
    web::limits::limit_kind::LimitKind,
};

/// The window of every limit, in microseconds.
const WINDOW_MICROSECONDS: u32 = 60_000_000;
/// Maximum number of rows that an exchange reads, those that are used most. Each is a key or address in use at the moment.
const ROWS_MAX: i64 = 100_000;

/// The use of a key's limit by all nodes.
pub(super) struct StoredKeyUse {
    pub(super) limit: KeyLimit,
    pub(super) stored: StoredUse,
}

/// Attempts to be added.
pub(super) struct NewAttempts {
    pub(super) subject: AttemptSubject,
    pub(super) per_minute: NonZeroU32,
    pub(super) count: i64,
}

/// An attempt that was counted, or refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedAttempt {
    pub(super) is_allowed: bool,
    /// Until the whole limit is available again.
    pub(super) until_full: Duration,
}

/// The use of an address's limit by all nodes.
pub(super) struct StoredAttemptUse {
    pub(super) subject: AttemptSubject,
    pub(super) stored: StoredUse,
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    client_id: ClientId,
    #[diesel(sql_type = Text)]
    public_key: PublicKey,
    #[diesel(sql_type = Integer)]
    requests_per_minute: i32,
    #[diesel(sql_type = BigInt)]
    used: i64,
    #[diesel(sql_type = Double)]
    seconds_until_full: f64,
}

#[derive(QueryableByName)]
struct AttemptRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Binary)]
    subject_hash: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    used: i64,
    #[diesel(sql_type = Double)]
    seconds_until_full: f64,
}

#[derive(QueryableByName)]
struct UntilFullRow {
    #[diesel(sql_type = Double)]
    seconds_until_full: f64,
}

/// Adds requests and returns every limit that is in use.
pub(super) fn exchange_keys(
    connection: &mut PgConnection,
    used: &[(KeyLimit, i64)],
) -> QueryResult<Vec<StoredKeyUse>> {
    if !used.is_empty() {
        add_key_use(connection, used)?;
    }
    let rows: Vec<KeyRow> = sql_query(
        "select client_id, public_key, requests_per_minute, used, \
         extract(epoch from full_at - now())::float8 as seconds_until_full \
         from key_rate_limits where full_at > now() order by full_at desc limit $1",
    )
    .bind::<BigInt, _>(ROWS_MAX)
    .load(connection)?;
    Ok(rows.into_iter().filter_map(KeyRow::into_use).collect())
}

fn add_key_use(connection: &mut PgConnection, used: &[(KeyLimit, i64)]) -> QueryResult<()> {
    let limits = || used.iter().map(|(limit, _)| limit);
    let per_minute = limits().map(|limit| i32::try_from(limit.per_minute.get()).unwrap_or(i32::MAX));
    sql_query(
        "insert into key_rate_limits as stored (client_id, public_key, requests_per_minute, used, full_at) \
         select client_id, public_key, per_minute, used, now() + used * (60000000 / per_minute) * interval '1 microsecond' \
         from unnest($1, $2, $3, $4) as sent (client_id, public_key, per_minute, used) \
         order by 1, 2, 3 \
         on conflict (client_id, public_key, requests_per_minute) do update \
         set used = stored.used + excluded.used, full_at = greatest(stored.full_at, now()) + (excluded.full_at - now())",
    )
    .bind::<Array<Text>, _>(limits().map(|limit| limit.client.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(limits().map(|limit| limit.public_key.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(per_minute.collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(used.iter().map(|(_, tokens)| *tokens).collect::<Vec<_>>())
    .execute(connection)
    .map(|_rows| ())
}

/// Adds bad keys and questions and returns every limit of an address that is in use.
pub(super) fn exchange_attempts(
    connection: &mut PgConnection,
    new: &[NewAttempts],
) -> QueryResult<Vec<StoredAttemptUse>> {
    if !new.is_empty() {
        add_attempts(connection, new)?;
    }
    let rows: Vec<AttemptRow> = sql_query(
        "select kind, subject_hash, used, extract(epoch from full_at - now())::float8 as seconds_until_full \
         from attempt_rate_limits where full_at > now() and kind in ('bad_keys', 'questions') \
         order by full_at desc limit $1",
    )
    .bind::<BigInt, _>(ROWS_MAX)
    .load(connection)?;
    Ok(rows.into_iter().filter_map(AttemptRow::into_use).collect())
}

fn add_attempts(connection: &mut PgConnection, new: &[NewAttempts]) -> QueryResult<()> {
    let microseconds = new.iter().map(|it| it.count * i64::from(WINDOW_MICROSECONDS / it.per_minute));
    sql_query(
        "insert into attempt_rate_limits as stored (kind, subject_hash, used, full_at) \
         select kind, subject_hash, used, now() + microseconds * interval '1 microsecond' \
         from unnest($1, $2, $3, $4) as sent (kind, subject_hash, used, microseconds) \
         order by 1, 2 \
         on conflict (kind, subject_hash) do update \
         set used = stored.used + excluded.used, full_at = greatest(stored.full_at, now()) + (excluded.full_at - now())",
    )
    .bind::<Array<Text>, _>(new.iter().map(|it| it.subject.kind.as_str()).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(new.iter().map(|it| it.subject.hash.as_slice()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(new.iter().map(|it| it.count).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(microseconds.collect::<Vec<_>>())
    .execute(connection)
    .map(|_rows| ())
}

/// Counts one attempt, unless none is left. Attempts at the same time wait for each other, so the limit holds exactly.
pub(super) fn count_attempt(
    connection: &mut PgConnection,
    subject: &AttemptSubject,
    per_minute: NonZeroU32,
) -> QueryResult<CountedAttempt> {
    let interval = WINDOW_MICROSECONDS / per_minute;
    let counted: Option<UntilFullRow> = sql_query(
        "insert into attempt_rate_limits as stored (kind, subject_hash, used, full_at) \
         values ($1, $2, 1, now() + $3 * interval '1 microsecond') \
         on conflict (kind, subject_hash) do update \
         set used = stored.used + 1, full_at = greatest(stored.full_at, now()) + $3 * interval '1 microsecond' \
         where greatest(stored.full_at, now()) + $3 * interval '1 microsecond' <= now() + $4 * interval '1 microsecond' \
         returning extract(epoch from full_at - now())::float8 as seconds_until_full",
    )
    .bind::<Text, _>(subject.kind.as_str())
    .bind::<Binary, _>(&subject.hash)
    .bind::<BigInt, _>(i64::from(interval))
    .bind::<BigInt, _>(i64::from(interval) * i64::from(per_minute.get()))
    .get_result(connection)
    .optional()?;
    if let Some(row) = counted {
        return Ok(CountedAttempt { is_allowed: true, until_full: duration(row.seconds_until_full) });
    }
    let left: Option<UntilFullRow> = sql_query(
        "select extract(epoch from full_at - now())::float8 as seconds_until_full \
         from attempt_rate_limits where kind = $1 and subject_hash = $2",
    )
    .bind::<Text, _>(subject.kind.as_str())
    .bind::<Binary, _>(&subject.hash)
    .get_result(connection)
    .optional()?;
    let until_full = left.map_or(Duration::ZERO, |row| duration(row.seconds_until_full));
    Ok(CountedAttempt { is_allowed: false, until_full })
}

/// Deletes rows of limits that have been available for a minute.
pub(super) fn delete_full(connection: &mut PgConnection) -> QueryResult<()> {
    for table in ["key_rate_limits", "attempt_rate_limits"] {
        sql_query(format!("delete from {table} where full_at < now() - interval '1 minute'"))
            .execute(connection)?;
    }
    Ok(())
}

impl KeyRow {
    fn into_use(self) -> Option<StoredKeyUse> {
        let per_minute = NonZeroU32::new(u32::try_from(self.requests_per_minute).ok()?)?;
        Some(StoredKeyUse {
            limit: KeyLimit { client: self.client_id, public_key: self.public_key, per_minute },
            stored: StoredUse { total: self.used, until_full: duration(self.seconds_until_full) },
        })
    }
}

impl AttemptRow {
    fn into_use(self) -> Option<StoredAttemptUse> {
        let kind = LimitKind::parse(&self.kind)?;
        Some(StoredAttemptUse {
            subject: AttemptSubject { kind, hash: self.subject_hash },
            stored: StoredUse { total: self.used, until_full: duration(self.seconds_until_full) },
        })
    }
}

/// Zero for a time in the past.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
