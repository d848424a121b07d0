//! Changing the members of a client and their roles, from the command line. Each change is in the audit log.

use anyhow::{Context as _, ensure};
use diesel::{
    dsl::{count_star, now},
    prelude::*,
};
use uuid::Uuid;

use super::{
    email::EmailAddress,
    role::Role,
    store::{client_exists, join, list_clients, member_added},
};
use crate::{
    audit::{self, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::{clients, memberships, sign_ins, users},
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
        let (user_id, before) = lock_and_find_user(connection, client, email)?;
        let Some(before) = before else {
            join(connection, client, user_id, role)?;
            return Ok(audit::record(connection, client, context, &member_added(user_id, role))?);
        };
        if before == role {
            return Ok(());
        }
        if before == Role::Owner {
            refuse_only_owner(connection, client, email)?;
        }
        diesel::update(memberships::table.find((client, user_id)))
            .set(memberships::role.eq(role))
            .execute(connection)?;
        let event = AuditEvent::new(EventKind::MemberChanged).on(&user_id).with("changed", "role");
        audit::record(connection, client, context, &event.with("from", &before).with("to", &role))?;
        Ok(())
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
    connection.transaction(|connection| {
        let (user_id, role) = lock_and_find_user(connection, client, email)?;
        let role = role.with_context(|| format!("{email} is not a member of {client}"))?;
        if role == Role::Owner {
            refuse_only_owner(connection, client, email)?;
        }
        let of_client = sign_ins::client_id.eq(client).and(sign_ins::user_id.eq(user_id));
        diesel::delete(sign_ins::table.filter(of_client)).execute(connection)?;
        diesel::delete(memberships::table.find((client, user_id))).execute(connection)?;
        let event = AuditEvent::new(EventKind::MemberRemoved).on(&user_id).with("role", &role);
        audit::record(connection, client, context, &event)?;
        Ok(user_id)
    })
}

/// Enables or disables a user. Disabling ends all its sign-ins.
///
/// # Errors
/// If there is no such user, or the database fails.
pub fn set_enabled(
    connection: &mut PgConnection,
    context: &AuditContext,
    email: &EmailAddress,
    is_enabled: bool,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user = users::table.filter(users::email.eq(email));
        let (user_id, was_enabled) = user
            .select((users::user_id, users::disabled_at.is_null()))
            .for_update()
            .first::<(Uuid, bool)>(connection)
            .optional()?
            .with_context(|| format!("there is no user {email}"))?;
        if was_enabled == is_enabled {
            return Ok(());
        }
        let user = diesel::update(users::table.find(user_id));
        if is_enabled {
            user.set(users::disabled_at.eq(None::<chrono::DateTime<chrono::Utc>>)).execute(connection)?;
        } else {
            user.set(users::disabled_at.eq(now)).execute(connection)?;
            diesel::delete(sign_ins::table.filter(sign_ins::user_id.eq(user_id))).execute(connection)?;
        }
        let changed = if is_enabled { "enabled" } else { "disabled" };
        let event = AuditEvent::new(EventKind::MemberChanged).on(&user_id).with("changed", changed);
        for client in list_clients(connection, user_id)? {
            audit::record(connection, &client, context, &event)?;
        }
        Ok(())
    })
}

/// The user with this e-mail, and its role in the client if it is a member. Locks the client, because two changes at
/// once could leave it without an owner.
fn lock_and_find_user(
    connection: &mut PgConnection,
    client: &ClientId,
    email: &EmailAddress,
) -> anyhow::Result<(Uuid, Option<Role>)> {
    ensure!(client_exists(connection, client)?, "there is no client {client}");
    clients::table.find(client).select(clients::client_id).for_update().execute(connection)?;
    let of_client = memberships::client_id.eq(client).and(memberships::user_id.eq(users::user_id));
    users::table
        .left_join(memberships::table.on(of_client))
        .filter(users::email.eq(email))
        .select((users::user_id, memberships::role.nullable()))
        .first(connection)
        .optional()?
        .with_context(|| format!("there is no user {email}"))
}

fn refuse_only_owner(
    connection: &mut PgConnection,
    client: &ClientId,
    email: &EmailAddress,
) -> anyhow::Result<()> {
    let of_client = memberships::client_id.eq(client).and(memberships::role.eq(Role::Owner));
    let others = memberships::table
        .inner_join(users::table)
        .filter(of_client.and(users::email.ne(email)).and(users::disabled_at.is_null()))
        .select(count_star())
        .first::<i64>(connection)?;
    // Disabled owners do not count: they cannot log in.
    ensure!(others > 0, "{email} is the only owner of {client}; make someone else an owner first");
    Ok(())
}
