mod api;
pub(crate) mod auth;
mod create;
mod list;
mod rate_limits;
mod replace;
mod service;
mod table;
