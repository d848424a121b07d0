//! Clients: switching between those of a user, creating one, its settings, its members and invitations.
//!
//! The rules for changing members are in `accounts`, because a sign-in depends on them.

mod creation;
mod invitations;
mod members;
mod settings;
mod switch;

pub(crate) use creation::pages as new_client_pages;
pub use creation::service::{create, list as list_clients};
pub use invitations::{
    error::InvitationError,
    service::{NewInvitation, accept, accept_as_new_user, create as invite, resend, withdraw},
    store::{INVITATION_DAYS, Invitation, list as list_invitations},
};
pub(crate) use invitations::{pages as invitation_pages, service::accept_with_login};
pub(crate) use members::{list_pages as member_list_pages, one_member as one_member_pages};
pub(crate) use settings::pages as client_settings_pages;
pub use settings::service::{rename, require_second_factor};
pub(crate) use switch::{offer::offer_switch, pages as client_switch_pages};
