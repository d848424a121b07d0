//! The public API documentation at `/docs`. Address, limits and fields come from the code that uses them, so the page
//! cannot differ from it.

pub(crate) mod pages;
mod reference;

pub(crate) use pages as guide_pages;
