//! Reading what was counted, for pages.

use std::{collections::HashMap, net::IpAddr};

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Bool, Inet, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::{
    ids::{ClientId, PublicKey},
    schema::api_keys,
};

/// So many keys are shown of those that are used most.
const TOP_KEYS: i64 = 10;
/// So many of the last answers with an error are shown.
const ERRORS_SHOWN: i64 = 20;

/// The last time that a key was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: DateTime<Utc>,
    /// From where.
    pub address: IpAddr,
    /// What the program calls itself, if it says.
    pub user_agent: Option<String>,
}

/// How much a key is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// `None`: never.
    pub last: Option<LastUse>,
    /// Requests in this hour and the 23 before.
    pub calls_of_day: i64,
    /// Requests in this hour and the 167 before.
    pub calls_of_week: i64,
}

/// How much each key of the client is used; a key that is not there was never used.
///
/// # Errors
/// Those of the database.
pub fn of_keys(connection: &mut PgConnection, client: &ClientId) -> QueryResult<HashMap<String, KeyUse>> {
    uses(connection, client, None)
}

/// How much one key of the client is used.
///
/// # Errors
/// Those of the database.
pub fn of_key(connection: &mut PgConnection, client: &ClientId, key: &PublicKey) -> QueryResult<KeyUse> {
    uses(connection, client, Some(key)).map(|mut uses| uses.remove(key.as_str()).unwrap_or_default())
}

#[derive(QueryableByName)]
struct LastUseRow {
    #[diesel(sql_type = Text)]
    public_key: String,
    #[diesel(sql_type = Timestamptz)]
    used_at: DateTime<Utc>,
    #[diesel(sql_type = Inet)]
    address: IpNet,
    #[diesel(sql_type = Nullable<Text>)]
    user_agent: Option<String>,
    #[diesel(sql_type = BigInt)]
    of_day: i64,
    #[diesel(sql_type = BigInt)]
    of_week: i64,
}

fn uses(
    connection: &mut PgConnection,
    client: &ClientId,
    key: Option<&PublicKey>,
) -> QueryResult<HashMap<String, KeyUse>> {
    let rows: Vec<LastUseRow> = sql_query(
        "select u.public_key, u.used_at, u.address, u.user_agent, \
           coalesce(calls.of_day, 0)::bigint as of_day, coalesce(calls.of_week, 0)::bigint as of_week \
         from key_last_uses u left join lateral ( \
           select sum(requests) as of_week, \
             sum(requests) filter (where hour > now() - interval '24 hours') as of_day \
           from key_usage where client_id = u.client_id and public_key = u.public_key \
             and hour > now() - interval '7 days') calls on true \
         where u.client_id = $1 and ($2::text is null or u.public_key = $2)",
    )
    .bind::<Text, _>(client.as_str())
    .bind::<Nullable<Text>, _>(key.map(PublicKey::as_str))
    .load(connection)?;
    let use_of = |row: LastUseRow| {
        let last = LastUse { at: row.used_at, address: row.address.addr(), user_agent: row.user_agent };
        let key_use = KeyUse { last: Some(last), calls_of_day: row.of_day, calls_of_week: row.of_week };
        (row.public_key, key_use)
    };
    Ok(rows.into_iter().map(use_of).collect())
}

/// Whose requests are looked at, and from when on.
#[derive(Clone, Debug)]
pub(crate) struct UsageScope {
    pub(crate) client: ClientId,
    /// `None`: all keys of the client.
    pub(crate) key: Option<PublicKey>,
    pub(crate) since: DateTime<Utc>,
}

/// What a page of usage shows.
#[derive(Debug)]
pub(crate) struct UsageTotals {
    pub(crate) hours: Vec<HourTotals>,
    pub(crate) endpoints: Vec<EndpointUsage>,
    /// The keys that are used most; none when one key is looked at.
    pub(crate) keys: Vec<KeyUsage>,
    pub(crate) errors: Vec<RecentError>,
}

/// An hour in which there were requests.
#[derive(Debug, QueryableByName)]
pub(crate) struct HourTotals {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) begin: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub(crate) good: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) errors: i64,
}

