//! Integration tests, one module per capability. Each HTTP test runs on its own database, copied from a
//! template.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot continue reports why and ends"
)]

mod accounts;
mod api;
mod api_keys;
mod audit;
mod browser;
mod clients;
mod command_parity;
mod connections;
mod db;
mod examples;
mod guide;
mod house;
mod limits;
mod mail;
mod messages;
mod metrics;
mod questions;
mod reverse_proxy;
mod routes;
mod security;
mod serve;
mod sessions;
mod settings;
mod support;
mod theme;
mod usage;
mod weight;
