//! Writing the tables `key_usage`, `key_last_uses`, `key_errors` and `usage_batches`.

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Inet, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use ipnet::IpNet;
use uuid::Uuid;

use super::meter::{ERRORS_KEPT, UsageCounts};
use crate::{
    ids::{ClientId, PublicKey},
    schema::clients,
};

/// Hours older than this are deleted.
const KEPT_DAYS: i32 = 400;
/// So many rows are deleted at once.
const SWEEP_MAX: i64 = 1000;

/// Counts that a node stores once, however often it tries.
#[derive(Debug)]
pub struct UsageBatch {
    /// The process.
    pub node: Uuid,
    /// 1, 2, 3 … of this node.
    pub number: i64,
    /// What was counted.
    pub counts: UsageCounts,
}

/// Adds the counts to what is there, unless this very batch was added before.
///
/// Rows are joined to their keys: what was counted for a key that is gone since (a backup was restored) is left out, and
/// does not keep the rest from being stored.
///
/// # Errors
/// Those of the database; then nothing was stored, or all of it.
pub fn keep(connection: &mut PgConnection, batch: &UsageBatch) -> QueryResult<()> {
    connection.transaction(|connection| {
        if is_new(connection, batch)? {
            add_tallies(connection, &batch.counts)?;
            set_last_uses(connection, &batch.counts)?;
            add_errors(connection, &batch.counts)?;
        }
        Ok(())
    })
}

fn is_new(connection: &mut PgConnection, batch: &UsageBatch) -> QueryResult<bool> {
    let changed = sql_query(
        "insert into usage_batches (node_id, number) values ($1, $2) \
         on conflict (node_id) do update set number = excluded.number, stored_at = now() \
         where usage_batches.number < excluded.number",
    )
    .bind::<SqlUuid, _>(batch.node)
    .bind::<BigInt, _>(batch.number)
    .execute(connection)?;
    Ok(changed == 1)
}

/// The first two columns of rows.
fn owners<T>(rows: &[(ClientId, PublicKey, T)]) -> (Vec<&str>, Vec<&str>) {
    rows.iter().map(|(client, key, _)| (client.as_str(), key.as_str())).unzip()
}

/// The values of one column of rows.
fn column<'a, T, V>(rows: &'a [(ClientId, PublicKey, T)], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(|(_, _, row)| value(row)).collect()
}

fn add_tallies(connection: &mut PgConnection, counts: &UsageCounts) -> QueryResult<()> {
    let rows = &counts.tallies;
    let (clients, keys) = owners(rows);
    sql_query(
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select counted.client_id, counted.public_key, to_timestamp(hour * 3600), endpoint, status_class, requests \
         from unnest($1, $2, $3, $4, $5, $6) \
           as counted (client_id, public_key, hour, endpoint, status_class, requests) \
         join api_keys using (client_id, public_key) \
         order by 1, 2, 3, 4, 5 \
         on conflict (client_id, public_key, hour, endpoint, status_class) \
         do update set requests = key_usage.requests + excluded.requests",
    )
    .bind::<Array<Text>, _>(clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<BigInt>, _>(column(rows, |it| it.hour))
    .bind::<Array<Text>, _>(column(rows, |it| it.endpoint.as_str()))
    .bind::<Array<SmallInt>, _>(column(rows, |it| it.status_class))
    .bind::<Array<BigInt>, _>(column(rows, |it| it.requests))
    .execute(connection)
    .map(|_| ())
}

fn set_last_uses(connection: &mut PgConnection, counts: &UsageCounts) -> QueryResult<()> {
    let rows = &counts.last_uses;
    let (clients, keys) = owners(rows);
    sql_query(
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select used.client_id, used.public_key, used_at, address, user_agent \
         from unnest($1, $2, $3, $4, $5) as used (client_id, public_key, used_at, address, user_agent) \
         join api_keys using (client_id, public_key) \
         order by 1, 2 \
         on conflict (client_id, public_key) \
         do update set used_at = excluded.used_at, address = excluded.address, user_agent = excluded.user_agent \
         where key_last_uses.used_at < excluded.used_at",
    )
    .bind::<Array<Text>, _>(clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<Timestamptz>, _>(column(rows, |it| it.used_at))
    .bind::<Array<Inet>, _>(column(rows, |it| IpNet::from(it.address)))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |it| {
        Some(it.user_agent.as_str()).filter(|agent| !agent.is_empty())
    }))
    .execute(connection)
    .map(|_| ())
}

