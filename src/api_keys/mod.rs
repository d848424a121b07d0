//! API keys, with which the programs of a client use the API.
//!
//! A key is shown once, in the response to Generate Key. Only a keyed hash of it is stored ([`KeyHasher`]), so neither a
//! copy of the database nor write access to it is enough to use the API. Deleting a key takes effect with the next
//! request on every node, because each request checks hash and deletion in PostgreSQL.

mod api;
mod audit_events;
mod auth;
mod client_key;
mod error;
mod expiry_job;
mod key;
mod lifetime;
mod list_query;
mod new_key;
mod pages;
mod rights;
mod service;
mod store;

pub(crate) use api::handlers as key_handlers;

pub(crate) use auth::{
    authorized::{
        Authorized, AuthorizedPipelineQuery, AuthorizedStatement, PipelineReply, authorize, find_authorized,
        load_authorized,
    },
    key_extraction::{ApiQuery, KeylessUrl},
    presented_key::{AuthorizedReply, PresentedKey, PresentedKeyForm},
};
pub use auth::{
    endpoint_access::EndpointAccess,
    key_authenticator::{KeyAuthenticator, KeyCredentials},
    key_route::KeyRoute,
};
pub use client_key::{ClientKey, KeyHasher};
pub use error::KeyChangeError;
pub use expiry_job::{ExpiryJob, record_expired};
pub use key::{ApiKey, KeyDeletion, KeyReplacement, KeyRightsChange, KeyStatus, LIVE_KEYS_MAX, WARNED_DAYS};
pub use lifetime::{GracePeriod, GracePeriodError, KeyLifetime, LifetimeError};
pub use list_query::{KeyListQuery, KeySort};
pub use new_key::{HashedKey, KeyName, KeySpec};
pub(crate) use pages::{bulk_delete as bulk_delete_pages, list as key_list_pages, one_key as one_key_pages};
pub use rights::{AllowedNetworks, KeyRights, NetworkError, RequestLimitError, RequestsPerMinute, Scope};
pub use service::{KeyChangeActor, change, create, delete, delete_all, replace};
pub use store::{KeyPage, find, list};
