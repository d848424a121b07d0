mod api;
pub(crate) mod auth;
mod commands;
mod create;
mod list;
mod rate_limits;
mod replace;
mod service;
mod table;
