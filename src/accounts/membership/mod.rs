//! The rules for changing members, in the browser and from the command line. Each change is in the audit log.
//!
//! A client always keeps an owner who can log in. Every change locks the client first, because two changes at once could
//! leave it without one.

pub(super) mod commands;
pub(super) mod pending_invitations;
pub(super) mod permission;
pub(super) mod role;

use diesel::{dsl::count_star, prelude::*};
use uuid::Uuid;

use crate::{
    accounts::membership::{pending_invitations::withdraw_unpermitted, permission::Permission, role::Role},
    audit::{self, Actor, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::{clients, memberships, sign_ins, users},
};

/// Why a member was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    #[error("This person is not a member of the client.")]
    NotMember,
    /// The client would have no owner who can log in.
    #[error("This is the only owner of the client. Make someone else an owner first.")]
    OnlyOwner,
    /// The role of the acting user does not permit it.
    #[error("{}", .0.refusal())]
    NotPermitted(Permission),
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// Gives a member another role, and withdraws the pending invitations that the member may no longer make. Returns the role
/// before, which may be the same.
///
/// # Errors
/// Every [`MembershipError`].
pub fn change_role(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    user_id: Uuid,
    role: Role,
) -> Result<Role, MembershipError> {
    connection.transaction(|connection| {
        lock_client(connection, client)?;
        let before = find_role(connection, client, user_id)?.ok_or(MembershipError::NotMember)?;
        for involved in [before, role] {
            require_permission_over(connection, context, client, involved)?;
        }
        if before == role {
            return Ok(before);
        }
        if before == Role::Owner {
            refuse_only_owner(connection, client, user_id)?;
        }
        diesel::update(memberships::table.find((client, user_id)))
            .set(memberships::role.eq(role))
            .execute(connection)?;
        let withdrawn = withdraw_unpermitted(connection, client, user_id, Some(role))?;
        let event = AuditEvent::new(EventKind::MemberChanged).on(&user_id).with("changed", "role");
        audit::record(connection, client, context, &event.with("from", &before).with("to", &role))?;
        for event in &withdrawn {
            audit::record(connection, client, context, event)?;
        }
        Ok(before)
    })
}

/// Removes a member, and withdraws the member's pending invitations. The user and the keys stay. Sign-ins that were in this client go on in another one of the user;
/// without another one they end, unless the user has left.
///
/// Every user may leave, which is to remove oneself.
///
/// # Errors
/// Every [`MembershipError`].
pub fn end_membership(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    user_id: Uuid,
) -> Result<(), MembershipError> {
    connection.transaction(|connection| {
        lock_client(connection, client)?;
        let role = find_role(connection, client, user_id)?.ok_or(MembershipError::NotMember)?;
        let has_left = context.user_id() == Some(user_id);
        if !has_left {
            require_permission_over(connection, context, client, role)?;
        }
        if role == Role::Owner {
            refuse_only_owner(connection, client, user_id)?;
        }
        diesel::delete(memberships::table.find((client, user_id))).execute(connection)?;
        let withdrawn = withdraw_unpermitted(connection, client, user_id, None)?;
        let next_client = move_sign_ins(connection, client, user_id, has_left)?;
        let removed = AuditEvent::new(EventKind::MemberRemoved).on(&user_id).with("role", &role);
        let events = std::iter::once(removed).chain(withdrawn);
        let mut records: Vec<_> = events.map(|event| (client.clone(), context.clone(), event)).collect();
        if let Some(next_client) = next_client {
            // The other client does not learn who removed the user from this one.
            let context = context.clone().by(Actor::System).from_place(None, None);
            records.push((next_client, context, AuditEvent::new(EventKind::SignInSwitched).on(&user_id)));
        }
        records.sort_by(|left, right| left.0.as_str().cmp(right.0.as_str()));
        for (client, context, event) in records {
            audit::record(connection, &client, &context, &event)?;
        }
        Ok(())
    })
}

/// Moves the user's sign-ins out of a client. Returns the client that they are in now, if there were any.
fn move_sign_ins(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
    has_left: bool,
) -> QueryResult<Option<ClientId>> {
    let of_client = sign_ins::client_id.eq(client).and(sign_ins::user_id.eq(user_id));
    let next_client: Option<ClientId> = memberships::table
        .filter(memberships::user_id.eq(user_id))
        .order((memberships::created_at, memberships::client_id))
        .select(memberships::client_id)
        .first(connection)
        .optional()?;
    if next_client.is_none() && !has_left {
        diesel::delete(sign_ins::table.filter(of_client)).execute(connection)?;
        return Ok(None);
    }
    let moved = diesel::update(sign_ins::table.filter(of_client))
        .set(sign_ins::client_id.eq(&next_client))
        .execute(connection)?;
    Ok(next_client.filter(|_| moved > 0))
}

/// Locks the client until the transaction ends. Returns `false` if there is none. Rows that refer to the client can still
/// be added: someone who accepts an invitation must not wait for the one who withdraws it, and the other way round.
pub(crate) fn lock_client(connection: &mut PgConnection, client: &ClientId) -> QueryResult<bool> {
    let locked = clients::table.find(client).select(clients::client_id).for_no_key_update();
    locked.first::<ClientId>(connection).optional().map(|locked| locked.is_some())
}

/// The role of the user in the client. Returns `None` if the user is not a member.
pub(crate) fn find_role(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
) -> QueryResult<Option<Role>> {
    memberships::table.find((client, user_id)).select(memberships::role).first(connection).optional()
}

/// Refuses an acting user whose role does not permit to invite, change or remove a member with this role. The command
/// line may do everything.
pub(crate) fn require_permission_over(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    role: Role,
) -> Result<(), MembershipError> {
    let Some(acting_user) = context.user_id() else { return Ok(()) };
    let permission = Permission::to_manage(role);
    match find_role(connection, client, acting_user)? {
        Some(acting_role) if permission.is_granted_to(acting_role) => Ok(()),
        _ => Err(MembershipError::NotPermitted(permission)),
    }
}

/// Refuses to go on if the client would have no other owner. Disabled owners do not count: they cannot log in.
pub(super) fn refuse_only_owner(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
) -> Result<(), MembershipError> {
    let of_client = memberships::client_id.eq(client).and(memberships::role.eq(Role::Owner));
    let others: i64 = memberships::table
        .inner_join(users::table)
        .filter(of_client.and(users::user_id.ne(user_id)).and(users::disabled_at.is_null()))
        .select(count_star())
        .first(connection)?;
    if others > 0 { Ok(()) } else { Err(MembershipError::OnlyOwner) }
}
