//! Queries on the stored counts, for pages and the API.

use std::{collections::HashMap, net::IpAddr, slice};

use chrono::{DateTime, Days, NaiveDate, Utc};
use diesel::{
    dsl::{IntervalDsl as _, sum},
    prelude::*,
    sql_query,
    sql_types::{BigInt, Bool, Date, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid as SqlUuid},
};
use ipnet::IpNet;
use uuid::Uuid;

use crate::{
    db::sql::database_now,
    ids::{ClientId, PublicKey},
    schema::{api_keys, key_last_uses, key_usage},
    web::format::time::midnight,
};

/// Number of keys in the list of those used most.
const TOP_KEYS: i64 = 10;
const ERRORS_SHOWN: i64 = 20;

define_sql_function!(
    /// A sum of integers as an integer; PostgreSQL adds them up as `numeric`.
    fn int8(sum: Nullable<Numeric>) -> Nullable<BigInt>
);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    pub at: DateTime<Utc>,
    pub address: IpAddr,
    pub user_agent: Option<String>,
}

/// The recent use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyActivity {
    pub last: LastUse,
    /// Requests in the current hour and the 23 hours before it.
    pub requests_last_day: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = key_last_uses)]
struct LastUseRow {
    public_key: PublicKey,
    used_at: DateTime<Utc>,
    address: IpNet,
    user_agent: Option<String>,
}

impl From<LastUseRow> for LastUse {
    fn from(row: LastUseRow) -> Self {
        Self { at: row.used_at, address: row.address.addr(), user_agent: row.user_agent }
    }
}

/// Returns when these keys of the client were last used. Keys that were never used are absent.
///
/// # Errors
/// If the database fails.
pub fn load_last_uses(
    connection: &mut PgConnection,
    client: &ClientId,
    keys: &[PublicKey],
) -> QueryResult<HashMap<PublicKey, LastUse>> {
    let rows: Vec<LastUseRow> = key_last_uses::table
        .filter(key_last_uses::client_id.eq(client).and(key_last_uses::public_key.eq_any(keys)))
        .select(LastUseRow::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(|row| (row.public_key.clone(), row.into())).collect())
}

/// Returns the recent use of these keys of the client. Keys that were never used are absent.
///
/// It reads a row per key, hour, endpoint and class of status. A longer period than a day would take most of the time of a
/// list of keys.
///
/// # Errors
/// If the database fails.
pub fn load_key_activities(
    connection: &mut PgConnection,
    client: &ClientId,
    keys: &[PublicKey],
) -> QueryResult<HashMap<PublicKey, KeyActivity>> {
    let requests: Vec<(PublicKey, Option<i64>)> = key_usage::table
        .filter(key_usage::client_id.eq(client).and(key_usage::public_key.eq_any(keys)))
        .filter(key_usage::hour.gt(database_now() - 24.hours()))
        .group_by(key_usage::public_key)
        .select((key_usage::public_key, int8(sum(key_usage::requests))))
        .load(connection)?;
    let requests: HashMap<_, _> = requests.into_iter().collect();
    let activity = |(key, last)| {
        let requests_last_day = requests.get(&key).copied().flatten().unwrap_or(0);
        (key, KeyActivity { last, requests_last_day })
    };
    Ok(load_last_uses(connection, client, keys)?.into_iter().map(activity).collect())
}

/// Returns the requests in the current hour and the 167 hours before it.
fn load_requests_last_week(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &PublicKey,
) -> QueryResult<i64> {
    let requests: Option<i64> = key_usage::table
        .filter(key_usage::client_id.eq(client).and(key_usage::public_key.eq(key)))
        .filter(key_usage::hour.gt(database_now() - 7.days()))
        .select(int8(sum(key_usage::requests)))
        .first(connection)?;
    Ok(requests.unwrap_or(0))
}

/// Number of days in [`load_daily_requests`].
const DAYS: u32 = 30;

/// The requests with a key on a day in UTC.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct DailyRequests {
    #[diesel(sql_type = Date)]
    pub day: NaiveDate,
    #[diesel(sql_type = BigInt)]
    pub requests: i64,
}

/// The requests with a key on each of the last 30 days, oldest first, including `today`.
///
/// # Errors
/// If the database fails.
pub fn load_daily_requests(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &PublicKey,
    today: NaiveDate,
) -> QueryResult<Vec<DailyRequests>> {
    let days: Vec<NaiveDate> =
        (0..DAYS).rev().filter_map(|ago| today.checked_sub_days(Days::new(ago.into()))).collect();
    let since = days.first().copied().unwrap_or(today);
    let counts: Vec<DailyRequests> = sql_query(
        "select (hour at time zone 'UTC')::date as day, sum(requests)::bigint as requests \
         from key_usage where client_id = $1 and public_key = $2 and hour >= $3 group by 1",
    )
    .bind::<Text, _>(client)
    .bind::<Text, _>(key)
    .bind::<Timestamptz, _>(midnight(since))
    .load(connection)?;
    let requests_on = |day| counts.iter().find(|count| count.day == day).map_or(0, |count| count.requests);
    Ok(days.into_iter().map(|day| DailyRequests { day, requests: requests_on(day) }).collect())
}

