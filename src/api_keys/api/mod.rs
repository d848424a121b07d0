//! Key management below `/api/keys`.

pub(crate) mod handlers;
pub(super) mod json;
