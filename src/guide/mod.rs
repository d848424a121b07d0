//! The public API documentation at `/docs`. Address, limits and fields come from the code that uses them, so the page
//! cannot differ from it.

mod error_codes;
pub(crate) mod pages;

pub(crate) use pages as guide_pages;
