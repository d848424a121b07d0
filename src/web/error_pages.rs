//! The two faces of a failure: `application/problem+json` (RFC 9457) under `/api`, a page elsewhere.
//!
//! They cover what our handlers return, what actix itself refuses (404, 405, unreadable paths) and what a middleware
//! gives up with. Only the sentence of an [`AppError`] is shown; causes go to the log.

use actix_session::storage::{SaveError, UpdateError};
use actix_web::{
    Error, HttpMessage as _, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header},
    middleware::Next,
};
use askama::Template;
use serde::Serialize;

use super::{
    page::{NavSection, PageLayout, Visitor},
    request_log::RequestId,
};
use crate::error::{AppError, FieldError};

/// A failure, ready to be drawn.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemDetails {
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
}

/// Failures become `application/problem+json`.
///
/// # Errors
/// Passes errors on, drawn.
pub async fn as_problem_json(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    drawn(request, next, problem_json).await
}

/// Failures become a page.
///
/// # Errors
/// Passes errors on, drawn.
pub async fn as_page(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    drawn(request, next, html_page).await
}

async fn drawn<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    draw: fn(HttpResponse, &ProblemDetails, Option<Visitor>) -> HttpResponse,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let request_id = RequestId::of(request.request());
    match next.call(request).await {
        Ok(response) if is_bare_failure(&response) => {
            let (request, response) = response.into_parts();
            let visitor = request.extensions().get().cloned();
            let problem = ProblemDetails::of(response.error(), response.status(), request_id);
            let face = draw(response.drop_body().map_body(|_, ()| BoxBody::new(())), &problem, visitor);
            Ok(ServiceResponse::new(request, face).map_into_right_body())
        }
        Ok(response) => Ok(response.map_into_left_body()),
        Err(mut error) => {
            let problem =
                ProblemDetails::of(Some(&error), error.as_response_error().status_code(), request_id);
            error.add_response_mapper(move |response| draw(response, &problem, None));
            Err(error)
        }
    }
}

/// A failure without a face: from an error, or from actix itself. A page that re-renders its form has its own.
fn is_bare_failure<B: MessageBody>(response: &ServiceResponse<B>) -> bool {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    failed
        && (response.response().error().is_some() || !response.headers().contains_key(header::CONTENT_TYPE))
}

impl ProblemDetails {
    fn of(error: Option<&Error>, status: StatusCode, request_id: String) -> Self {
        let known = if error.is_some_and(is_of_sign_in_store) {
            Some(&AppError::Busy)
        } else {
            error.and_then(Error::as_error)
        };
        log(error, known, status);
        let status = known.map_or(status, actix_web::ResponseError::status_code);
        let code = known.map_or_else(|| code_of(status), AppError::code);
        Self {
            r#type: format!("/docs#{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: known.map_or_else(|| detail_of(status).to_owned(), ToString::to_string),
            code,
            request_id,
            errors: match known {
                Some(AppError::Invalid(errors) | AppError::Unprocessable(errors)) => errors.clone(),
                _ => Vec::new(),
            },
        }
    }
}

/// What actix-session gives up with: loading and deleting, saving, changing.
fn is_of_sign_in_store(error: &Error) -> bool {
    error.as_error::<InternalError<anyhow::Error>>().is_some()
        || error.as_error::<InternalError<SaveError>>().is_some()
        || error.as_error::<InternalError<UpdateError>>().is_some()
}

fn log(error: Option<&Error>, known: Option<&AppError>, status: StatusCode) {
    match (known, error) {
        (Some(AppError::Broken(cause)), _) => tracing::error!(%cause, "A request failed"),
        (_, Some(error)) if status.is_server_error() => tracing::error!(cause = ?error, "A request failed"),
        _ => {}
    }
}

/// The stable word for the failure that an answer of this status tells of.
#[must_use]
pub fn code(error: Option<&Error>, status: StatusCode) -> &'static str {
    error.and_then(Error::as_error).map_or_else(|| code_of(status), AppError::code)
}

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        status if status.is_client_error() => "malformed_request",
        _ => "internal_error",
    }
}

fn detail_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not take this method. See the Allow header.",
        status if status.is_client_error() => "The request cannot be read.",
        _ => "Something went wrong on our side. Try again; if it happens again, tell us the request id.",
    }
}

fn problem_json(response: HttpResponse, problem: &ProblemDetails, _visitor: Option<Visitor>) -> HttpResponse {
    let body = serde_json::to_string(problem).unwrap_or_default();
    with_body(response, problem, "application/problem+json", body)
}

fn html_page(response: HttpResponse, problem: &ProblemDetails, visitor: Option<Visitor>) -> HttpResponse {
    let layout = PageLayout { visitor, ..PageLayout::signed_out(problem.title, NavSection::None) };
    let body = ErrorPage { layout, problem }.render().unwrap_or_else(|_unrenderable| problem.detail.clone());
    with_body(response, problem, "text/html; charset=utf-8", body)
}

/// Keeps the headers (`Allow`, `Retry-After`, `WWW-Authenticate`, CORS) and gives status and body.
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
