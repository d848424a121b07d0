//! Sessions: the list, the export, recording, the import and erasure.

mod erasure;
mod export;
mod get;
mod import;
mod import_of_export;
mod import_pages;
mod list;
mod pipeline;
mod recording;
mod recording_store;
