//! Settings → API Keys in the browser.

pub(crate) mod bulk_delete;
pub(super) mod form;
pub(crate) mod list;
pub(crate) mod one_key;
pub(super) mod row;
