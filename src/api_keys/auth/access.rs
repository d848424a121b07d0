//! What a call of the API asks of whoever calls. A route that asks nothing of a key says so; one that says nothing lets
//! nobody in.

use actix_web::{
    HttpMessage as _, HttpRequest, Route,
    body::BoxBody,
    dev::ServiceRequest,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::{Next, from_fn},
};

use super::rate_limits::{RateLimitStatus, WINDOW_SECONDS};
use crate::api_keys::rights::Scope;

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Keys with this scope.
    Scope(Scope),
    /// Every key that lives, from its networks.
    AnyKey,
    /// Whoever has the whole of a living key, wherever it is.
    Possession,
    /// Everybody, without a key.
    Nobody,
}

impl Access {
    /// The scope that is needed, where one is.
    #[must_use]
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Scope(scope) => Some(scope),
            Self::AnyKey | Self::Possession | Self::Nobody => None,
        }
    }

    /// The route, which from now on says who may call it, and tells whoever may how it stands to its limit.
    #[must_use]
    pub fn guard(self, route: Route) -> Route {
        route.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
            request.extensions_mut().insert(self);
            let answer = next.call(request);
            async {
                let mut response = answer.await?;
                let standing = response.request().extensions().get::<RateLimitStatus>().copied();
                if let Some(standing) = standing {
                    tell(standing, response.headers_mut());
                }
                Ok(response)
            }
        }))
    }

    /// What the route of this request says.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }
}

/// Tells the caller how its key stands, so that it can pace itself (draft-ietf-httpapi-ratelimit-headers).
fn tell(standing: RateLimitStatus, headers: &mut HeaderMap) {
    let RateLimitStatus { per_minute, left, reset_seconds } = standing;
    let fields = [
        ("ratelimit-policy", format!("\"key\";q={per_minute};w={WINDOW_SECONDS}")),
        ("ratelimit", format!("\"key\";r={left};t={reset_seconds}")),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
