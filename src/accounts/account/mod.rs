//! What users change about their own account: name, email, password, sign-ins, and its end.

pub(super) mod commands;
pub(crate) mod delete_pages;
mod deletion;
pub(crate) mod email_pages;
mod form;
pub(crate) mod pages;
pub(super) mod service;
pub(crate) mod sign_in_pages;

pub use deletion::{OnlyOwnerOf, delete_account};
