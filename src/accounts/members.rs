//! Who belongs to a client, and as what: changed by whoever runs Uptok, and told in the audit log of the client.

use anyhow::{Context as _, ensure};
use diesel::{
    dsl::{count_star, now},
    prelude::*,
};
use uuid::Uuid;

use super::{
    email::EmailAddress,
    store::{added, client_exists, clients_of, join},
};
use crate::{
    audit::{self, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::{clients, memberships, sign_ins, users},
};

/// The role that a client is never without.
const OWNER: &str = "owner";

/// Gives a user a role in a client (`owner`, `admin` or `member`), from the next request on. Who is no member becomes one.
///
/// # Errors
/// When there is no such user or client, or the user is the only owner, or the database fails.
pub fn set_role(
    connection: &mut PgConnection,
    trail: &AuditContext,
    client: &ClientId,
    email: &EmailAddress,
    role: &str,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let (user_id, before) = user_in(connection, client, email)?;
        let Some(before) = before else {
            join(connection, client, user_id, role)?;
            return Ok(audit::record(connection, client, trail, &added(user_id, role))?);
        };
        if before == role {
            return Ok(());
        }
        if before == OWNER {
            refuse_only_owner(connection, client, email)?;
        }
        diesel::update(memberships::table.find((client.as_str(), user_id)))
            .set(memberships::role.eq(role))
            .execute(connection)?;
        let act = AuditEvent::new(EventKind::MemberChanged).on(&user_id).with("changed", "role");
        audit::record(connection, client, trail, &act.with("from", &before).with("to", role))?;
        Ok(())
    })
}

/// Takes a member out of a client, whose sign-ins there are over with the next request. The user and its keys stay.
///
/// # Errors
/// When the user is no member of the client or its only owner, or the database fails.
pub fn remove_member(
    connection: &mut PgConnection,
    trail: &AuditContext,
    client: &ClientId,
    email: &EmailAddress,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let (user_id, role) = user_in(connection, client, email)?;
        let role = role.with_context(|| format!("{email} is no member of {client}"))?;
        if role == OWNER {
            refuse_only_owner(connection, client, email)?;
        }
        let of_client = sign_ins::client_id.eq(client.as_str()).and(sign_ins::user_id.eq(user_id));
        diesel::delete(sign_ins::table.filter(of_client)).execute(connection)?;
        diesel::delete(memberships::table.find((client.as_str(), user_id))).execute(connection)?;
        let act = AuditEvent::new(EventKind::MemberRemoved).on(&user_id).with("role", &role);
        audit::record(connection, client, trail, &act)?;
        Ok(())
    })
}

/// Lets a user log in no more, or again. Sign-ins are over with the next request.
///
/// # Errors
/// When there is no such user, or the database fails.
pub fn set_enabled(
    connection: &mut PgConnection,
    trail: &AuditContext,
    email: &EmailAddress,
    is_enabled: bool,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user = users::table.filter(users::email.eq(email.as_str()));
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
        let act = AuditEvent::new(EventKind::MemberChanged).on(&user_id).with("changed", changed);
        for client in clients_of(connection, user_id)? {
            audit::record(connection, &client, trail, &act)?;
        }
        Ok(())
    })
}

/// The user with this e-mail, and its role in the client if it has one. One change of the members of a client at a time: two at once could leave it
/// without an owner.
fn user_in(
    connection: &mut PgConnection,
    client: &ClientId,
    email: &EmailAddress,
) -> anyhow::Result<(Uuid, Option<String>)> {
    ensure!(client_exists(connection, client)?, "there is no client {client}");
    clients::table.find(client.as_str()).select(clients::client_id).for_update().execute(connection)?;
    let of_client = memberships::client_id.eq(client.as_str()).and(memberships::user_id.eq(users::user_id));
    users::table
        .left_join(memberships::table.on(of_client))
        .filter(users::email.eq(email.as_str()))
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
    let of_client = memberships::client_id.eq(client.as_str()).and(memberships::role.eq(OWNER));
    let others = memberships::table
        .inner_join(users::table)
        .filter(of_client.and(users::email.ne(email.as_str())).and(users::disabled_at.is_null()))
        .select(count_star())
        .first::<i64>(connection)?;
    // Who is disabled owns nothing that anybody could use.
    ensure!(others > 0, "{email} is the only owner of {client}; make somebody else an owner first");
    Ok(())
}
