//! Setting a new password with a link, because the old one was forgotten.

pub(crate) mod pages;
pub(super) mod service;
