//! API keys: let a client's programs read their sessions without logging in.
//!
//! A key is shown once, in the answer to Generate Key. We keep a keyed hash of it ([`KeyHasher`]), so a copy of the
//! database opens nothing and a row written by hand opens nothing either. Deleting a key takes effect with the next
//! request, on every node: hash and deletion are asked of PostgreSQL each time, nothing in between remembers them.

mod auth;
mod changes;
mod client_key;
mod expiry;
mod key;
mod key_error;
mod key_json;
mod key_name;
mod key_query;
mod lifetime;
mod list;
mod manager;
mod new_key;
mod pages;
pub(crate) mod programs;
mod rights;
mod scope;
mod told;

pub(crate) use auth::key_source::ApiQuery;

pub use auth::{
    access::Access,
    authentication::{FormCall, Presented},
    credentials::{ADMITS, Credentials, Gate, admits, is_admitted},
};
pub use changes::{Changed, Deleted, LIVING_MAX, Replaced, change, create, delete, delete_all, replace};
pub use client_key::{ClientKey, KeyHasher};
pub use expiry::{ExpiryWatch, note_expired};
pub use key::{Key, Status, WARNED_DAYS};
pub use key_error::KeyError;
pub use key_name::KeyName;
pub use key_query::{KeyQuery, Sort};
pub use lifetime::{Grace, GraceError, Lifetime, LifetimeError};
pub use list::{KeyPage, find, list};
pub use manager::Manager;
pub use new_key::{NewKey, Plan};
pub use pages::routes;
pub use rights::{LimitError, NetworkError, Networks, RequestsPerMinute, Rights};
pub use scope::Scope;
