//! API keys: let a client's programs read their sessions without logging in.
//!
//! A key is shown once, in the answer to Generate Key. We keep a keyed hash of it ([`KeyHasher`]), so a copy of the
//! database opens nothing and a row written by hand opens nothing either. Deleting a key takes effect with the next
//! request, on every node: hash and deletion are asked of PostgreSQL each time, nothing in between remembers them.

mod access;
mod client_key;
mod gate;
mod key_name;
mod pages;
mod presented;
mod scope;
mod store;

pub use access::Access;
pub use client_key::{ClientKey, KeyHasher, PublicKey};
pub use gate::{Credentials, Gate};
pub use key_name::KeyName;
pub use pages::routes;
pub use presented::{Caller, FormCall, Presented};
pub use scope::Scope;
pub use store::{CreateError, NewKey, admits, create, is_admitted};
