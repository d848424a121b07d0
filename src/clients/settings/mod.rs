//! The settings of a client.

pub(crate) mod pages;
pub(crate) mod service;
