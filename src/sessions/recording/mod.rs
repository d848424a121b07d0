//! Recording sessions through the API, and the rows that an import shares with it.

pub(super) mod batch;
pub(super) mod batch_queue;
pub(super) mod daily_counts;
pub(crate) mod handlers;
pub(super) mod idempotency;
pub(super) mod new_row;
pub(super) mod store;
