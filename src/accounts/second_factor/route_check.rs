//! The check that the active client requires a second factor. The table of page routes applies it to every page but those
//! that a user needs to set one up, log out or switch to another client.

use actix_web::{
    Error,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use super::service::SECOND_FACTOR;
use crate::{accounts::sign_in::extractor::SignedInUser, web::page::see_other};

/// Sends users without a second factor to the page that sets one up, while the active client requires one.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn require_second_factor(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match request.extract::<SignedInUser>().await {
        Ok(user) if user.needs_second_factor().is_some() => {
            Ok(request.into_response(see_other(SECOND_FACTOR)))
        }
        _ => next.call(request).await,
    }
}
