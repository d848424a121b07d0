//! Invitations: a single-use link makes the person with one email address a member.

pub(crate) mod error;
pub(crate) mod pages;
pub(crate) mod service;
pub(crate) mod store;
