//! What programs call: one table of the calls below `/api`, from which come the routes, who may call them, and the
//! OpenAPI document at `/api/openapi.json`.
//!
//! Each room lists its own calls. A call without a word on who may make it cannot be written.

mod call;
mod document;
mod schemas;

pub use call::{Call, Method, routes};
pub use document::{CALLS, Document, fields, item, json_body, parameter};
pub use schemas::NO_CONTROL_CHARACTERS;
