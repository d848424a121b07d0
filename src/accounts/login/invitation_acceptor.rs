//! Accepting an invitation with a login that needs a code too.

use diesel::PgConnection;
use uuid::Uuid;

use crate::{audit::AuditContext, error::AppError, ids::ClientId};

/// The client that a user has joined, and the message that says so.
pub(crate) struct ClientOfInvitation {
    pub(crate) client_id: ClientId,
    pub(crate) message: String,
}

/// Makes the user a member with the invitation whose token has this SHA-256. Returns `None` if the link no longer works.
type AcceptInvitation =
    fn(&mut PgConnection, &AuditContext, &[u8], Uuid) -> Result<Option<ClientOfInvitation>, AppError>;

/// How a login accepts an invitation. The application provides it, because `clients` is built on this room.
pub(crate) struct InvitationAcceptor(AcceptInvitation);

impl InvitationAcceptor {
    pub(crate) fn new(accept: AcceptInvitation) -> Self {
        Self(accept)
    }

    pub(crate) fn accept(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        token_digest: &[u8],
        user_id: Uuid,
    ) -> Result<Option<ClientOfInvitation>, AppError> {
        (self.0)(connection, context, token_digest, user_id)
    }
}
