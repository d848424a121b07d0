//! Reading sessions through the API: a page, one session, or everything as a file.

pub(super) mod exporter;
pub(crate) mod handlers;
mod negotiation;
pub(super) mod page_cache;
mod page_slot;
pub(super) mod pipelined_queries;
pub(super) mod query;
pub(super) mod response;
mod rfc3339;
pub(super) mod row_encoder;
pub(super) mod store;
pub(super) mod stream;
