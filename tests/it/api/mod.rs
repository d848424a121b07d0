//! The API as a whole.

mod openapi;
