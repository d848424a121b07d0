//! Checks the password or code that was sent to `/confirm`, and completes the form that it carries.
//!
//! The request becomes the one of that form before its route is chosen. So all checks of the route are made again: who may
//! use it, for which client, and from which site.

use actix_session::{Session, SessionExt as _};
use actix_web::{
    Error, HttpMessage as _,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse, Url},
    http::{
        Method, Uri,
        header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING},
    },
    middleware::Next,
    web::Bytes,
};

use crate::{
    accounts::{
        account_services::{AccountServices, Confirmation},
        login::{after_login::LoginReturn, interrupted_form::InterruptedForm},
        second_factor::login_pages::WRONG_CODE,
        sign_in::extractor::{SIGNED_IN, SignInRow, SignedInUser},
    },
    error::AppError,
    web::body::{FormFields, form::FormState, peek::peek_form},
};

const CONFIRM: &str = "/confirm";
/// Maximum size of the form, in bytes: it may carry another form.
const BODY_LIMIT: usize = 96 * 1024;
/// Maximum number of fields of the form.
const FIELDS_MAX: usize = 272;
const BOTH_MISSING: &str = "Enter a code or your password.";
const PASSWORD_MISSING: &str = "Enter your password.";
const WRONG_PASSWORD: &str = "Incorrect password.";

type ConfirmFields = FormFields<BODY_LIMIT, FIELDS_MAX>;

/// What became of a confirmation, with what follows it. Attached to the request for the handler of `/confirm`.
pub(super) enum ConfirmationResult {
    Wrong(FormState, LoginReturn),
    Right(LoginReturn),
}

/// Turns a right confirmation that carries a form into the request of that form.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn complete_confirmed_form<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    // As the router sees it: `/%63onfirm` is the same path.
    if request.method() == Method::POST && request.match_info().as_str() == CONFIRM {
        confirm(&mut request).await?;
    }
    next.call(request).await
}

/// Leaves the request as it is if nobody is signed in.
async fn confirm(request: &mut ServiceRequest) -> Result<(), AppError> {
    let Ok(user) = request.extract::<SignedInUser>().await else { return Ok(()) };
    let services = request.extract::<AccountServices>().await?;
    let fields = peek_form::<BODY_LIMIT, FIELDS_MAX>(request).await?;
    let after = LoginReturn::from_fields(request.request(), services.is_https(), &fields.iter());
    if let Some(error) = find_error(request, &services, &user, &fields).await? {
        request.extensions_mut().insert(ConfirmationResult::Wrong(error, after));
        return Ok(());
    }
    services.confirm(&user).await?;
    mark_confirmed(&request.get_session())?;
    if let Some(form) = &after.form {
        return become_request_of(form, request);
    }
    request.extensions_mut().insert(ConfirmationResult::Right(after));
    Ok(())
}

/// Returns `None` if the password or the code is right.
async fn find_error(
    request: &ServiceRequest,
    services: &AccountServices,
    user: &SignedInUser,
    fields: &ConfirmFields,
) -> Result<Option<FormState>, AppError> {
    let code = fields.get("code").filter(|_| user.has_second_factor());
    let (entered, field, error) = match (code, fields.get("password")) {
        (Some(code), _) => (Confirmation::Code(code), "code", WRONG_CODE),
        (None, Some(password)) => (Confirmation::Password(password), "password", WRONG_PASSWORD),
        (None, None) if user.has_second_factor() => {
            return Ok(Some(FormState::default().refuse("code", BOTH_MISSING)));
        }
        (None, None) => return Ok(Some(FormState::default().refuse("password", PASSWORD_MISSING))),
    };
    let is_right = services.verify_confirmation(request.request(), user, entered).await?;
    Ok((!is_right).then(|| FormState::default().refuse(field, error)))
}

/// Lets the rest of this request know that the user has just entered the password or a code.
fn mark_confirmed(session: &Session) -> Result<(), AppError> {
    let row = session.get::<SignInRow>(SIGNED_IN).map_err(AppError::broken)?.ok_or(AppError::SignedOut)?;
    session.insert(SIGNED_IN, SignInRow { is_recent: true, ..row }).map_err(AppError::broken)
}

fn become_request_of(form: &InterruptedForm, request: &mut ServiceRequest) -> Result<(), AppError> {
    let uri: Uri = form.action().parse().map_err(|_not_local| AppError::NotFound)?;
    if Url::new(uri.clone()).path() == CONFIRM {
        return Err(AppError::NotFound);
    }
    let body = Bytes::from(form.encode());
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.remove(TRANSFER_ENCODING);
    request.set_payload(body.into());
    Ok(())
}
