//! The address `/confirm`.

use actix_session::Session;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, http::StatusCode, web::Data};

use super::{confirm_page::show_confirm_page, replay::ConfirmationResult};
use crate::{
    accounts::{
        login::after_login::{HOME, LoginReturn},
        sign_in::extractor::{MaybeSignedIn, flash},
    },
    config::Settings,
    error::AppError,
    web::{body::form::FormState, page::see_other},
};

pub(crate) async fn show(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    let after = LoginReturn::from_query(&request, settings.public_url.is_https());
    show_confirm_page(&request, visitor, StatusCode::OK, FormState::default(), &after)
}

/// Answers what [`super::replay::complete_confirmed_form`] found out. It does not get here if there is a form to complete.
pub(crate) async fn confirm(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
) -> Result<HttpResponse, AppError> {
    let result = request.extensions_mut().remove::<ConfirmationResult>();
    match result.ok_or_else(|| AppError::broken("app.rs does not check confirmations"))? {
        ConfirmationResult::Wrong(form, after) => {
            show_confirm_page(&request, visitor, StatusCode::UNPROCESSABLE_ENTITY, form, &after)
        }
        ConfirmationResult::Right(after) => {
            flash(&session, "Confirmed for an hour.")?;
            Ok(see_other(after.path.as_ref().map_or(HOME, |path| path.as_str())))
        }
    }
}
