//! Accounts: the people who sign in, the clients they belong to, and the browsers that are logged in.
//!
//! A browser login is a *sign-in*: a random id in the cookie, its SHA-256 in the table `sign_ins`. Every request joins
//! it to the user and the membership, so that a removed member is out with the next click.

mod display_name;
mod email;
mod members;
pub(crate) mod pages;
mod password;
mod sign_in;
mod store;

pub use display_name::DisplayName;
pub use email::EmailAddress;
pub use members::{remove_member, set_enabled, set_role};
pub(crate) use pages as account_pages;
pub use pages::LoginThrottles;
pub use password::{NewPassword, PasswordHasher};
pub(crate) use sign_in::extractor::OTHER_CLIENT;
pub use sign_in::{
    cookie_store::{SignInStore, cookie_name},
    extractor::{MaybeSignedIn, Role, SignedIn, leave_message, sign_in},
};
pub use store::{
    ClientChoice, NewUser, add_user, any_user, client_exists, create_first, is_member, set_password, users_of,
};
