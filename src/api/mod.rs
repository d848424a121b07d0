//! The table of API endpoints. Routes, access rules and the OpenAPI document at `/api/openapi.json` are built from it, so
//! no endpoint lacks an access rule or is missing from the document.

mod endpoint;
mod key_endpoints;
mod openapi;
mod schemas;
mod session_endpoints;

use key_endpoints::KEY_ENDPOINTS;
use openapi::DOCUMENT_ENDPOINTS;
use session_endpoints::SESSION_ENDPOINTS;

pub use endpoint::{Endpoint, EndpointHandler, HttpMethod};
pub use openapi::OpenApiDocument;

use actix_web::web::ServiceConfig;

#[must_use]
pub fn endpoints() -> Vec<Endpoint> {
    [DOCUMENT_ENDPOINTS.as_slice(), &SESSION_ENDPOINTS, &KEY_ENDPOINTS].concat()
}

pub fn routes(config: &mut ServiceConfig) {
    endpoint::register_routes(&endpoints(), config);
}
