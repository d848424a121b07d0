//! Erasing the personal data of a shopper.

pub(crate) mod pages;
pub(super) mod shopper;
pub(super) mod store;
