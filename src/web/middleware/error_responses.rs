//! Error responses: `application/problem+json` (RFC 9457) under `/api`, a page elsewhere.
//!
//! They cover errors of handlers, of actix itself (404, 405, unreadable paths) and of middleware. Only the sentence of an
//! [`AppError`] is shown; causes go to the log.

use actix_session::storage::{SaveError, UpdateError};
use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{Method, StatusCode, header},
    middleware::Next,
};
use askama::Template;
use serde::Serialize;

use super::request_log;
use crate::error::{AppError, FieldError, LinkPurpose};
use crate::web::page::{LayoutUser, NavSection, PageLayout, theme};

/// Why an address that only takes POST shows nothing, for visitors. Programs read the `Allow` header.
const FORM_ADDRESS: &str = "It only takes forms. Open the page that has the form, and send it from there.";

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemDetails {
    /// Of the error page.
    #[serde(skip)]
    heading: &'static str,
    /// What the link is for that does not work. `None` for other errors.
    #[serde(skip)]
    dead_link: Option<LinkPurpose>,
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    request_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

#[derive(Template)]
#[template(path = "errors/failed.html")]
struct ErrorPage<'a> {
    layout: PageLayout,
    problem: &'a ProblemDetails,
    detail: &'a str,
    /// Whether to point out that the browser still has what was typed.
    has_form: bool,
}

/// What an error page shows besides the error.
struct PageContext {
    visitor: Option<LayoutUser>,
    /// Whether the request was a form.
    has_form: bool,
}

/// Renders errors as `application/problem+json`.
///
/// # Errors
/// Passes errors on, rendered.
pub async fn as_problem_json(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    render_errors(request, next, problem_json).await
}

/// Renders errors as a page.
///
/// # Errors
/// Passes errors on, rendered.
pub async fn as_page(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    render_errors(request, next, html_page).await
}

async fn render_errors<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    render: fn(HttpResponse, &ProblemDetails, PageContext) -> HttpResponse,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let request_id = request_log::request_id(request.request()).map(|id| id.to_string()).unwrap_or_default();
    let has_form = request.method() == Method::POST;
    match next.call(request).await {
        Ok(response) if is_unrendered_error(&response) => {
            let (request, response) = response.into_parts();
            let context = PageContext { visitor: request.extensions().get().cloned(), has_form };
            let problem = ProblemDetails::new(response.error(), response.status(), request_id);
            let rendered = render(response.drop_body().map_body(|_, ()| BoxBody::new(())), &problem, context);
            Ok(ServiceResponse::new(request, rendered).map_into_right_body())
        }
        Ok(response) => Ok(response.map_into_left_body()),
        Err(mut error) => {
            let problem =
                ProblemDetails::new(Some(&error), error.as_response_error().status_code(), request_id);
            let theme = theme::current();
            error.add_response_mapper(move |response| {
                theme::with_theme(theme, || {
                    render(response, &problem, PageContext { visitor: None, has_form })
                })
            });
            Err(error)
        }
    }
}

/// Whether the response is an error without a body. A page that shows its form again has one.
fn is_unrendered_error<B: MessageBody>(response: &ServiceResponse<B>) -> bool {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    failed
        && (response.response().error().is_some() || !response.headers().contains_key(header::CONTENT_TYPE))
}

impl ProblemDetails {
    fn new(error: Option<&Error>, status: StatusCode, request_id: String) -> Self {
        let app_error = if error.is_some_and(is_from_sign_in_store) {
            Some(&AppError::Busy)
        } else {
            error.and_then(Error::as_error)
        };
        log(error, app_error, status);
        let status = app_error.map_or(status, actix_web::ResponseError::status_code);
        let code = app_error.map_or_else(|| code_for_status(status), AppError::code);
        Self {
            heading: heading(app_error, status),
            dead_link: match app_error {
                Some(AppError::DeadLink(purpose)) => Some(*purpose),
                _ => None,
            },
            r#type: format!("/docs#{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: app_error.map_or_else(|| detail_for_status(status).to_owned(), ToString::to_string),
            code,
            request_id,
            errors: match app_error {
                Some(AppError::Invalid(errors) | AppError::Unprocessable(errors)) => errors.clone(),
                _ => Vec::new(),
            },
        }
    }
}

