//! The active client: switching to another one, and offering to do so.

pub(crate) mod offer;
pub(crate) mod pages;
mod store;
