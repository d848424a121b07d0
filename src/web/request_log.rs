//! One line per request, and one id to find it by.
//!
//! The line holds the route's pattern, never the address as sent: an address may hold what somebody pasted into it.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Instant};

use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::error::AppError;

/// The header that carries the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, as in its log line, its problem and its `X-Request-Id`.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(Uuid);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn of(request: &HttpRequest) -> String {
        Self::uuid_of(request).map_or_else(String::new, |id| id.to_string())
    }

    /// The id itself; `None` before it was given.
    #[must_use]
    pub fn uuid_of(request: &HttpRequest) -> Option<Uuid> {
        request.extensions().get::<Self>().map(|id| id.0)
    }
}

/// The pattern of the route that answers, found once: `/api/sessions/{session_id}`, or `-` where there is none.
#[must_use]
pub fn route_of(request: &HttpRequest) -> Rc<str> {
    if let Some(MatchedRoute(known)) = request.extensions().get() {
        return Rc::clone(known);
    }
    let route: Rc<str> = request.match_pattern().as_deref().unwrap_or("-").into();
    request.extensions_mut().insert(MatchedRoute(Rc::clone(&route)));
    route
}

struct MatchedRoute(Rc<str>);

/// Gives the request its id, logs one line, and lets HEAD be answered wherever GET is.
///
/// # Errors
/// Passes errors on.
pub async fn log_request(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let id = Uuid::now_v7();
    let header = HeaderValue::try_from(id.to_string()).map_err(AppError::broken)?;
    request.extensions_mut().insert(RequestId(id));
    let method = request.method().clone();
    if method == Method::HEAD {
        // Answered like GET (RFC 9110, section 9.3.2); the body is left out where the answer is written.
        request.head_mut().method = Method::GET;
    }
    let span = tracing::info_span!("request", request_id = %id);

    let mut outcome = next.call(request).instrument(span.clone()).await;

    let (status, route) = match &mut outcome {
        Ok(response) => {
            response.headers_mut().insert(REQUEST_ID, header);
            (response.status(), Some(route_of(response.request())))
        }
        Err(error) => {
            error.add_response_mapper(move |mut response| {
                response.headers_mut().insert(REQUEST_ID, header.clone());
                response
            });
            (error.as_response_error().status_code(), None)
        }
    };
    tracing::info!(
        parent: &span,
        %method,
        route = route.as_deref().unwrap_or("-"),
        status = status.as_u16(),
        duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        "Answered"
    );
    outcome
}

/// Turns a panic of what is inside into a failure like any other.
///
/// # Errors
/// [`AppError::Broken`] for a panic; passes errors on.
pub async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    outcome.unwrap_or_else(|_panic| {
        Err(AppError::broken("a handler panicked; the panic is told on standard error").into())
    })
}
