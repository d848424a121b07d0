//! Forms that change something of a client name the client that they were opened under.
//!
//! The table of page routes applies these checks, so no handler can forget them.

use actix_web::{
    Error, HttpMessage as _,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use super::extractor::SignedIn;
use crate::{
    error::AppError,
    web::body::{FormFields, RawBody, upload::FormClientCheck},
};

/// Maximum size of any form of a client, in bytes. The handler's own limit may be lower.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum number of fields of any form of a client. The handler's own limit may be lower.
const FIELDS_MAX: usize = 256;

/// Refuses a form that does not name the active client, before its handler runs. The handler reads the body again.
///
/// # Errors
/// Answers 303 to the login page if nobody is signed in, and what [`SignedIn::require_client`] and [`FormFields`] refuse.
pub(crate) async fn require_form_client(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check_form(&mut request).await {
        Ok(()) => next.call(request).await,
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn check_form(request: &mut ServiceRequest) -> Result<(), AppError> {
    let signed_in = request.extract::<SignedIn>().await?;
    let RawBody(body) = request.extract::<RawBody<BODY_LIMIT>>().await?;
    request.set_payload(body.clone().into());
    let fields = request.extract::<FormFields<BODY_LIMIT, FIELDS_MAX>>().await?;
    request.set_payload(body.into());
    signed_in.require_client(fields.text("clientId"))
}

/// Attaches the check to an upload, which is too large to be read here. Without it no handler can read the upload.
///
/// # Errors
/// Answers 303 to the login page if nobody is signed in.
pub(crate) async fn require_upload_client(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match request.extract::<SignedIn>().await {
        Ok(signed_in) => {
            let check = FormClientCheck::new(move |form_client| signed_in.require_client(form_client));
            request.extensions_mut().insert(check);
            next.call(request).await
        }
        Err(error) => Ok(request.error_response(error)),
    }
}
