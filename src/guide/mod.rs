//! The API documentation at `/docs`: public, with this installation's real address and limits, which come from the
//! code that holds them, so that the page cannot lie.

pub(crate) mod pages;
mod reference;

pub(crate) use pages as guide_pages;
