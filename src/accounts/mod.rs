//! Accounts: users, the clients that they are members of, and the browsers that they are signed in with.
//!
//! A *sign-in* is a random id in the cookie, and its SHA-256 in the table `sign_ins`. Every request joins it with the
//! user and the membership, so that a removed member has no access from the next request on.

mod device_cookie;
mod display_name;
mod email;
mod hash_memory;
mod login_throttles;
mod members;
pub(crate) mod pages;
mod password;
mod role;
mod sign_in;
mod store;

pub(crate) use device_cookie::DeviceCookieKey;
pub use display_name::DisplayName;
pub use email::EmailAddress;
pub use login_throttles::LoginThrottles;
pub use members::{remove_member, set_enabled, set_role};
pub(crate) use pages as account_pages;
pub use password::{NewPassword, PasswordHasher};
pub use role::Role;
pub(crate) use sign_in::form_client::{require_form_client, require_upload_client};
pub use sign_in::{
    cookie_store::{SignInStore, cookie_name},
    extractor::{MaybeSignedIn, SignedIn, flash, sign_in},
};
pub use store::{
    ClientToJoin, NewUser, add_user, any_user, client_exists, create_first, find_user_id, is_member,
    list_clients, list_users, set_password,
};
