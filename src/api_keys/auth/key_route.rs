//! API routes that need a key.

use actix_web::{
    FromRequest, Handler, HttpMessage as _, HttpResponse, Route,
    body::BoxBody,
    dev::ServiceRequest,
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::{Next, from_fn},
};

use super::{endpoint_access::EndpointAccess, presented_key::AuthorizedReply};
use crate::{
    error::AppError,
    web::limits::rate_limit::{RateLimitStatus, WINDOW_SECONDS},
};

/// A route whose handler can answer only with an [`AuthorizedReply`], so it cannot forget to authorize the key.
pub struct KeyRoute(Route);

impl KeyRoute {
    pub(crate) fn new<F, Arguments>(route: Route, handler: F) -> Self
    where
        F: Handler<Arguments, Output = Result<AuthorizedReply<HttpResponse>, AppError>>,
        Arguments: FromRequest + 'static,
    {
        Self(route.to(handler))
    }

    /// The route with its access rule, and with the rate-limit headers in its responses.
    pub(crate) fn require(self, access: EndpointAccess) -> Route {
        self.0.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
            request.extensions_mut().insert(access);
            let response = next.call(request);
            async {
                let mut response = response.await?;
                let status = response.request().extensions().get::<RateLimitStatus>().copied();
                if let Some(status) = status {
                    insert_rate_limit(response.headers_mut(), status);
                }
                Ok(response)
            }
        }))
    }
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
fn insert_rate_limit(headers: &mut HeaderMap, status: RateLimitStatus) {
    let RateLimitStatus { per_minute, left, reset_seconds } = status;
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
