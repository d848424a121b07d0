//! The public API documentation at `/docs`. The address and limits on the page come from the settings and constants of
//! the code, so that they are always right.

pub(crate) mod pages;
mod reference;

pub(crate) use pages as guide_pages;
