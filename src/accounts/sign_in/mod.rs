//! Sign-ins of browsers: the cookie, its table, and the extractors for handlers.

pub(super) mod cookie_store;
pub(super) mod extractor;
pub(super) mod form_client;
pub(super) mod form_user;
pub(super) mod route_permission;
mod sign_in_row;
pub(super) mod table;
pub(super) mod user_sign_ins;
