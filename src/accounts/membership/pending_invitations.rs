//! Withdrawing the invitations of users who could no longer make them.
//!
//! Without this, someone who loses a role could leave an invitation behind that gives it back.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::{
        email::EmailAddress,
        membership::{permission::Permission, role::Role},
    },
    audit::{AuditEvent, EventKind},
    ids::ClientId,
    schema::invitations,
};

/// What happened to an invitation, for the audit log of its client.
pub(crate) fn invitation_event(
    kind: EventKind,
    invitation_id: Uuid,
    email: &EmailAddress,
    role: Role,
) -> AuditEvent {
    AuditEvent::new(kind).on(&invitation_id).with("email", email).with("role", &role)
}

/// Withdraws the pending invitations of a user to a client that a member with this role may not make. `None` stands for a
/// user who may make none. Returns the events to record, by the id of the invitation.
pub(in crate::accounts) fn withdraw_unpermitted(
    connection: &mut PgConnection,
    client: &ClientId,
    invited_by: Uuid,
    role: Option<Role>,
) -> QueryResult<Vec<AuditEvent>> {
    let may_invite =
        |invited: &Role| role.is_some_and(|role| Permission::to_manage(*invited).is_granted_to(role));
    let permitted: Vec<Role> =
        [Role::Owner, Role::Admin, Role::Member].into_iter().filter(may_invite).collect();
    let of_user = invitations::client_id.eq(client).and(invitations::invited_by.eq(invited_by));
    let mut withdrawn: Vec<(Uuid, EmailAddress, Role)> =
        diesel::delete(invitations::table.filter(of_user.and(invitations::role.ne_all(permitted))))
            .returning((invitations::invitation_id, invitations::email, invitations::role))
            .get_results(connection)?;
    withdrawn.sort_by_key(|(invitation_id, ..)| *invitation_id);
    let event = |(invitation_id, email, role): &(Uuid, EmailAddress, Role)| {
        invitation_event(EventKind::InvitationWithdrawn, *invitation_id, email, *role)
    };
    Ok(withdrawn.iter().map(event).collect())
}

/// Withdraws all pending invitations of a user to these clients. Returns the events to record, by client.
pub(in crate::accounts) fn withdraw_all(
    connection: &mut PgConnection,
    clients: &[ClientId],
    invited_by: Uuid,
) -> QueryResult<Vec<(ClientId, AuditEvent)>> {
    let mut withdrawn = Vec::new();
    for client in clients {
        let events = withdraw_unpermitted(connection, client, invited_by, None)?;
        withdrawn.extend(events.into_iter().map(|event| (client.clone(), event)));
    }
    Ok(withdrawn)
}
