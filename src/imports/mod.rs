//! Imports in the browser: a file is uploaded, checked, and then imported.
//!
//! The file waits in chunks in the database, where any node goes through it, one transaction a chunk: what a chunk
//! holds and how far the import is are stored together, so whoever takes over from a node that died doubles nothing and
//! loses nothing.

mod bad_lines;
mod import;
mod pages;
mod store;
mod worker;

pub use pages::routes;

pub use store::discard_waiting;
pub use worker::Worker;
pub(crate) use worker::imported;
