//! The tests of the whole, one file per room. Each HTTP test has a database of its own, copied from a template.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so and ends"
)]

mod accounts;
mod api_keys;
mod audit;
mod browser;
mod docs;
mod erase;
mod export;
mod gate;
mod guide;
mod import;
mod imports;
mod ingest;
mod key_programs;
mod licences;
mod migrations;
mod openapi;
mod pipeline;
mod questions;
mod read;
mod recorder;
mod rooms;
mod security;
mod serve;
mod sessions;
mod support;
mod usage;
