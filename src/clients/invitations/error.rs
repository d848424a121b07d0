//! Why someone was not invited, or an invitation not accepted.

use crate::{
    accounts::{MembershipError, Permission},
    error::AppError,
};

use super::store::PENDING_MAX;

#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    #[error("This email already belongs to a member. Change the role in the list of members.")]
    AlreadyMember,
    #[error("This email has already been invited. Resend the invitation below.")]
    AlreadyInvited,
    /// The client has [`PENDING_MAX`] invitations.
    #[error("There are {PENDING_MAX} pending invitations, which is the limit. Withdraw one first.")]
    TooMany,
    /// The role of the acting user does not permit it.
    #[error("{}", .0.refusal())]
    NotPermitted(Permission),
    /// The invitation was used or withdrawn, has expired, or is for another email address.
    #[error("There is nothing at this address.")]
    NotFound,
    /// Someone registered with the email address in the meantime.
    #[error("This email now has an account. Open the link again.")]
    EmailTaken,
    #[error(transparent)]
    Database(diesel::result::Error),
}

impl InvitationError {
    /// The wrong field of the form. Returns `None` if the error is not about a field.
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        matches!(self, Self::AlreadyMember | Self::AlreadyInvited | Self::TooMany).then_some("email")
    }
}

impl From<diesel::result::Error> for InvitationError {
    fn from(error: diesel::result::Error) -> Self {
        match error {
            diesel::result::Error::NotFound => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

impl From<MembershipError> for InvitationError {
    fn from(error: MembershipError) -> Self {
        match error {
            MembershipError::NotPermitted(permission) => Self::NotPermitted(permission),
            MembershipError::NotMember | MembershipError::OnlyOwner => Self::NotFound,
            MembershipError::Database(error) => error.into(),
        }
    }
}

impl From<InvitationError> for AppError {
    fn from(error: InvitationError) -> Self {
        match error {
            InvitationError::NotPermitted(permission) => Self::Forbidden(permission.refusal()),
            InvitationError::NotFound => Self::NotFound,
            InvitationError::Database(error) => error.into(),
            other => Self::Conflict(other.to_string().into()),
        }
    }
}
