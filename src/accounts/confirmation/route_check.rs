//! The check that a route needs a confirmation. The table of page routes applies it, so no handler can forget it.

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
};

use super::confirm_page::show_confirm_page;
use crate::{
    accounts::{
        account_services::AccountServices,
        login::{after_login::LoginReturn, interrupted_form::InterruptedForm, route_check::referring_path},
        sign_in::extractor::{MaybeSignedIn, SignedInUser},
    },
    error::AppError,
    web::body::{form::FormState, peek::peek_form},
};

/// Maximum size of a form that is carried, in bytes. The handler's own limit may be lower.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum number of fields of a form that is carried.
const FIELDS_MAX: usize = 256;

/// Answers a form with the page that asks for the password or a code, unless the user has confirmed within the hour.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn require_confirmation(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match request.extract::<SignedInUser>().await {
        Ok(user) if user.is_recent() => next.call(request).await,
        Ok(_) => match ask(&mut request).await {
            Ok(response) => Ok(request.into_response(response)),
            Err(error) => Ok(request.error_response(error)),
        },
        Err(error) => Ok(request.error_response(error)),
    }
}

/// 403, because the form was not accepted.
async fn ask(request: &mut ServiceRequest) -> Result<HttpResponse, AppError> {
    let services = request.extract::<AccountServices>().await?;
    let fields = peek_form::<BODY_LIMIT, FIELDS_MAX>(request).await?;
    let action = request.path().parse().map_err(|_not_local| AppError::NotFound)?;
    let path = referring_path(request.request(), &services);
    let form = InterruptedForm::new(&action, path.as_ref(), fields.iter());
    let after = LoginReturn { path, form: Some(form), ..LoginReturn::default() };
    let visitor = request.extract::<MaybeSignedIn>().await?;
    show_confirm_page(request.request(), visitor, StatusCode::FORBIDDEN, FormState::default(), &after)
}
