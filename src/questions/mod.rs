//! Questions from readers of the API documentation: stored, to be answered within a business day.

pub(crate) mod pages;
mod store;

pub(crate) use pages as question_pages;
pub use pages::QuestionThrottle;
pub use store::{Question, latest};
