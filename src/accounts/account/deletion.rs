//! Deleting a user's account.

use diesel::{
    dsl::{exists, not},
    prelude::*,
};
use uuid::Uuid;

use crate::{
    accounts::{
        membership::{self, pending_invitations::withdraw_all, role::Role},
        store::list_clients,
    },
    audit::{self, AccountLog, AuditContext},
    ids::ClientId,
    schema::{clients, memberships, users},
};

/// The names of the clients that would be left without an owner.
pub type OnlyOwnerOf = Vec<String>;

/// The names of the clients whose only owner is this user. Owners who are disabled do not count: they cannot log in.
pub(super) fn find_only_owned(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<OnlyOwnerOf> {
    let (other_memberships, other_users) =
        diesel::alias!(memberships as other_memberships, users as other_users);
    let other_owner = other_memberships
        .inner_join(
            other_users
                .on(other_users.field(users::user_id).eq(other_memberships.field(memberships::user_id))),
        )
        .filter(other_memberships.field(memberships::client_id).eq(memberships::client_id))
        .filter(other_memberships.field(memberships::user_id).ne(user_id))
        .filter(other_memberships.field(memberships::role).eq(Role::Owner))
        .filter(other_users.field(users::disabled_at).is_null())
        .select(other_users.field(users::user_id));
    let only_owned: Vec<ClientId> = memberships::table
        .filter(memberships::user_id.eq(user_id).and(memberships::role.eq(Role::Owner)))
        .filter(not(exists(other_owner)))
        .select(memberships::client_id)
        .load(connection)?;
    let mut names = load_client_names(connection, &only_owned)?;
    names.sort();
    Ok(names)
}

/// One by one, because clients may be on several servers.
fn load_client_names(connection: &mut PgConnection, clients: &[ClientId]) -> QueryResult<Vec<String>> {
    clients.iter().map(|client| clients::table.find(client).select(clients::name).first(connection)).collect()
}

/// Deletes the user with its memberships, sign-ins and pending invitations. Its API keys stay. Returns the clients that it is the only owner
/// of; then nothing is deleted.
///
/// # Errors
/// If the database fails.
pub fn delete_account(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
) -> QueryResult<Result<(), OnlyOwnerOf>> {
    connection.transaction(|connection| {
        // Two changes at once could leave a client without an owner.
        let clients = list_clients(connection, user_id)?;
        for client in &clients {
            membership::lock_client(connection, client)?;
        }
        let only_owned = find_only_owned(connection, user_id)?;
        if !only_owned.is_empty() {
            return Ok(Err(only_owned));
        }
        let log = AccountLog::of_user(connection, user_id)?;
        let withdrawn = withdraw_all(connection, &clients, user_id)?;
        diesel::delete(users::table.find(user_id)).execute(connection)?;
        log.record_deletion(connection, context)?;
        for (client, event) in withdrawn {
            audit::record(connection, &client, context, &event)?;
        }
        Ok(Ok(()))
    })
}
