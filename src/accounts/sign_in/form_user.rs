//! Forms about the user's own account name the user that they were opened by.
//!
//! Someone else may have logged in with the browser since then, in another tab. Without this check the form would delete or
//! change that other account.

use actix_web::{
    Error,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use uuid::Uuid;

use super::extractor::{MaybeSignedIn, SignedInUser};
use crate::{
    error::AppError,
    web::body::{FormFields, RawBody},
};

/// Maximum size of a form about the account, in bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// The field with the id of the user. Programs may leave it out.
const FIELD: &str = "userId";
const OTHER_USER: &str =
    "This form was opened by another user of this browser. Open the page again, and check who is logged in.";

/// Refuses a form that names another user than the one who is signed in, with 409. The handler reads the body again.
///
/// # Errors
/// Passes errors on.
pub(crate) async fn require_form_user(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check_user(&mut request).await {
        Ok(()) => next.call(request).await,
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn check_user(request: &mut ServiceRequest) -> Result<(), AppError> {
    let user = request.extract::<SignedInUser>().await?;
    let RawBody(body) = request.extract::<RawBody<BODY_LIMIT>>().await?;
    // A form without fields may have no type either.
    if body.is_empty() {
        return Ok(());
    }
    request.set_payload(body.clone().into());
    let fields = request.extract::<FormFields<BODY_LIMIT>>().await?;
    request.set_payload(body.into());
    match fields.get(FIELD) {
        Some(user_id) if user_id != user.user_id.to_string() => Err(AppError::Conflict(OTHER_USER.into())),
        _ => Ok(()),
    }
}

impl MaybeSignedIn {
    /// Whether a user other than this one is signed in.
    pub(crate) fn is_someone_else(&self, user_id: Uuid) -> bool {
        self.user.as_ref().is_some_and(|user| user.user_id != user_id)
    }
}