fn add_errors(connection: &mut PgConnection, counts: &UsageCounts) -> QueryResult<()> {
    let rows = &counts.errors;
    if rows.is_empty() {
        return Ok(());
    }
    let (clients, keys) = owners(rows);
    sql_query(
        "insert into key_errors (client_id, request_id, public_key, answered_at, endpoint, status, code) \
         select told.client_id, request_id, told.public_key, answered_at, endpoint, status, code \
         from unnest($1, $2, $3, $4, $5, $6, $7) \
           as told (client_id, public_key, request_id, answered_at, endpoint, status, code) \
         join api_keys using (client_id, public_key) \
         on conflict (client_id, request_id) do nothing",
    )
    .bind::<Array<Text>, _>(&clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<SqlUuid>, _>(column(rows, |it| it.request_id))
    .bind::<Array<Timestamptz>, _>(column(rows, |it| it.answered_at))
    .bind::<Array<Text>, _>(column(rows, |it| it.endpoint.as_str()))
    .bind::<Array<SmallInt>, _>(column(rows, |it| it.status))
    .bind::<Array<Text>, _>(column(rows, |it| it.code))
    .execute(connection)?;
    let mut touched = clients;
    touched.sort_unstable();
    touched.dedup();
    touched.into_iter().try_for_each(|client| forget_old_errors(connection, client))
}

fn forget_old_errors(connection: &mut PgConnection, client: &str) -> QueryResult<()> {
    let oldest_kept = i64::try_from(ERRORS_KEPT).unwrap_or(i64::MAX) - 1;
    sql_query(
        "delete from key_errors where client_id = $1 and request_id < \
         (select request_id from key_errors where client_id = $1 order by request_id desc offset $2 limit 1)",
    )
    .bind::<Text, _>(client)
    .bind::<BigInt, _>(oldest_kept)
    .execute(connection)
    .map(|_| ())
}

/// Deletes hours that are older than [`KEPT_DAYS`] of the first client after `after`, at most [`SWEEP_MAX`] rows.
/// Returns the client to go on after: the same as long as it has more; `None` when there is no other client.
///
/// # Errors
/// Those of the database.
pub fn sweep(connection: &mut PgConnection, after: &str) -> QueryResult<Option<String>> {
    let next = clients::table
        .filter(clients::client_id.gt(after))
        .order(clients::client_id)
        .select(clients::client_id)
        .first::<String>(connection)
        .optional()?;
    let Some(client) = next else {
        forget_ended_nodes(connection)?;
        return Ok(None);
    };
    let deleted = sql_query(
        "delete from key_usage where client_id = $1 and (public_key, hour, endpoint, status_class) in \
         (select public_key, hour, endpoint, status_class from key_usage \
          where client_id = $1 and hour < now() - make_interval(days => $2) order by hour limit $3)",
    )
    .bind::<Text, _>(&client)
    .bind::<diesel::sql_types::Integer, _>(KEPT_DAYS)
    .bind::<BigInt, _>(SWEEP_MAX)
    .execute(connection)?;
    let has_more = i64::try_from(deleted).is_ok_and(|deleted| deleted == SWEEP_MAX);
    Ok(Some(if has_more { after.to_owned() } else { client }))
}

/// A batch is tried again within seconds; whoever has stored none for a day tries none again.
fn forget_ended_nodes(connection: &mut PgConnection) -> QueryResult<()> {
    sql_query("delete from usage_batches where stored_at < now() - interval '1 day'")
        .execute(connection)
        .map(|_| ())
}
