//! Usage: how often each API key is used, from where, and which requests failed.
//!
//! A request is only counted in memory ([`UsageMeter`]). Once a second [`UsageFlusher`] adds the counts of all requests to
//! the tables, over a database connection of its own, so that requests never wait for it: in one transaction, or in one
//! per shard where tables are distributed. Each count is stored exactly once, even if PostgreSQL is unavailable for a while
//! or the connection breaks during a commit. A killed process loses the counts of its last second.

mod flusher;
mod meter;
mod middleware;
pub(crate) mod pages;
mod queries;
mod report_view;
mod shard_batches;
mod store;

pub use flusher::UsageFlusher;
pub use meter::{MeteredRequest, UsageMeter};
pub(crate) use middleware::{ApiCaller, count_request};
pub(crate) use pages as usage_pages;
pub use queries::{
    DailyRequests, KeyActivity, LastUse, load_daily_requests, load_key_activities, load_last_uses,
};
pub use store::{UsageBatch, delete_old_counts, save_batch, save_shard_batch};
