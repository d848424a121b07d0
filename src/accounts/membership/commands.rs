//! Changing the members of a client and their roles, from the command line. Each change is in the audit log.

use anyhow::Context as _;
use diesel::{dsl::now, prelude::*};
use uuid::Uuid;

use crate::{
    accounts::{
        email::EmailAddress,
        links,
        membership::{self, MembershipError, pending_invitations::withdraw_all, role::Role},
        sign_in::user_sign_ins,
        store::{find_user_id, join, list_clients, member_added, require_client},
    },
    audit::{self, AccountEventKind, AuditContext, AuditEvent},
    ids::ClientId,
    schema::{memberships, users},
};

/// Gives a user a role in a client, and makes it a member if it is not one yet.
///
/// # Errors
/// If there is no such user or client, the user is the only owner, or the database fails.
pub fn set_role(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    email: &EmailAddress,
    role: Role,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user_id = find_user(connection, client, email)?;
        membership::lock_client(connection, client)?;
        if membership::find_role(connection, client, user_id)?.is_some() {
            let changed = membership::change_role(connection, context, client, user_id, role);
            return changed.map(|_before| ()).map_err(|error| explain(error, client, email));
        }
        join(connection, client, user_id, role)?;
        Ok(audit::record(connection, client, context, &member_added(user_id, role))?)
    })
}

/// Removes a member and ends its sign-ins in this client. The user and its keys stay. Returns the id of the user.
///
/// # Errors
/// If the user is not a member of the client or is its only owner, or the database fails.
pub fn remove_member(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    email: &EmailAddress,
) -> anyhow::Result<Uuid> {
    let user_id = find_user(connection, client, email)?;
    membership::end_membership(connection, context, client, user_id)
        .map_err(|error| explain(error, client, email))?;
    Ok(user_id)
}

/// The sentence for the command line, which names the user and the client.
fn explain(error: MembershipError, client: &ClientId, email: &EmailAddress) -> anyhow::Error {
    match error {
        MembershipError::NotMember => anyhow::anyhow!("{email} is not a member of {client}"),
        MembershipError::OnlyOwner => {
            anyhow::anyhow!("{email} is the only owner of {client}; make someone else an owner first")
        }
        MembershipError::NotPermitted(_) | MembershipError::Database(_) => error.into(),
    }
}

fn find_user(connection: &mut PgConnection, client: &ClientId, email: &EmailAddress) -> anyhow::Result<Uuid> {
    require_client(connection, client)?;
    find_user_id(connection, email)?.with_context(|| format!("there is no user {email}"))
}

/// Enables or disables a user. Disabling ends all its sign-ins and withdraws its pending invitations.
///
/// # Errors
/// If there is no such user, a client would be left without an owner who can log in, or the database fails.
pub fn set_enabled(
    connection: &mut PgConnection,
    context: &AuditContext,
    email: &EmailAddress,
    is_enabled: bool,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user_id =
            find_user_id(connection, email)?.with_context(|| format!("there is no user {email}"))?;
        let clients = list_clients(connection, user_id)?;
        for client in &clients {
            membership::lock_client(connection, client)?;
        }
        let was_enabled: bool = users::table
            .find(user_id)
            .select(users::disabled_at.is_null())
            .for_no_key_update()
            .first(connection)?;
        if was_enabled == is_enabled {
            return Ok(());
        }
        let event = AuditEvent::new(AccountEventKind::AccountChanged);
        if is_enabled {
            let never = None::<chrono::DateTime<chrono::Utc>>;
            diesel::update(users::table.find(user_id))
                .set(users::disabled_at.eq(never))
                .execute(connection)?;
            return Ok(audit::record_account_event(
                connection,
                user_id,
                context,
                &event.with("changed", "enabled"),
            )?);
        }
        disable(connection, email, user_id)?;
        let withdrawn = withdraw_all(connection, &clients, user_id)?;
        let ended = user_sign_ins::delete(connection, user_id, None)?;
        audit::record_account_event(connection, user_id, context, &event.with("changed", "disabled"))?;
        for (client, event) in withdrawn {
            audit::record(connection, &client, context, &event)?;
        }
        Ok(user_sign_ins::record_ended(connection, context, user_id, ended)?)
    })
}

fn disable(connection: &mut PgConnection, email: &EmailAddress, user_id: Uuid) -> anyhow::Result<()> {
    let owned: Vec<ClientId> = memberships::table
        .filter(memberships::user_id.eq(user_id).and(memberships::role.eq(Role::Owner)))
        .order(memberships::client_id)
        .select(memberships::client_id)
        .load(connection)?;
    for client in owned {
        membership::refuse_only_owner(connection, &client, user_id)
            .map_err(|error| explain(error, &client, email))?;
    }
    diesel::update(users::table.find(user_id)).set(users::disabled_at.eq(now)).execute(connection)?;
    Ok(links::delete_all(connection, user_id)?)
}
