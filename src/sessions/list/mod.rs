//! The list of sessions in the browser, one session, and the list as a file.

pub(super) mod daily_chart;
pub(super) mod details;
pub(crate) mod pages;
pub(super) mod query;
pub(super) mod row;
pub(super) mod search;
pub(super) mod store;
