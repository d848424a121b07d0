//! Why a request failed, by what the caller can do about it.
//!
//! `Display` is the sentence the visitor reads; the cause goes to the log and nowhere else. The two faces of a
//! failure, a page and `application/problem+json`, are drawn in [`crate::web::error_pages`].

use std::{borrow::Cow, net::IpAddr};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The cause of a failure that is not the caller's: for the log only.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One field that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Which item of a batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The name of the field as the caller writes it.
    pub field: Cow<'static, str>,
    /// A sentence that says what to do.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// One field and the sentence for it.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { index: None, field: field.into(), message: message.into() }
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// 400: the request as a whole cannot be read.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// 400: fields are wrong.
    #[error("Some fields are wrong. Correct them and try again.")]
    Invalid(Vec<FieldError>),
    /// 401: one sentence for a missing, malformed, unknown, expired or deleted key, so that it tells nothing.
    #[error("This API key is missing, malformed, unknown, expired or deleted.")]
    UnknownKey,
    /// 303 to the login page.
    #[error("Please log in.")]
    SignedOut,
    /// 403: the key is good, but lacks this scope.
    #[error("This key lacks the scope {0}. Give it to the key, or use one that has it.")]
    MissingScope(&'static str),
    /// 403: the key is good, but not from this address.
    #[error("This key may not be used from {0}. Call from one of its networks, or add this one to them.")]
    AddressNotAllowed(IpAddr),
    /// 403: signed in, but without the right.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 403: a form of another site.
    #[error("This request came from another site, so it was refused. Open the page here and try again.")]
    CrossSite,
    /// 404, also for what belongs to another client.
    #[error("There is nothing at this address.")]
    NotFound,
    /// 408: the body did not arrive in time.
    #[error("The request body took longer than {0} seconds. Send it in one go.")]
    TooSlow(u64),
    /// 409: the request does not fit what is there now.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// 413: the body is larger than this many bytes.
    #[error("The request body is larger than {0} bytes.")]
    TooLarge(usize),
    /// 415: the body is of a type that is not read here.
    #[error(
        "Send the body as multipart/form-data, application/x-www-form-urlencoded or application/json, not compressed."
    )]
    UnsupportedType,
    /// 415: sessions are sent as JSON.
    #[error("Send the body as application/json or application/x-ndjson, not compressed.")]
    UnsupportedJson,
    /// 415: a key is described in one JSON object.
    #[error("Send the body as application/json, not compressed.")]
    UnsupportedObject,
    /// 409: the same `Idempotency-Key` is being worked on.
    #[error("A request with this Idempotency-Key is still being carried out. Send it again in a moment.")]
    InProgress,
    /// 422: the same `Idempotency-Key` with another request.
    #[error("This Idempotency-Key came with another request before. Use a new one for a new request.")]
    IdempotencyKeyReused,
    /// 422: items of a batch are wrong, and nothing was stored.
    #[error(
        "Some sessions are wrong, so none was stored. Correct them and send all again, or use ?partial=true."
    )]
    Unprocessable(Vec<FieldError>),
    /// 429 with `Retry-After` in seconds.
    #[error("Too many attempts. Try again in {}.", counted(*.0, "second"))]
    TooMany(u64),
    /// 429 with `Retry-After` in seconds: the key was used as often as it may be.
    #[error("This key may be used {} a minute. Try again in {}.", counted((*per_minute).into(), "time"), counted(*seconds, "second"))]
    OverLimit {
        /// Requests per minute.
        per_minute: u32,
        /// Seconds to wait.
        seconds: u64,
    },
    /// 503: no connection or no place in the queue.
    #[error("The service is busy. Try again in a moment.")]
    Busy,
    /// 500: our fault. The cause is logged, never shown.
    #[error("Something went wrong on our side. Try again; if it happens again, tell us the request id.")]
    Broken(#[source] BoxError),
}

impl AppError {
    /// Something unexpected: logged with its cause, shown as a calm sentence.
    pub fn broken(cause: impl Into<BoxError>) -> Self {
        Self::Broken(cause.into())
    }

    /// One wrong field.
    pub fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// The stable word for programs, in `code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_request",
            Self::Invalid(_) => "invalid_field",
            Self::UnknownKey => "invalid_key",
            Self::SignedOut => "signed_out",
            Self::MissingScope(_) => "missing_scope",
            Self::AddressNotAllowed(_) => "address_not_allowed",
            Self::Forbidden(_) => "forbidden",
            Self::CrossSite => "cross_site",
            Self::NotFound => "not_found",
            Self::TooSlow(_) => "body_too_slow",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "body_too_large",
            Self::UnsupportedType | Self::UnsupportedJson | Self::UnsupportedObject => "unsupported_type",
            Self::InProgress => "request_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Unprocessable(_) => "invalid_item",
            Self::TooMany(_) | Self::OverLimit { .. } => "too_many_requests",
            Self::Busy => "busy",
            Self::Broken(_) => "internal_error",
        }
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::SignedOut => StatusCode::SEE_OTHER,
            Self::MissingScope(_) | Self::AddressNotAllowed(_) | Self::Forbidden(_) | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::InProgress => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType | Self::UnsupportedJson | Self::UnsupportedObject => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::IdempotencyKeyReused | Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) | Self::OverLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The bare status with its headers; the body is drawn by `web::error_pages`.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::UnknownKey => response.insert_header(("WWW-Authenticate", "Bearer")),
            Self::SignedOut => response.insert_header(("Location", "/login")),
            Self::TooMany(seconds) | Self::OverLimit { seconds, .. } => {
                response.insert_header(("Retry-After", seconds.to_string()))
            }
            Self::Busy | Self::InProgress => response.insert_header(("Retry-After", "1")),
            _ => &mut response,
        };
        response.finish()
    }
}

/// `1 second`, `2 seconds`.
fn counted(count: u64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

impl From<DieselError> for AppError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound,
            // A closed connection or a lock that was not had in time: another try will do.
            DieselError::DatabaseError(
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::SerializationFailure,
                _,
            ) => Self::Busy,
            DieselError::DatabaseError(_, ref info) if timed_out(info.message()) => Self::Busy,
            other => Self::broken(other),
        }
    }
}

/// PostgreSQL gave up waiting for a lock or for the statement. Diesel has no kind for it, so its words decide.
fn timed_out(message: &str) -> bool {
    message.starts_with("canceling statement due to")
}
