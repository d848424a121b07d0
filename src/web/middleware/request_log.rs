//! Gives each request an id and logs one line about it.
//!
//! The line contains the pattern of the route, never the URL as sent: users may have pasted a secret into that.

use std::{panic::AssertUnwindSafe, rc::Rc, time::Instant};

use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{error::AppError, metrics::RequestMetrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Clone, Copy)]
struct RequestId(Uuid);

/// The id in the log lines, the error response and the `X-Request-Id` header of this request; static files have no such
/// header. Returns `None` outside [`log_request`].
pub(crate) fn request_id(request: &HttpRequest) -> Option<Uuid> {
    request.extensions().get::<RequestId>().map(|id| id.0)
}

/// Returns the pattern of the matched route, such as `/api/sessions/{session_id}`, or `-` if no route matched. Matching is
/// slow, so the result is kept with the request.
pub(crate) fn route_pattern(request: &HttpRequest) -> Rc<str> {
    if let Some(MatchedRoute(route)) = request.extensions().get() {
        return Rc::clone(route);
    }
    let route: Rc<str> = request.match_pattern().as_deref().unwrap_or("-").into();
    request.extensions_mut().insert(MatchedRoute(Rc::clone(&route)));
    route
}

struct MatchedRoute(Rc<str>);

/// A copy that a browser keeps would show the id of another request.
fn is_kept_by_browsers(headers: &HeaderMap) -> bool {
    headers.get(CACHE_CONTROL).is_some_and(|value| value.as_bytes().ends_with(b"immutable"))
}

/// Gives the request its id, logs one line and counts it when it is answered, and turns HEAD into GET.
pub(crate) async fn log_request(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let id = Uuid::now_v7();
    let header = HeaderValue::try_from(id.to_string()).map_err(AppError::broken)?;
    request.extensions_mut().insert(RequestId(id));
    let method = request.method().clone();
    if method == Method::HEAD {
        // The response must be the same as for GET (RFC 9110, section 9.3.2). actix leaves out the body.
        request.head_mut().method = Method::GET;
    }
    let span = tracing::info_span!("request", request_id = %id);
    let metrics = request.app_data::<Data<RequestMetrics>>().cloned();

    let mut outcome = next.call(request).instrument(span.clone()).await;

    let (status, route) = match &mut outcome {
        Ok(response) => {
            if !is_kept_by_browsers(response.headers()) {
                response.headers_mut().insert(REQUEST_ID, header);
            }
            (response.status(), Some(route_pattern(response.request())))
        }
        Err(error) => {
            error.add_response_mapper(move |mut response| {
                response.headers_mut().insert(REQUEST_ID, header.clone());
                response
            });
            (error.as_response_error().status_code(), None)
        }
    };
    let (method, route, duration) = (known_method(&method), route.as_deref().unwrap_or("-"), start.elapsed());
    if let Some(metrics) = metrics {
        metrics.record(method, route, status.as_u16(), duration);
    }
    tracing::info!(
        parent: &span,
        method,
        route,
        status = status.as_u16(),
        duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        "Answered"
    );
    outcome
}

/// A method that HTTP defines (RFC 9110), or `other`: strangers could fill the log and the metrics with methods of any
/// length.
fn known_method(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "other" }
}

/// Turns a panic in a handler into [`AppError::Broken`], so that it is answered like every other error.
pub(crate) async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    outcome.unwrap_or_else(|_panic| {
        Err(AppError::broken("a handler panicked; its message is on standard error").into())
    })
}
