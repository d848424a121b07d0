//! The audit log as it is looked at: the newest first, narrowed by a filter.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};
use uuid::Uuid;

use super::log::record::AuditRecord;
use crate::{
    ids::ClientId,
    schema::{audit_log, memberships, users},
};

/// What the log is narrowed to; nothing: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditFilter {
    pub(crate) act: Option<String>,
    /// A user's id, or the word for a kind of actor.
    pub(crate) actor: Option<String>,
    /// Who did it, or to what it was done.
    pub(crate) key: Option<String>,
    pub(crate) from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub(crate) to: Option<DateTime<Utc>>,
}

/// From where in the log, in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    /// Before this sequence; `None`: from the newest.
    Older(Option<i64>),
    /// After this one.
    Newer(i64),
}

/// Up to `limit` records that match, the newest first.
pub(crate) fn newest_first(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &AuditFilter,
    towards: Towards,
    limit: i64,
) -> QueryResult<Vec<AuditRecord>> {
    let matching = matching(client, filter).limit(limit).select(AuditRecord::as_select());
    match towards {
        Towards::Older(before) => matching
            .filter(audit_log::sequence.lt(before.unwrap_or(i64::MAX)))
            .order(audit_log::sequence.desc())
            .load(connection),
        Towards::Newer(after) => {
            let after = matching.filter(audit_log::sequence.gt(after)).order(audit_log::sequence);
            let mut found = after.load(connection)?;
            found.reverse();
            Ok(found)
        }
    }
}

fn matching(client: &ClientId, filter: &AuditFilter) -> audit_log::BoxedQuery<'static, Pg> {
    let mut query = audit_log::table.filter(audit_log::client_id.eq(client.to_string())).into_boxed();
    if let Some(act) = filter.act.clone() {
        query = query.filter(audit_log::act.eq(act));
    }
    if let Some(actor) = filter.actor.clone() {
        query = match actor.parse::<Uuid>() {
            Ok(user_id) => query.filter(audit_log::actor.eq(user_id.to_string())),
            Err(_a_kind) => query.filter(audit_log::actor_kind.eq(actor)),
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

/// Id and name of every member of the client, by name.
pub(crate) fn members(
    connection: &mut PgConnection,
    client: &ClientId,
) -> QueryResult<Vec<(String, String)>> {
    let members = memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client.as_str()))
        .order((users::name, users::user_id))
        .select((users::user_id, users::name))
        .load::<(Uuid, String)>(connection)?;
    Ok(members.into_iter().map(|(user_id, name)| (user_id.to_string(), name)).collect())
}

/// The names of the users that these records are by or about, also of those who are members no more.
pub(crate) fn names(
    connection: &mut PgConnection,
    records: &[AuditRecord],
) -> QueryResult<HashMap<String, String>> {
    let ids: Vec<Uuid> = records
        .iter()
        .flat_map(|record| [&record.actor, &record.target])
        .filter_map(|id| id.as_deref()?.parse().ok())
        .collect();
    let names = users::table
        .filter(users::user_id.eq_any(ids))
        .select((users::user_id, users::name))
        .load::<(Uuid, String)>(connection)?;
    Ok(names.into_iter().map(|(user_id, name)| (user_id.to_string(), name)).collect())
}