#[derive(Clone, Debug)]
pub(crate) struct UsageScope {
    pub(crate) client: ClientId,
    /// `None` for all keys of the client.
    pub(crate) key: Option<PublicKey>,
    pub(crate) since: DateTime<Utc>,
}

/// The data of a [report](super::report_view::UsageReport).
#[derive(Debug)]
pub(crate) struct UsageStatistics {
    /// Hours without requests are absent.
    pub(crate) hours: Vec<HourTotals>,
    pub(crate) endpoints: Vec<EndpointUsage>,
    /// Empty if the scope is one key.
    pub(crate) top_keys: Vec<TopKey>,
    pub(crate) recent_errors: Vec<RecentError>,
}

#[derive(Debug, QueryableByName)]
pub(crate) struct HourTotals {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) hour: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    pub(crate) succeeded: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) errors: i64,
}

#[derive(Debug, QueryableByName)]
pub(crate) struct EndpointUsage {
    #[diesel(sql_type = Text)]
    pub(crate) endpoint: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) requests: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) errors: i64,
}

#[derive(Debug, QueryableByName)]
pub(crate) struct TopKey {
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

/// The data of the page of one key, which may be deleted.
#[derive(Debug)]
pub(crate) struct KeyUsage {
    pub(crate) public_key: PublicKey,
    pub(crate) name: String,
    pub(crate) deleted_at: Option<DateTime<Utc>>,
    /// `None` if the key was never used.
    pub(crate) activity: Option<KeyActivity>,
    pub(crate) requests_last_week: i64,
    pub(crate) totals: UsageStatistics,
}

/// Returns `NotFound` if the client never had this key.
pub(crate) fn load_key_usage(
    connection: &mut PgConnection,
    client: ClientId,
    public_key: PublicKey,
    since: DateTime<Utc>,
) -> QueryResult<KeyUsage> {
    let (name, deleted_at) = api_keys::table
        .find((&client, &public_key))
        .select((api_keys::name, api_keys::deleted_at))
        .first(connection)?;
    let activity =
        load_key_activities(connection, &client, slice::from_ref(&public_key))?.remove(&public_key);
    let requests_last_week = load_requests_last_week(connection, &client, &public_key)?;
    let scope = UsageScope { client, key: Some(public_key.clone()), since };
    let totals = load_totals(connection, &scope)?;
    Ok(KeyUsage { public_key, name, deleted_at, activity, requests_last_week, totals })
}

pub(crate) fn load_totals(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<UsageStatistics> {
    let is_one_key = scope.key.is_some();
    Ok(UsageStatistics {
        hours: load_hours(connection, scope)?,
        endpoints: load_endpoints(connection, scope)?,
        top_keys: if is_one_key { Vec::new() } else { load_top_keys(connection, scope)? },
        recent_errors: load_recent_errors(connection, scope)?,
    })
}

fn load_hours(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<HourTotals>> {
    sql_query(
        "select hour, coalesce(sum(requests) filter (where status_class < 4), 0)::bigint as succeeded, \
           coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
         from key_usage where client_id = $1 and ($2::text is null or public_key = $2) and hour >= $3 \
         group by hour order by hour",
    )
    .bind::<Text, _>(&scope.client)
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<Timestamptz, _>(scope.since)
    .load(connection)
}

fn load_endpoints(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<EndpointUsage>> {
    sql_query(
        "select endpoint, sum(requests)::bigint as requests, \
           coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
         from key_usage where client_id = $1 and ($2::text is null or public_key = $2) and hour >= $3 \
         group by endpoint order by requests desc, endpoint",
    )
    .bind::<Text, _>(&scope.client)
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<Timestamptz, _>(scope.since)
    .load(connection)
}

fn load_top_keys(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<TopKey>> {
    sql_query(
        "select top.public_key, k.name, k.deleted_at is not null as is_deleted, top.requests, top.errors, \
           u.used_at \
         from (select public_key, sum(requests)::bigint as requests, \
             coalesce(sum(requests) filter (where status_class >= 4), 0)::bigint as errors \
           from key_usage where client_id = $1 and hour >= $2 \
           group by public_key order by 2 desc, 1 limit $3) top \
         join api_keys k on k.client_id = $1 and k.public_key = top.public_key \
         left join key_last_uses u on u.client_id = $1 and u.public_key = top.public_key \
         order by top.requests desc, top.public_key",
    )
    .bind::<Text, _>(&scope.client)
    .bind::<Timestamptz, _>(scope.since)
    .bind::<BigInt, _>(TOP_KEYS)
    .load(connection)
}

fn load_recent_errors(connection: &mut PgConnection, scope: &UsageScope) -> QueryResult<Vec<RecentError>> {
    sql_query(
        "select e.request_id, e.public_key, k.name, e.answered_at, e.endpoint, e.status, e.code \
         from key_errors e join api_keys k on k.client_id = e.client_id and k.public_key = e.public_key \
         where e.client_id = $1 and ($2::text is null or e.public_key = $2) \
         order by e.request_id desc limit $3",
    )
    .bind::<Text, _>(&scope.client)
    .bind::<Nullable<Text>, _>(scope.key.as_ref().map(PublicKey::as_str))
    .bind::<BigInt, _>(ERRORS_SHOWN)
    .load(connection)
}
