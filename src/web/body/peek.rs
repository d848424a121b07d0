//! Reading a form in a check that runs before its handler.

use actix_web::dev::ServiceRequest;

use super::{FormFields, RawBody};
use crate::error::AppError;

/// Reads a form and leaves its body in the request, so that the handler can read it too.
///
/// # Errors
/// The errors of [`RawBody`] and [`FormFields`].
pub(crate) async fn peek_form<const LIMIT: usize, const FIELDS: usize>(
    request: &mut ServiceRequest,
) -> Result<FormFields<LIMIT, FIELDS>, AppError> {
    let RawBody(body) = request.extract::<RawBody<LIMIT>>().await?;
    request.set_payload(body.clone().into());
    let fields = request.extract::<FormFields<LIMIT, FIELDS>>().await?;
    request.set_payload(body.into());
    Ok(fields)
}
