//! The access rule of an API route.

use actix_web::{HttpMessage as _, HttpRequest};

use crate::api_keys::rights::Scope;

/// Which keys may call an API route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointAccess {
    /// Keys with this scope, from their allowed networks.
    Scope(Scope),
    /// Every active key, from its allowed networks.
    AnyKey,
    /// Every active key, from any address: a leaked key must be revocable by its finder.
    RevokeOnly,
}

impl EndpointAccess {
    /// The scope that a key needs, if any.
    #[must_use]
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Scope(scope) => Some(scope),
            Self::AnyKey | Self::RevokeOnly => None,
        }
    }

    /// The rule of the route that serves `request`.
    pub(super) fn from_request(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}
