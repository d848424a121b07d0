//! Furniture that every page and endpoint uses. It knows no room.

pub mod assets;
pub mod body;
pub mod chart;
pub mod client_address;
pub mod csv;
pub mod error_pages;
pub mod form;
pub mod format;
pub mod health;
pub mod page;
pub mod request_log;
pub mod same_origin;
pub mod security_headers;
pub mod throttle;
pub mod time;
pub mod upload;
