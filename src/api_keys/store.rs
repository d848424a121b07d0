//! Queries for the keys of a client.

use diesel::{
    dsl::{IntervalDsl as _, count_star, now},
    prelude::*,
    sql_types::{Bool, Timestamptz},
};
use uuid::Uuid;

use super::{
    key::{ApiKey, KeyStatus, WARNED_DAYS},
    list_query::{KeyListQuery, KeySort},
};
use crate::{
    db::sql::{database_now, like_pattern, lower},
    ids::{ClientId, PublicKey},
    schema::{api_keys, users},
};

/// Maximum number of expiring keys that the list names.
const WARNED_MAX: u32 = 5;

/// A page of keys.
#[derive(Clone, Debug)]
pub struct KeyPage {
    pub keys: Vec<ApiKey>,
    /// Number of matching keys on all pages.
    pub total: i64,
    /// The first page if the requested one is empty.
    pub page: u32,
}

/// A page of the keys of a client, without deleted ones.
///
/// # Errors
/// If the database fails.
pub fn list(connection: &mut PgConnection, client: &ClientId, query: &KeyListQuery) -> QueryResult<KeyPage> {
    let keys = load_page(connection, client, query)?;
    match keys.first() {
        None if query.page > 1 => {
            let first = KeyListQuery { page: 1, ..query.clone() };
            list(connection, client, &first)
        }
        first => {
            let total = first.map_or(0, |(_, total)| *total);
            Ok(KeyPage { keys: keys.into_iter().map(|(key, _)| key).collect(), total, page: query.page })
        }
    }
}

fn load_page(
    connection: &mut PgConnection,
    client: &ClientId,
    query: &KeyListQuery,
) -> QueryResult<Vec<(ApiKey, i64)>> {
    let mut keys = api_keys::table
        .left_join(users::table.on(users::user_id.nullable().eq(api_keys::created_by)))
        .filter(api_keys::client_id.eq(client).and(api_keys::deleted_at.is_null()))
        .select((ApiKey::as_select(), count_star().over()))
        .into_boxed();
    let (end, replaced) = (api_keys::expires_at, api_keys::replaced_by);
    let warned_from = database_now() + WARNED_DAYS.days();
    // Must agree with `ApiKey::status`.
    keys = match query.status {
        None => keys.filter(replaced.is_null().or(end.gt(now.into_sql::<Timestamptz>().nullable()))),
        Some(KeyStatus::Active) => {
            keys.filter(replaced.is_null().and(end.is_null().or(end.gt(warned_from.nullable()))))
        }
        Some(KeyStatus::Expiring) => {
            keys.filter(replaced.is_null().and(end.gt(now)).and(end.le(warned_from.nullable())))
        }
        Some(KeyStatus::Replaced) => keys.filter(replaced.is_not_null().and(end.gt(now))),
        Some(KeyStatus::Expired) => keys.filter(end.le(now)),
    };
    if let Some(user_id) = query.created_by {
        let creators = load_created_by(connection, client, user_id)?;
        let by_key = api_keys::created_by_key.eq_any(creators);
        keys = keys.filter(api_keys::created_by.eq(user_id).or(by_key));
    }
    if !query.search.is_empty() {
        let pattern = like_pattern(&query.search);
        let user =
            users::name.nullable().ilike(pattern.clone()).or(users::email.nullable().ilike(pattern.clone()));
        let no_user_or_key = api_keys::created_by.is_null().and(api_keys::created_by_key.is_null());
        let creator = user
            .or(api_keys::created_by_key.like(pattern.clone()))
            .or(no_user_or_key.and(query.names_command_line().into_sql::<Bool>()));
        let key = api_keys::name.ilike(pattern.clone()).or(api_keys::public_key.like(pattern));
        keys = keys.filter(key.or(creator));
    }
    keys = match query.sort {
        KeySort::Newest => keys.order((api_keys::created_at.desc(), api_keys::public_key)),
        KeySort::Oldest => keys.order((api_keys::created_at.asc(), api_keys::public_key)),
        KeySort::Name => keys.order((lower(api_keys::name).asc(), api_keys::public_key)),
        KeySort::Expiry => keys.order((end.asc(), api_keys::public_key)),
    };
    let (page, per_page) = (i64::from(query.page.max(1)), i64::from(query.per_page));
    keys.limit(per_page).offset((page - 1) * per_page).load(connection)
}

/// The keys that a user created, those that these keys created, and so on, even if they are deleted.
fn load_created_by(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
) -> QueryResult<Vec<PublicKey>> {
    let all_keys = api_keys::table.filter(api_keys::client_id.eq(client)).select(api_keys::public_key);
    let mut found: Vec<PublicKey> = all_keys.filter(api_keys::created_by.eq(user_id)).load(connection)?;
    let mut newest = found.clone();
    while !newest.is_empty() {
        newest = all_keys.filter(api_keys::created_by_key.eq_any(&newest)).load(connection)?;
        found.extend_from_slice(&newest);
    }
    Ok(found)
}

/// The first [`WARNED_MAX`] keys that are about to expire, and the number of all.
pub(crate) fn list_expiring(connection: &mut PgConnection, client: &ClientId) -> QueryResult<KeyPage> {
    let query = KeyListQuery {
        status: Some(KeyStatus::Expiring),
        sort: KeySort::Expiry,
        per_page: WARNED_MAX,
        ..KeyListQuery::default()
    };
    list(connection, client, &query)
}

/// A key of the client, unless it is deleted.
///
/// # Errors
/// `NotFound` if there is none, or if the database fails.
pub fn find(connection: &mut PgConnection, client: &ClientId, key: &PublicKey) -> QueryResult<ApiKey> {
    find_including_deleted(connection, client, key).and_then(|key| match key.deleted_at {
        None => Ok(key),
        Some(_) => Err(diesel::result::Error::NotFound),
    })
}

/// A key of the client, even if it is deleted.
pub(crate) fn find_including_deleted(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &PublicKey,
) -> QueryResult<ApiKey> {
    api_keys::table
        .find((client, key))
        .left_join(users::table.on(users::user_id.nullable().eq(api_keys::created_by)))
        .select(ApiKey::as_select())
        .first(connection)
}
