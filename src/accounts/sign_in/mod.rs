//! Browser logins: the cookie, the table behind it, and what a handler learns of the visitor.

pub(super) mod cookie_store;
pub(super) mod extractor;
pub(super) mod table;
