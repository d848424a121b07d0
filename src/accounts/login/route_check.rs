//! Sends visitors without a sign-in to the login page, so that nothing they wanted or wrote is lost.
//!
//! The table of page routes applies these checks to every page of members.

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header::REFERER},
    middleware::Next,
    web::Data,
};

use crate::{
    accounts::{
        account_services::AccountServices,
        login::{
            after_login::{LoginReturn, has_sign_in_cookie},
            interrupted_form::InterruptedForm,
        },
        pages::show_login_again,
        sign_in::extractor::SignedInUser,
    },
    error::AppError,
    web::{body::peek::peek_form, local_path::LocalPath, page::see_other, page_paths::PagePaths},
};

/// Maximum size of a form that is shown again, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum number of fields of a form that is shown again.
const FIELDS_MAX: usize = 256;

/// Redirects visitors without a sign-in to the login page, with the path that they wanted.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn require_sign_in(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.extract::<SignedInUser>().await.is_ok() {
        return next.call(request).await;
    }
    let response = redirect_to_login(request.request());
    Ok(request.into_response(response))
}

/// The same for forms. If the sign-in has ended, the answer is a login page that carries the form.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn require_sign_in_for_form(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.extract::<SignedInUser>().await.is_ok() {
        return next.call(request).await;
    }
    match keep_form(&mut request).await {
        Ok(response) => Ok(request.into_response(response)),
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn keep_form(request: &mut ServiceRequest) -> Result<HttpResponse, AppError> {
    let services = request.extract::<AccountServices>().await?;
    // Only browsers that were logged in had a form, so that nobody else makes us read one.
    if !has_sign_in_cookie(request.request(), services.is_https()) {
        return Ok(redirect_to_login(request.request()));
    }
    let fields = peek_form::<BODY_LIMIT, FIELDS_MAX>(request).await?;
    let Ok(action) = request.path().parse::<LocalPath>() else {
        return Ok(redirect_to_login(request.request()));
    };
    let path = referring_path(request.request(), &services);
    // The page that asks for a confirmation carries a form itself.
    let carried = InterruptedForm::from_carried(&fields.iter());
    let form = carried.unwrap_or_else(|| InterruptedForm::new(&action, path.as_ref(), fields.iter()));
    let login_return = LoginReturn { path, form: Some(form), was_logged_in: true, ..LoginReturn::default() };
    show_login_again(&services, login_return, None).await
}

/// The page of ours that sent the request, if the browser names it. It answers GET.
pub(crate) fn referring_path(request: &HttpRequest, services: &AccountServices) -> Option<LocalPath> {
    let referrer = request.headers().get(REFERER)?.to_str().ok()?;
    let path = LocalPath::of_url(referrer, &services.settings.public_url.origin())?;
    let paths = request.app_data::<Data<PagePaths>>()?;
    paths.nearest_page(&path).parse().ok()
}

fn redirect_to_login(request: &HttpRequest) -> HttpResponse {
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    match wanted.parse::<LocalPath>() {
        Ok(path) if request.method() == Method::GET => see_other(&format!("/login?next={}", path.encoded())),
        _ => see_other("/login"),
    }
}
