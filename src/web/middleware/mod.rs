//! What every request and response passes through, in the order that `app.rs` sets.

pub mod compression;
pub mod error_responses;
pub(crate) mod request_log;
pub mod same_origin;
pub mod security_headers;