/// What was asked.
#[derive(Debug, QueryableByName)]
pub(crate) struct EndpointUsage {
    #[diesel(sql_type = Text)]
    pub(crate) endpoint: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) requests: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) errors: i64,
}

/// Who asked.
#[derive(Debug, QueryableByName)]
pub(crate) struct KeyUsage {
    #[diesel(sql_type = Text)]
    pub(crate) public_key: String,
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    #[diesel(sql_type = Bool)]
    pub(crate) is_deleted: bool,
    #[diesel(sql_type = BigInt)]
    pub(crate) requests: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) errors: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub(crate) used_at: Option<DateTime<Utc>>,
}

/// An answer with an error.
#[derive(Debug, QueryableByName)]
pub(crate) struct RecentError {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) request_id: Uuid,
    #[diesel(sql_type = Text)]
    pub(crate) public_key: String,
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) answered_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub(crate) endpoint: String,
    #[diesel(sql_type = SmallInt)]
    pub(crate) status: i16,
    #[diesel(sql_type = Text)]
    pub(crate) code: String,
}

/// A key as it was or is.
#[derive(Clone, Debug, Queryable)]
pub(crate) struct KnownKey {
    pub(crate) name: String,
    pub(crate) deleted_at: Option<DateTime<Utc>>,
}

/// A key of the client, also one that was deleted.
///
/// # Errors
/// `NotFound` when the client never had it; those of the database.
pub(crate) fn find_key(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &PublicKey,
) -> QueryResult<KnownKey> {
    api_keys::table
        .find((client.as_str(), key.as_str()))
        .select((api_keys::name, api_keys::deleted_at))
        .first(connection)
}

/// Everything that a page of usage shows.
///
/// # Errors
/// Those of the database.
pub(crate) fn figures(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<UsageTotals> {
    Ok(UsageTotals {
        hours: of_hours(connection, scope)?,
        endpoints: of_endpoints(connection, scope)?,
        keys: if scope.key.is_none() { most_used(connection, scope)? } else { Vec::new() },
        errors: last_errors(connection, scope)?,
    })
}

fn of_hours(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<HourTotals>> {
    sql_query(
        "select hour as begin, coalesce(sum(requests) filter (where status_class < 4), 0)::bigint as good, \
           coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
         from key_usage where client_id = $1 and ($2::text is null or public_key = $2) and hour >= $3 \
         group by hour order by hour",
    )
    .bind::<Text, _>(scope.client.as_str())
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<Timestamptz, _>(scope.since)
    .load(connection)
}

fn of_endpoints(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<EndpointUsage>> {
    sql_query(
        "select endpoint, sum(requests)::bigint as requests, \
           coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
         from key_usage where client_id = $1 and ($2::text is null or public_key = $2) and hour >= $3 \
         group by endpoint order by requests desc, endpoint",
    )
    .bind::<Text, _>(scope.client.as_str())
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<Timestamptz, _>(scope.since)
    .load(connection)
}

fn most_used(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<KeyUsage>> {
    sql_query(
        "select most.public_key, k.name, k.deleted_at is not null as is_deleted, most.requests, most.errors, \
           u.used_at \
         from (select client_id, public_key, sum(requests)::bigint as requests, \
             coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
           from key_usage where client_id = $1 and hour >= $2 \
           group by client_id, public_key order by 3 desc, 2 limit $3) most \
         join api_keys k on k.client_id = most.client_id and k.public_key = most.public_key \
         left join key_last_uses u on u.client_id = most.client_id and u.public_key = most.public_key \
         order by most.requests desc, most.public_key",
    )
    .bind::<Text, _>(scope.client.as_str())
    .bind::<Timestamptz, _>(scope.since)
    .bind::<BigInt, _>(TOP_KEYS)
    .load(connection)
}

fn last_errors(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<RecentError>> {
    sql_query(
        "select e.request_id, e.public_key, k.name, e.answered_at, e.endpoint, e.status, e.code \
         from key_errors e join api_keys k on k.client_id = e.client_id and k.public_key = e.public_key \
         where e.client_id = $1 and ($2::text is null or e.public_key = $2) \
         order by e.request_id desc limit $3",
    )
    .bind::<Text, _>(scope.client.as_str())
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<BigInt, _>(ERRORS_SHOWN)
    .load(connection)
}
