//! Code that the pages and endpoints of all rooms share. Must not import a room.

pub(crate) mod app_data;
pub mod assets;
pub mod body;
pub mod connection;
pub(crate) mod form_purposes;
pub mod format;
pub mod health;
pub mod limits;
pub(crate) mod link_path;
pub(crate) mod local_path;
pub mod middleware;
pub mod page;
pub mod page_paths;
