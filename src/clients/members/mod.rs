//! The members of a client: the list with its invitations, and changing or removing one member.

pub(crate) mod list_pages;
pub(crate) mod one_member;
mod store;
