//! Questions from readers of the API documentation: stored, to be answered within a business day.

mod pages;
mod store;

pub use pages::{QuestionThrottle, routes};
pub use store::{Question, latest};
