//! The API documentation at `/docs`: public, with this installation's real address and limits, which come from the
//! code that holds them, so that the page cannot lie.

mod pages;
mod reference;

pub use pages::routes;
