//! Errors of requests, classified by what the caller can do about them.
//!
//! `Display` is the sentence that users read. The cause is only logged, so a response never reveals it.
//! [`crate::web::middleware::error_responses`] renders errors as a page or as `application/problem+json` (RFC 9457).

use std::{borrow::Cow, net::IpAddr};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use diesel::result::Error as DieselError;

use crate::{db::temporary::is_temporary, web::format::plural};

/// Cause of an unexpected error, for the log only.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Index of the item in a batch, from 0; `None` outside a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Name of the field as in the request.
    pub field: Cow<'static, str>,
    /// One or more sentences that tell the user what to do.
    pub message: Cow<'static, str>,
}

impl FieldError {
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { index: None, field: field.into(), message: message.into() }
    }
}

/// Collects every wrong field, so that a caller can correct all of them at once.
#[derive(Clone, Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError::new(field, message));
    }

    /// The value of `result`. Returns `None` after adding its error to the field.
    pub fn check<T>(
        &mut self,
        field: &'static str,
        result: Result<T, impl Into<Cow<'static, str>>>,
    ) -> Option<T> {
        result.map_err(|message| self.add(field, message)).ok()
    }

    /// Whether every field was right.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first message for the field.
    #[must_use]
    pub fn message(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|error| error.field == field).map(|error| error.message.as_ref())
    }

    /// The field that was added first.
    #[must_use]
    pub fn first_field(&self) -> Option<&str> {
        self.0.first().map(|error| error.field.as_ref())
    }

    /// `value`, unless a field was wrong.
    ///
    /// # Errors
    /// All errors.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

impl Extend<FieldError> for FieldErrors {
    fn extend<I: IntoIterator<Item = FieldError>>(&mut self, errors: I) {
        self.0.extend(errors);
    }
}

impl From<FieldErrors> for AppError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors.0)
    }
}

/// What a single-use link is for. It decides how to get a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Sets a new password.
    PasswordReset,
    /// Confirms a new email.
    EmailChange,
    /// Accepts an invitation.
    Invitation,
}

