//! The tests of the whole, one file per room. Each HTTP test has a database of its own, copied from a template.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so and ends"
)]

mod accounts;
mod api;
mod api_keys;
mod audit;
mod browser;
mod guide;
mod house;
mod questions;
mod routes;
mod security;
mod serve;
mod sessions;
mod support;
mod usage;
