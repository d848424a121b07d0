//! API keys: the pages, the API, authentication and limits.

mod api;
mod auth;
mod create;
mod list;
mod rate_limits;
mod replace;
mod service;
mod table;
