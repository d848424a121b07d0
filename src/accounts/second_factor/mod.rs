//! The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for users who lose the app.

mod entered_code;
mod keys;
pub(crate) mod login_pages;
pub(crate) mod pages;
pub(super) mod pending_cookie;
pub(super) mod pending_login;
mod qr_code;
mod recovery_code;
pub(crate) mod route_check;
pub(super) mod service;
mod store;
mod totp_secret;
