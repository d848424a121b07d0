//! The active client: switching to another one, and offering to do so.

mod object_id;
pub(crate) mod offer;
mod page_subject;
pub(crate) mod pages;
mod refused_form;
mod store;
