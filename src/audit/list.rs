//! Queries for the page and the download of the audit log.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use uuid::Uuid;

use super::log::record::AuditRecord;
use crate::{
    ids::{ClientId, PublicKey},
    schema::{api_keys, audit_log, memberships, users},
    web::page::list::{KeysetPage, LOAD_LIMIT, PageDirection},
};

/// Which records of a client are shown. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    pub(crate) act: Option<String>,
    /// A user's id, or a kind of actor such as `system`.
    pub(crate) actor: Option<String>,
    /// The public key of the actor, the target or the related key.
    pub(crate) key: Option<String>,
    pub(crate) from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub(crate) to: Option<DateTime<Utc>>,
}

/// A page of the records that match, newest first.
pub(crate) fn load_page(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &AuditFilter,
    direction: PageDirection<i64>,
) -> QueryResult<KeysetPage<AuditRecord>> {
    let rows = match direction {
        PageDirection::Older(before) => load_older(connection, client, filter, before, LOAD_LIMIT)?,
        PageDirection::Newer(after) => matching(client, filter)
            .filter(audit_log::sequence.gt(after))
            .order(audit_log::sequence)
            .limit(LOAD_LIMIT)
            .select(AuditRecord::as_select())
            .load(connection)?,
    };
    Ok(KeysetPage::new(rows, &direction))
}

/// Up to `limit` matching records before this sequence, or the newest without one; newest first.
pub(crate) fn load_older(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<AuditRecord>> {
    matching(client, filter)
        .filter(audit_log::sequence.lt(before.unwrap_or(i64::MAX)))
        .order(audit_log::sequence.desc())
        .limit(limit)
        .select(AuditRecord::as_select())
        .load(connection)
}

fn matching(client: &ClientId, filter: &AuditFilter) -> audit_log::BoxedQuery<'static, Pg> {
    let mut query = audit_log::table.filter(audit_log::client_id.eq(client.to_string())).into_boxed();
    if let Some(act) = filter.act.clone() {
        query = query.filter(audit_log::act.eq(act));
    }
    if let Some(actor) = filter.actor.clone() {
        query = match actor.parse::<Uuid>() {
            Ok(user_id) => query.filter(audit_log::actor.eq(user_id.to_string())),
            Err(_kind_of_actor) => query.filter(audit_log::actor_kind.eq(actor)),
        };
    }
    if let Some(key) = filter.key.clone() {
        let is_about = audit_log::target.eq(key.clone()).or(audit_log::related.eq(key.clone()));
        query = query.filter(audit_log::actor.eq(key).or(is_about));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_log::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_log::at.lt(to));
    }
    query
}

/// When the first and the latest record of a client were made. Returns `None` if it has none.
pub(crate) fn load_span(
    connection: &mut PgConnection,
    client: &ClientId,
) -> QueryResult<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let all = || matching(client, &AuditFilter::default()).select(audit_log::at).limit(1);
    let first = all().order(audit_log::sequence).first(connection).optional()?;
    let latest = all().order(audit_log::sequence.desc()).first(connection).optional()?;
    Ok(first.zip(latest))
}

/// Id and name of every member, ordered by name.
pub(crate) fn load_members(
    connection: &mut PgConnection,
    client: &ClientId,
) -> QueryResult<Vec<(String, String)>> {
    let members = memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client))
        .order((users::name, users::user_id))
        .select((users::user_id, users::name))
        .load::<(Uuid, String)>(connection)?;
    Ok(members.into_iter().map(|(user_id, name)| (user_id.to_string(), name)).collect())
}

/// The names of the users and API keys in these records, by id and public key. Includes former members and deleted keys.
pub(crate) fn load_names(
    connection: &mut PgConnection,
    client: &ClientId,
    records: &[AuditRecord],
) -> QueryResult<HashMap<String, String>> {
    let ids = || records.iter().flat_map(|record| [&record.actor, &record.target]).flatten();
    let user_ids: Vec<Uuid> = ids().filter_map(|id| id.parse().ok()).collect();
    let public_keys: Vec<&String> = ids().filter(|id| id.parse::<PublicKey>().is_ok()).collect();
    let users = users::table
        .filter(users::user_id.eq_any(user_ids))
        .select((users::user_id, users::name))
        .load::<(Uuid, String)>(connection)?;
    let keys = api_keys::table
        .filter(api_keys::client_id.eq(client).and(api_keys::public_key.eq_any(public_keys)))
        .select((api_keys::public_key, api_keys::name))
        .load::<(String, String)>(connection)?;
    Ok(users.into_iter().map(|(user_id, name)| (user_id.to_string(), name)).chain(keys).collect())
}
