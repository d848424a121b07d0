//! Inviting people, and accepting invitations. Each change is in the audit log.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    error::InvitationError,
    store::{self, Invitation, InvitationToStore, PENDING_MAX},
};
use crate::{
    accounts::{self, ClientOfInvitation, EmailAddress, LinkToken, NewUser, Role, invitation_event},
    audit::{self, Actor, AuditContext, EventKind},
    db::violates,
    error::AppError,
    ids::ClientId,
};

/// Whom to invite, and as what.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    pub email: EmailAddress,
    pub role: Role,
}

/// Invites someone. The caller shows or sends the link with the token, which is not stored. An expired invitation of the
/// same address is replaced.
///
/// # Errors
/// `AlreadyMember`, `AlreadyInvited`, `TooMany`, `NotPermitted`, `Database`.
pub fn create(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    new: &NewInvitation,
    token: &LinkToken,
) -> Result<(), InvitationError> {
    connection.transaction(|connection| {
        accounts::lock_client(connection, client)?;
        accounts::require_permission_over(connection, context, client, new.role)?;
        if store::is_member(connection, client, &new.email)? {
            return Err(InvitationError::AlreadyMember);
        }
        if let Some(earlier) = store::find_by_email(connection, client, &new.email)? {
            if !earlier.is_expired {
                return Err(InvitationError::AlreadyInvited);
            }
            store::delete(connection, earlier.invitation_id)?;
        }
        if store::count(connection, client)? >= PENDING_MAX {
            return Err(InvitationError::TooMany);
        }
        let invited_by = context.user_id();
        let row = InvitationToStore { email: &new.email, role: new.role, invited_by };
        let invitation_id = store::insert(connection, client, &row, token)?;
        let event = invitation_event(EventKind::InvitationCreated, invitation_id, &new.email, new.role);
        Ok(audit::record(connection, client, context, &event)?)
    })
}

/// Gives an invitation a new link. The previous one stops working.
///
/// # Errors
/// `NotFound`, `NotPermitted`, `Database`.
pub fn resend(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    invitation_id: Uuid,
    token: &LinkToken,
) -> Result<Invitation, InvitationError> {
    connection.transaction(|connection| {
        let invitation = find_permitted(connection, context, client, invitation_id)?;
        if !store::replace_token(connection, invitation_id, token)? {
            return Err(InvitationError::NotFound);
        }
        let event =
            invitation_event(EventKind::InvitationResent, invitation_id, &invitation.email, invitation.role);
        audit::record(connection, client, context, &event)?;
        Ok(invitation)
    })
}

/// Withdraws an invitation: its link stops working.
///
/// # Errors
/// `NotFound`, `NotPermitted`, `Database`.
pub fn withdraw(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    invitation_id: Uuid,
) -> Result<Invitation, InvitationError> {
    connection.transaction(|connection| {
        let invitation = find_permitted(connection, context, client, invitation_id)?;
        if !store::delete(connection, invitation_id)? {
            return Err(InvitationError::NotFound);
        }
        let event = invitation_event(
            EventKind::InvitationWithdrawn,
            invitation_id,
            &invitation.email,
            invitation.role,
        );
        audit::record(connection, client, context, &event)?;
        Ok(invitation)
    })
}

fn find_permitted(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    invitation_id: Uuid,
) -> Result<Invitation, InvitationError> {
    accounts::lock_client(connection, client)?;
    let invitation = store::find(connection, client, invitation_id)?;
    accounts::require_permission_over(connection, context, client, invitation.role)?;
    Ok(invitation)
}

/// Makes a user a member with the invitation that has this link, and returns it.
///
/// # Errors
/// `NotFound` if the link does not work or is for another email address, `Database`.
pub fn accept(
    connection: &mut PgConnection,
    context: &AuditContext,
    token: &LinkToken,
    user_id: Uuid,
) -> Result<Invitation, InvitationError> {
    accept_by_digest(connection, context, &token.digest(), user_id)
}

/// The same, for a login that has waited for a code meanwhile. Returns `None` if the link no longer works.
///
/// # Errors
/// If the database fails.
pub(crate) fn accept_with_login(
    connection: &mut PgConnection,
    context: &AuditContext,
    token_digest: &[u8],
    user_id: Uuid,
) -> Result<Option<ClientOfInvitation>, AppError> {
    match accept_by_digest(connection, context, token_digest, user_id) {
        Ok(invitation) => {
            let message = welcome(&invitation);
            Ok(Some(ClientOfInvitation { client_id: invitation.client_id, message }))
        }
        Err(InvitationError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The sentence for someone who has accepted an invitation.
pub(super) fn welcome(invitation: &Invitation) -> String {
    format!("You joined {} with the role {}.", invitation.client_name, invitation.role.label())
}

fn accept_by_digest(
    connection: &mut PgConnection,
    context: &AuditContext,
    token_digest: &[u8],
    user_id: Uuid,
) -> Result<Invitation, InvitationError> {
    connection.transaction(|connection| {
        let invitation = take(connection, token_digest)?;
        if store::load_email(connection, user_id)? != invitation.email {
            return Err(InvitationError::NotFound);
        }
        join(connection, context, &invitation, user_id)?;
        Ok(invitation)
    })
}

/// Creates a user with the invitation that has this link, makes it a member, and returns both. The email address must be
/// that of the invitation.
///
/// # Errors
/// `NotFound` if the link does not work or is for another email address, `EmailTaken`, `Database`.
pub fn accept_as_new_user(
    connection: &mut PgConnection,
    context: &AuditContext,
    token: &LinkToken,
    user: &NewUser,
) -> Result<(Uuid, Invitation), InvitationError> {
    connection.transaction(|connection| {
        let invitation = take(connection, &token.digest())?;
        if user.email != invitation.email {
            return Err(InvitationError::NotFound);
        }
        let user_id = accounts::create_user(connection, user).map_err(|error| {
            let is_taken = violates(&error, accounts::EMAIL_UNIQUE);
            if is_taken { InvitationError::EmailTaken } else { error.into() }
        })?;
        join(connection, context, &invitation, user_id)?;
        Ok((user_id, invitation))
    })
}

/// Deletes the invitation with this link, so that nobody else can use it. Of two requests at once, one finds nothing.
fn take(connection: &mut PgConnection, token_digest: &[u8]) -> Result<Invitation, InvitationError> {
    let invitation = store::find_valid(connection, token_digest)?.ok_or(InvitationError::NotFound)?;
    let is_taken = store::delete_with_token(connection, token_digest)?;
    if is_taken { Ok(invitation) } else { Err(InvitationError::NotFound) }
}

/// A user who became a member in the meantime keeps the role.
fn join(
    connection: &mut PgConnection,
    context: &AuditContext,
    invitation: &Invitation,
    user_id: Uuid,
) -> QueryResult<()> {
    let client = &invitation.client_id;
    if accounts::find_role(connection, client, user_id)?.is_some() {
        return Ok(());
    }
    accounts::join(connection, client, user_id, invitation.role)?;
    let event = accounts::member_added(user_id, invitation.role).related(&invitation.invitation_id);
    audit::record(connection, client, &context.clone().by(Actor::User(user_id)), &event)
}