/// Whether actix-session failed to load, delete, save or update a sign-in.
fn is_from_sign_in_store(error: &Error) -> bool {
    error.as_error::<InternalError<anyhow::Error>>().is_some()
        || error.as_error::<InternalError<SaveError>>().is_some()
        || error.as_error::<InternalError<UpdateError>>().is_some()
}

/// Whether the sign-in store failed only because no connection was free. Its error can be read only as text.
fn is_without_cause(error: &Error) -> bool {
    format!("{error:?}") == AppError::Busy.to_string()
}

fn log(error: Option<&Error>, app_error: Option<&AppError>, status: StatusCode) {
    match (app_error, error) {
        (Some(AppError::Broken(cause) | AppError::Unavailable(cause)), _) => {
            tracing::error!(%cause, "A request failed");
        }
        // The pool logs why it has no connection, once.
        (Some(AppError::Busy), Some(error)) if !is_from_sign_in_store(error) || is_without_cause(error) => {}
        (_, Some(error)) if status.is_server_error() => tracing::error!(cause = ?error, "A request failed"),
        _ => {}
    }
}

/// The stable error code of a response.
#[must_use]
pub fn code(error: Option<&Error>, status: StatusCode) -> &'static str {
    error.and_then(Error::as_error).map_or_else(|| code_for_status(status), AppError::code)
}

fn code_for_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        status if status.is_client_error() => "malformed_request",
        _ => "internal_error",
    }
}

fn detail_for_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not support this method. See the Allow header.",
        status if status.is_client_error() => "The request cannot be read.",
        _ => "Something went wrong on our side. Try again. If it keeps happening, send us the request ID.",
    }
}

/// The heading of an error page.
fn heading(error: Option<&AppError>, status: StatusCode) -> &'static str {
    match status {
        _ if matches!(error, Some(AppError::DeadLink(_))) => "This link does not work",
        _ if matches!(error, Some(AppError::Invalid(_))) => "Check what you entered",
        StatusCode::FORBIDDEN => "You do not have access",
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::METHOD_NOT_ALLOWED => "This address shows no page",
        StatusCode::REQUEST_TIMEOUT => "This took too long",
        StatusCode::CONFLICT => "This has changed in the meantime",
        StatusCode::PAYLOAD_TOO_LARGE => "This is too large",
        StatusCode::TOO_MANY_REQUESTS => "Wait a moment",
        StatusCode::SERVICE_UNAVAILABLE => "Uptok is busy",
        status if status.is_client_error() => "This request cannot be read",
        _ => "An unexpected error",
    }
}

fn problem_json(response: HttpResponse, problem: &ProblemDetails, _context: PageContext) -> HttpResponse {
    let body = serde_json::to_string(problem).unwrap_or_default();
    with_body(response, problem, "application/problem+json", body)
}

fn html_page(response: HttpResponse, problem: &ProblemDetails, context: PageContext) -> HttpResponse {
    let layout =
        PageLayout { visitor: context.visitor, ..PageLayout::signed_out(problem.heading, NavSection::None) };
    // After a 404 there is nothing to send the form to.
    let has_form = context.has_form && problem.status != StatusCode::NOT_FOUND.as_u16();
    let is_form_address = problem.status == StatusCode::METHOD_NOT_ALLOWED.as_u16();
    let detail = if is_form_address { FORM_ADDRESS } else { &problem.detail };
    let body = ErrorPage { layout, problem, detail, has_form }
        .render()
        .unwrap_or_else(|_unrenderable| problem.detail.clone());
    with_body(response, problem, "text/html; charset=utf-8", body)
}

/// Sets status and body, and keeps the headers (`Allow`, `Retry-After`, `WWW-Authenticate`, CORS).
fn with_body(
    mut response: HttpResponse,
    problem: &ProblemDetails,
    content_type: &'static str,
    body: String,
) -> HttpResponse {
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    response.set_body(BoxBody::new(body))
}
