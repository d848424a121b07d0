//! Importing a file of sessions, in the browser and on the command line.
//!
//! The whole file is read once before any of it is imported: it must be CSV or NDJSON in one encoding.
//!
//! In the browser the file is uploaded, checked, and then imported. It waits in chunks in the database, where any node
//! processes it, one transaction per chunk: rows and progress are committed together, so a node that takes over from
//! one that died neither repeats nor loses a chunk.

pub(super) mod backlog;
pub(super) mod columns;
pub(super) mod content_id;
pub(super) mod dry_run;
pub(super) mod file;
pub(super) mod importer;
pub(super) mod job;
pub(super) mod layout;
pub(super) mod line_splitter;
pub(crate) mod pages;
pub(super) mod parser;
mod queue;
pub(crate) mod rejected_lines;
mod state_message;
pub(super) mod store;
mod upload;
pub(super) mod worker;
