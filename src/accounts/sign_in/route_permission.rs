//! The permission that a page needs. The table of page routes applies this check, so no handler can forget it.

use actix_web::{
    Error,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use super::extractor::SignedIn;
use crate::{accounts::membership::permission::Permission, error::AppError};

/// Refuses a user whose role in the active client does not have the permission, before the handler runs.
///
/// # Errors
/// Answers 303 to the login page if nobody is signed in, 303 to the page for users without a client, or 403.
pub(crate) async fn require_permission(
    permission: Permission,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check(permission, &mut request).await {
        Ok(()) => next.call(request).await,
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn check(permission: Permission, request: &mut ServiceRequest) -> Result<(), AppError> {
    request.extract::<SignedIn>().await?.require(permission)
}
