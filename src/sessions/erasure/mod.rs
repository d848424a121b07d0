//! Erasing the personal data of a shopper.

pub(super) mod pages;
pub(super) mod shopper;
pub(super) mod store;
