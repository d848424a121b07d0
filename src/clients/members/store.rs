//! Queries for the members of a client.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::Role,
    db::sql::lower,
    ids::ClientId,
    schema::{api_keys, memberships, users},
};

/// Maximum number of members that the page shows.
pub(super) const MEMBERS_MAX: i64 = 500;

/// A member of a client.
#[derive(Clone, Debug, Queryable)]
pub(super) struct Member {
    pub(super) user_id: Uuid,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) role: Role,
    /// Disabled members cannot log in.
    pub(super) is_enabled: bool,
}

/// The members of a client by name: at most one more than [`MEMBERS_MAX`], so that the caller knows whether there are
/// more.
pub(super) fn list(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Vec<Member>> {
    memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client))
        .order((lower(users::name), users::user_id))
        .limit(MEMBERS_MAX + 1)
        .select((users::user_id, users::name, users::email, memberships::role, users::disabled_at.is_null()))
        .load(connection)
}

/// A member of the client. Fails with `NotFound` if the user is none.
pub(super) fn find(connection: &mut PgConnection, client: &ClientId, user_id: Uuid) -> QueryResult<Member> {
    memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client).and(memberships::user_id.eq(user_id)))
        .select((users::user_id, users::name, users::email, memberships::role, users::disabled_at.is_null()))
        .first(connection)
}

/// The name of a user who created a key of the client, whether or not still a member. Fails with `NotFound` for any other
/// user.
pub(super) fn find_key_creator(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
) -> QueryResult<String> {
    api_keys::table
        .inner_join(users::table.on(users::user_id.nullable().eq(api_keys::created_by)))
        .filter(api_keys::client_id.eq(client).and(users::user_id.eq(user_id)))
        .select(users::name)
        .first(connection)
}
