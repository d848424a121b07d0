//! From the key in a request to the proof that it is authorized.

pub(super) mod authorized;
pub(super) mod endpoint_access;
pub(super) mod key_authenticator;
pub(super) mod key_extraction;
pub(super) mod key_route;
pub(super) mod presented_key;
pub(super) mod rate_limits;
