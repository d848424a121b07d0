//! The list of sessions in the browser, one session, and the list as a file.

pub(super) mod agents;
pub(super) mod daily_chart;
pub(super) mod details;
pub(super) mod no_results_reason;
pub(super) mod page_filter;
pub(crate) mod pages;
pub(super) mod previous_next;
pub(super) mod query;
pub(super) mod result_summary;
pub(super) mod row;
pub(super) mod search;
pub(super) mod store;
