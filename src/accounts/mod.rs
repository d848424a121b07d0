//! Accounts: users, the clients that they are members of, and the browsers that they are signed in with.
//!
//! A *sign-in* is a random id in the cookie, and its SHA-256 in the table `sign_ins`. Every request joins it with the
//! user and the membership, so that a removed member has no access from the next request on.

mod account;
mod account_mails;
mod account_services;
mod confirmation;
mod display_name;
mod email;
mod links;
mod login;
mod membership;
pub(crate) mod pages;
mod password;
mod password_reset;
mod second_factor;
mod sign_in;
mod store;

pub use account::{
    OnlyOwnerOf,
    commands::{set_email, set_name, set_password},
    delete_account,
};
pub(crate) use account::{
    delete_pages as account_delete_pages, email_pages as account_email_pages, pages as own_account_pages,
    sign_in_pages as own_sign_in_pages,
};
pub(crate) use account_mails::invitation as invitation_mail;
pub(crate) use account_services::AccountServices;
pub(crate) use confirmation::{
    pages as confirmation_pages, replay::complete_confirmed_form, route_check::require_confirmation,
};
pub use display_name::DisplayName;
pub use email::EmailAddress;
pub use links::link_token::LinkToken;
pub use login::login_throttles::LoginThrottles;
pub(crate) use login::{
    after_login::HOME,
    device_cookie::DeviceCookieKey,
    invitation_acceptor::{ClientOfInvitation, InvitationAcceptor},
    route_check::{require_sign_in, require_sign_in_for_form},
    user_agent::describe_device,
};
pub use membership::{
    MembershipError, change_role,
    commands::{remove_member, set_enabled, set_role},
    end_membership,
    permission::{PERMISSIONS, Permission, PermissionRow},
    role::Role,
};
pub(crate) use membership::{
    find_role, lock_client, pending_invitations::invitation_event, require_permission_over,
};
pub(crate) use pages as account_pages;
pub use password::{NewPassword, PasswordHasher};
pub(crate) use password_reset::pages as password_reset_pages;
pub use password_reset::service::{create_reset_link, report_new_password};
pub use second_factor::service::SecondFactors;
pub(crate) use second_factor::{
    login_pages as second_factor_login_pages, pages as second_factor_pages,
    route_check::require_second_factor,
};
pub use sign_in::{
    cookie_store::{SignInStore, cookie_name},
    extractor::{ClientMembership, MaybeSignedIn, SignInOrigin, SignedIn, SignedInUser, flash, sign_in},
};
pub(crate) use sign_in::{
    extractor::switch_client,
    form_client::{FormOfOtherClient, SWITCH_FIELD, require_form_client, require_upload_client},
    form_user::require_form_user,
    route_permission::require_permission,
    user_sign_ins::{end_all as end_sign_ins, end_one as end_sign_in, list as list_sign_ins},
};
pub use store::{
    ClientToJoin, NewUser, add_user, any_user, create_first, find_user_id, is_member, list_clients,
    list_users, require_client,
};
pub(crate) use store::{EMAIL_UNIQUE, create_client, create_user, join, member_added};
