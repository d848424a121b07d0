//! What programs call: one table of the calls below `/api`, from which come the routes, who may call them, and the
//! OpenAPI document at `/api/openapi.json`.
//!
//! An endpoint cannot be written without an access rule.

mod endpoint;
mod key_endpoints;
mod openapi;
mod schemas;
mod session_endpoints;

use key_endpoints::KEY_ENDPOINTS;
use openapi::DOCUMENT_ENDPOINTS;
use session_endpoints::SESSION_ENDPOINTS;

pub use endpoint::{Endpoint, HttpMethod};
pub use openapi::OpenApiDocument;

use actix_web::web::ServiceConfig;

/// Every endpoint of the API.
#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    [DOCUMENT_ENDPOINTS.as_slice(), &SESSION_ENDPOINTS, &KEY_ENDPOINTS].concat()
}

/// Registers every endpoint.
pub fn routes(config: &mut ServiceConfig) {
    endpoint::routes(&endpoints(), config);
}
