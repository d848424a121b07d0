//! The list of sessions in the browser, one session, and the list as a file.

pub(super) mod agents;
pub(super) mod daily_chart;
pub(super) mod details;
pub(super) mod empty_reason;
pub(super) mod neighbours;
pub(super) mod page_filter;
pub(crate) mod pages;
pub(super) mod presets;
pub(super) mod query;
pub(super) mod row;
pub(super) mod search;
pub(super) mod store;
pub(super) mod summary;
