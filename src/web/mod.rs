//! Code that the pages and endpoints of all rooms share. Must not import a room.

pub mod assets;
pub mod body;
pub mod chart;
pub(crate) mod client_address;
pub mod compression;
pub mod connection;
pub mod csv;
pub mod error_responses;
pub(crate) mod expiring_map;
pub mod form;
pub mod format;
pub mod health;
pub mod list;
pub(crate) mod multipart;
pub(crate) mod number;
pub mod page;
pub(crate) mod rate_limit;
pub(crate) mod request_log;
pub mod response_body;
pub mod same_origin;
pub mod security_headers;
pub mod throttle;
pub mod time;
pub(crate) mod time_parser;
pub mod upload;
pub(crate) mod urlencoded;
