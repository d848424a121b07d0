//! From the key in a request to the proof that it is authorized.

pub(super) mod access;
pub(super) mod authentication;
pub(super) mod authorized;
pub(super) mod credentials;
pub(super) mod key_route;
pub(super) mod key_source;
pub(super) mod rate_limits;
