//! What a call of the API asks of whoever calls. A route that asks nothing of a key says so; one that says nothing lets
//! nobody in.

use actix_web::{
    HttpMessage as _, HttpRequest, Route,
    body::BoxBody,
    dev::ServiceRequest,
    middleware::{Next, from_fn},
};

use super::Scope;

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Keys with this scope.
    Scope(Scope),
    /// Every key that lives, from its networks.
    AnyKey,
}

impl Access {
    /// The scope that is needed, where one is.
    #[must_use]
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Scope(scope) => Some(scope),
            Self::AnyKey => None,
        }
    }

    /// The route, which from now on says who may call it.
    #[must_use]
    pub fn guard(self, route: Route) -> Route {
        route.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
            request.extensions_mut().insert(self);
            next.call(request)
        }))
    }

    /// What the route of this request says.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}
