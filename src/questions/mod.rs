//! Questions from readers of the API documentation, to be answered by email.

pub(crate) mod pages;
mod store;

pub(crate) use pages as question_pages;
pub(crate) use pages::QuestionThrottle;
pub(crate) use store::{Question, latest};
