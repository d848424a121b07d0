//! Creating a client.

pub(crate) mod pages;
pub(crate) mod service;