impl LinkPurpose {
    const fn refusal(self) -> &'static str {
        match self {
            Self::PasswordReset => "It has expired or been used, or it is incomplete.",
            Self::EmailChange => {
                "It has expired or been used, or it is incomplete. Change your email again to get a new one."
            }
            Self::Invitation => {
                "It may have expired, been used or withdrawn, or be for another email. \
                 Ask the person who invited you for a new one."
            }
        }
    }

    /// Address and label of the page where the visitor gets a new link, if there is one.
    #[must_use]
    pub const fn next_step(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::PasswordReset => Some(("/password/forgot", "Get a new link")),
            Self::EmailChange => Some(("/account", "Go to your account")),
            Self::Invitation => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// 400: the request cannot be parsed.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// 400: some fields are invalid.
    #[error("Some fields are invalid. Correct them and try again.")]
    Invalid(Vec<FieldError>),
    /// 401: one sentence for all cases, so that it does not reveal whether a key exists.
    #[error("This API key is missing, malformed, unknown, expired or deleted.")]
    UnknownKey,
    /// 303 to the login page: the page needs a user who is signed in.
    #[error("Log in to continue.")]
    SignedOut,
    /// 303 to the page of users without a client: the page needs an active client.
    #[error("You are not a member of any client.")]
    NoClient,
    /// 403: the key is active, but does not have this scope.
    #[error("This key does not have the scope {0}. Add it to the key, or use another key.")]
    MissingScope(&'static str),
    /// 403: the key is active, but its networks do not contain this address.
    #[error("This key cannot be used from {0}. Call from an allowed network, or add this address to them.")]
    AddressNotAllowed(IpAddr),
    /// 403: the user is signed in, but has no permission.
    #[error("{0}")]
    Forbidden(&'static str),
    /// 403: the form was sent from another site (CSRF).
    #[error("This request came from another site and was refused. Open the page here and try again.")]
    CrossSite,
    /// 404, also for objects of other clients, so that their ids cannot be probed.
    #[error("There is nothing at this address.")]
    NotFound,
    /// 404: one sentence for all single-use links of a kind that do not work, so that it does not reveal whether there
    /// was one.
    #[error("{}", .0.refusal())]
    DeadLink(LinkPurpose),
    /// 408: the body did not arrive within this number of seconds.
    #[error("The request body took longer than {0} seconds. Send it without pauses.")]
    TooSlow(u64),
    /// 409: the request conflicts with the current state.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// 413: the body is larger than this number of bytes.
    #[error("The request body is larger than {0} bytes. Send less at a time.")]
    TooLarge(usize),
    /// 415 from endpoints that accept forms and JSON.
    #[error(
        "Send the body as multipart/form-data, application/x-www-form-urlencoded or application/json, uncompressed."
    )]
    UnsupportedType,
    /// 415 from endpoints that accept JSON and NDJSON.
    #[error("Send the body as application/json or application/x-ndjson, uncompressed.")]
    UnsupportedJson,
    /// 415 from endpoints that only accept one JSON object.
    #[error("Send the body as application/json, uncompressed.")]
    UnsupportedObject,
    /// 409: a request with the same `Idempotency-Key` is still running.
    #[error("A request with this Idempotency-Key is still running. Try again in a moment.")]
    InProgress,
    /// 422: the same `Idempotency-Key` was used for a different request.
    #[error("This Idempotency-Key was used for another request. Use a new one for each request.")]
    IdempotencyKeyReused,
    /// 422: some items of a batch are invalid, and nothing was stored.
    #[error(
        "Some sessions are invalid, so none was stored. Correct them and send all again, or use ?partial=true."
    )]
    Unprocessable(Vec<FieldError>),
    /// 429 with `Retry-After` in seconds.
    #[error("Too many attempts. Try again in {} {}.", .0, plural(*.0, "second"))]
    TooMany(u64),
    /// 429 with `Retry-After`: the key has reached its rate limit.
    #[error(
        "This key is limited to {} {} a minute. Try again in {} {}.",
        per_minute,
        plural(*per_minute, "request"),
        seconds,
        plural(*seconds, "second")
    )]
    OverLimit {
        /// Maximum number of requests per minute.
        per_minute: u32,
        /// Seconds until the next request is allowed.
        seconds: u64,
    },
    /// 503: no database connection or no slot became free in time.
    #[error("The service is busy. Try again in a moment.")]
    Busy,
    /// 503: PostgreSQL lacks space, memory or connections, is stopping, or canceled the statement. The cause is only
    /// logged.
    #[error("The service is busy. Try again in a moment.")]
    Unavailable(#[source] BoxError),
    /// 500: an unexpected error. The cause is only logged.
    #[error("Something went wrong on our side. Try again. If it keeps happening, send us the request ID.")]
    Broken(#[source] BoxError),
}

impl AppError {
    pub fn broken(cause: impl Into<BoxError>) -> Self {
        Self::Broken(cause.into())
    }

    pub fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Whether the same may succeed in a moment.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_))
    }

    /// The `code` of the error response. Clients depend on it: NEVER CHANGE an existing one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_request",
            Self::Invalid(_) => "invalid_field",
            Self::UnknownKey => "invalid_key",
            Self::SignedOut => "signed_out",
            Self::NoClient => "no_client",
            Self::MissingScope(_) => "missing_scope",
            Self::AddressNotAllowed(_) => "address_not_allowed",
            Self::Forbidden(_) => "forbidden",
            Self::CrossSite => "cross_site",
            Self::NotFound | Self::DeadLink(_) => "not_found",
            Self::TooSlow(_) => "body_too_slow",
            Self::Conflict(_) => "conflict",
            Self::TooLarge(_) => "body_too_large",
            Self::UnsupportedType | Self::UnsupportedJson | Self::UnsupportedObject => "unsupported_type",
            Self::InProgress => "request_in_progress",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::Unprocessable(_) => "invalid_item",
            Self::TooMany(_) | Self::OverLimit { .. } => "too_many_requests",
            Self::Busy | Self::Unavailable(_) => "busy",
            Self::Broken(_) => "internal_error",
        }
    }
}

impl ResponseError for AppError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::SignedOut | Self::NoClient => StatusCode::SEE_OTHER,
            Self::MissingScope(_) | Self::AddressNotAllowed(_) | Self::Forbidden(_) | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound | Self::DeadLink(_) => StatusCode::NOT_FOUND,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) | Self::InProgress => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType | Self::UnsupportedJson | Self::UnsupportedObject => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::IdempotencyKeyReused | Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(_) | Self::OverLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns status and headers only; `web::error_responses` adds the body.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::UnknownKey => response.insert_header(("WWW-Authenticate", "Bearer")),
            Self::SignedOut => response.insert_header(("Location", "/login")),
            Self::NoClient => response.insert_header(("Location", "/clients/new")),
            Self::TooMany(seconds) | Self::OverLimit { seconds, .. } => {
                response.insert_header(("Retry-After", seconds.to_string()))
            }
            Self::Busy | Self::Unavailable(_) | Self::InProgress => {
                response.insert_header(("Retry-After", "1"))
            }
            _ => &mut response,
        };
        response.finish()
    }
}

impl From<DieselError> for AppError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => Self::NotFound,
            error if is_temporary(&error) => Self::Unavailable(error.into()),
            other => Self::broken(other),
        }
    }
}
