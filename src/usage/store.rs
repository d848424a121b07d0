//! Writes the tables `key_usage`, `key_last_uses`, `key_errors`, `usage_batches` and `shard_usage_batches`.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{BoxedSqlQuery, SqlQuery},
    sql_query,
    sql_types::{Array, BigInt, Inet, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use ipnet::IpNet;
use uuid::Uuid;

use super::meter::{ERRORS_MAX, UsageDeltas, UsageRow};
use crate::schema::clients;

/// Counts of older hours are deleted.
const RETENTION_DAYS: i32 = 400;
/// Maximum number of rows that one call of [`delete_old_counts`] deletes.
const DELETED_ROWS_MAX: i64 = 1000;

/// Counts of a node that are stored only once, even if they are sent several times.
#[derive(Debug)]
pub struct UsageBatch {
    /// Unique per process.
    pub node: Uuid,
    /// Consecutive per node, from 1.
    pub number: i64,
    pub counts: UsageDeltas,
}

/// Adds the counts to the stored ones, unless this batch was added before.
///
/// Joins the rows to their keys. Counts of a key that no longer exists, because a backup was restored, are skipped;
/// otherwise their foreign key would prevent the whole batch from being stored.
///
/// # Errors
/// If the database fails. Then either nothing or the whole batch was stored.
pub fn save_batch(connection: &mut PgConnection, batch: &UsageBatch) -> QueryResult<()> {
    connection.transaction(|connection| {
        if mark_as_stored(connection, batch)? { add_counts(connection, &batch.counts, None) } else { Ok(()) }
    })
}

/// Where tables are distributed: as [`save_batch`], for a batch whose clients are all in one shard. Every statement needs
/// only the server of that shard, so the counts of its clients are stored while other servers are down.
///
/// # Errors
/// As [`save_batch`].
pub fn save_shard_batch(connection: &mut PgConnection, batch: &UsageBatch) -> QueryResult<()> {
    let clients = batch.counts.clients();
    let Some(first) = clients.first() else { return Ok(()) };
    connection.transaction(|connection| {
        if mark_as_stored_in_shard(connection, batch, first)? {
            add_counts(connection, &batch.counts, Some(clients.as_slice()))
        } else {
            Ok(())
        }
    })
}

/// `shard_clients` are the clients of the only shard that the counts are for.
fn add_counts(
    connection: &mut PgConnection,
    counts: &UsageDeltas,
    shard_clients: Option<&[&str]>,
) -> QueryResult<()> {
    add_hour_counts(connection, counts, shard_clients)?;
    set_last_uses(connection, counts, shard_clients)?;
    add_errors(connection, counts, shard_clients)
}

/// Returns whether the batch is new.
fn mark_as_stored_in_shard(
    connection: &mut PgConnection,
    batch: &UsageBatch,
    client: &str,
) -> QueryResult<bool> {
    let changed = sql_query(
        "insert into shard_usage_batches as stored (client_id, node_id, number) values ($1, $2, $3) \
         on conflict (client_id, node_id) do update set number = excluded.number, stored_at = excluded.stored_at \
         where stored.number < excluded.number",
    )
    .bind::<Text, _>(client)
    .bind::<SqlUuid, _>(batch.node)
    .bind::<BigInt, _>(batch.number)
    .execute(connection)?;
    Ok(changed == 1)
}

/// Returns whether the batch is new.
fn mark_as_stored(connection: &mut PgConnection, batch: &UsageBatch) -> QueryResult<bool> {
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

/// Returns the columns `client_id` and `public_key` of all rows.
fn key_columns<T>(rows: &[UsageRow<T>]) -> (Vec<&str>, Vec<&str>) {
    rows.iter().map(|row| (row.client.as_str(), row.public_key.as_str())).unzip()
}

/// Returns one of the other columns of all rows.
fn column<'a, T, V>(rows: &'a [UsageRow<T>], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(|row| value(&row.values)).collect()
}

/// The condition that lets Citus find the only shard of a statement; nothing without one.
fn of_shard(shard_clients: Option<&[&str]>, parameter: u8) -> String {
    shard_clients.map_or_else(String::new, |_clients| format!("where api_keys.client_id = any(${parameter})"))
}

/// Binds the clients as the last parameter, if [`of_shard`] has it.
fn execute_in_shard(
    connection: &mut PgConnection,
    statement: BoxedSqlQuery<'_, Pg, SqlQuery>,
    shard_clients: Option<&[&str]>,
) -> QueryResult<()> {
    match shard_clients {
        Some(clients) => statement.bind::<Array<Text>, _>(clients).execute(connection),
        None => statement.execute(connection),
    }
    .map(|_rows| ())
}

fn add_hour_counts(
    connection: &mut PgConnection,
    counts: &UsageDeltas,
    shard_clients: Option<&[&str]>,
) -> QueryResult<()> {
    let rows = &counts.hour_counts;
    let (clients, keys) = key_columns(rows);
    let insert = sql_query(format!(
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select api_keys.client_id, api_keys.public_key, to_timestamp(hour * 3600), endpoint, status_class, requests \
         from unnest($1, $2, $3, $4, $5, $6) \
           as counted (client_id, public_key, hour, endpoint, status_class, requests) \
         join api_keys using (client_id, public_key) {} \
         order by 1, 2, 3, 4, 5 \
         on conflict (client_id, public_key, hour, endpoint, status_class) \
         do update set requests = key_usage.requests + excluded.requests",
        of_shard(shard_clients, 7)
    ))
    .into_boxed::<Pg>()
    .bind::<Array<Text>, _>(clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<BigInt>, _>(column(rows, |values| values.hour))
    .bind::<Array<Text>, _>(column(rows, |values| values.endpoint.as_str()))
    .bind::<Array<SmallInt>, _>(column(rows, |values| values.status_class))
    .bind::<Array<BigInt>, _>(column(rows, |values| values.requests));
    execute_in_shard(connection, insert, shard_clients)
}

fn set_last_uses(
    connection: &mut PgConnection,
    counts: &UsageDeltas,
    shard_clients: Option<&[&str]>,
) -> QueryResult<()> {
    let rows = &counts.last_uses;
    let (clients, keys) = key_columns(rows);
    let insert = sql_query(format!(
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select api_keys.client_id, api_keys.public_key, used_at, address, user_agent \
         from unnest($1, $2, $3, $4, $5) as used (client_id, public_key, used_at, address, user_agent) \
         join api_keys using (client_id, public_key) {} \
         order by 1, 2 \
         on conflict (client_id, public_key) \
         do update set used_at = excluded.used_at, address = excluded.address, user_agent = excluded.user_agent \
         where key_last_uses.used_at < excluded.used_at",
        of_shard(shard_clients, 6)
    ))
    .into_boxed::<Pg>()
    .bind::<Array<Text>, _>(clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<Timestamptz>, _>(column(rows, |values| values.used_at))
    .bind::<Array<Inet>, _>(column(rows, |values| IpNet::from(values.address)))
    .bind::<Array<Nullable<Text>>, _>(column(rows, |values| {
        Some(values.user_agent.as_str()).filter(|agent| !agent.is_empty())
    }));
    execute_in_shard(connection, insert, shard_clients)
}

fn add_errors(
    connection: &mut PgConnection,
    counts: &UsageDeltas,
    shard_clients: Option<&[&str]>,
) -> QueryResult<()> {
    let rows = &counts.errors;
    if rows.is_empty() {
        return Ok(());
    }
    let (clients, keys) = key_columns(rows);
    let insert = sql_query(format!(
        "insert into key_errors (client_id, request_id, public_key, answered_at, endpoint, status, code) \
         select api_keys.client_id, request_id, api_keys.public_key, answered_at, endpoint, status, code \
         from unnest($1, $2, $3, $4, $5, $6, $7) \
           as failed (client_id, public_key, request_id, answered_at, endpoint, status, code) \
         join api_keys using (client_id, public_key) {} \
         on conflict (client_id, request_id) do nothing",
        of_shard(shard_clients, 8)
    ))
    .into_boxed::<Pg>()
    .bind::<Array<Text>, _>(&clients)
    .bind::<Array<Text>, _>(keys)
    .bind::<Array<SqlUuid>, _>(column(rows, |values| values.request_id))
    .bind::<Array<Timestamptz>, _>(column(rows, |values| values.answered_at))
    .bind::<Array<Text>, _>(column(rows, |values| values.endpoint.as_str()))
    .bind::<Array<SmallInt>, _>(column(rows, |values| values.status))
    .bind::<Array<Text>, _>(column(rows, |values| values.code));
    execute_in_shard(connection, insert, shard_clients)?;
    let mut clients_with_errors = clients;
    clients_with_errors.sort_unstable();
    clients_with_errors.dedup();
    clients_with_errors.into_iter().try_for_each(|client| delete_old_errors(connection, client))
}

/// Deletes all but the last [`ERRORS_MAX`] errors.
fn delete_old_errors(connection: &mut PgConnection, client: &str) -> QueryResult<()> {
    let oldest_kept = i64::try_from(ERRORS_MAX).unwrap_or(i64::MAX) - 1;
    sql_query(
        "delete from key_errors where client_id = $1 and request_id < \
         (select request_id from key_errors where client_id = $1 order by request_id desc offset $2 limit 1)",
    )
    .bind::<Text, _>(client)
    .bind::<BigInt, _>(oldest_kept)
    .execute(connection)
    .map(|_| ())
}

/// Deletes what shards have noted of nodes that no longer run. A running node tries a batch again within seconds.
pub(super) fn delete_ended_nodes_in_shard(connection: &mut PgConnection, client: &str) -> QueryResult<()> {
    sql_query("delete from shard_usage_batches where client_id = $1 and stored_at < now() - interval '1 day'")
        .bind::<Text, _>(client)
        .execute(connection)
        .map(|_rows| ())
}

/// Deletes old hours of the first client whose ID is greater than `after`. Returns the ID to pass next time: `after` again
/// if the client may have more old hours, otherwise the client's, or `None` after the last client.
///
/// # Errors
/// If the database fails.
pub fn delete_old_counts(connection: &mut PgConnection, after: &str) -> QueryResult<Option<String>> {
    let next = clients::table
        .filter(clients::client_id.gt(after))
        .order(clients::client_id)
        .select(clients::client_id)
        .first::<String>(connection)
        .optional()?;
    let Some(client) = next else {
        delete_ended_nodes(connection)?;
        return Ok(None);
    };
    let deleted = sql_query(
        "delete from key_usage where client_id = $1 and (public_key, hour, endpoint, status_class) in \
         (select public_key, hour, endpoint, status_class from key_usage \
          where client_id = $1 and hour < now() - make_interval(days => $2) order by hour limit $3)",
    )
    .bind::<Text, _>(&client)
    .bind::<diesel::sql_types::Integer, _>(RETENTION_DAYS)
    .bind::<BigInt, _>(DELETED_ROWS_MAX)
    .execute(connection)?;
    let has_more = i64::try_from(deleted).is_ok_and(|deleted| deleted == DELETED_ROWS_MAX);
    Ok(Some(if has_more { after.to_owned() } else { client }))
}

/// A running node retries a batch within seconds, so one that has stored nothing for a day will not send its last again.
fn delete_ended_nodes(connection: &mut PgConnection) -> QueryResult<()> {
    sql_query("delete from usage_batches where stored_at < now() - interval '1 day'")
        .execute(connection)
        .map(|_| ())
}
