//! Usage: how often each API key is used, from where, and what went wrong.
//!
//! A request only counts itself in memory ([`UsageMeter`]). Once a second the counts of all requests are added to the tables
//! in one transaction ([`UsageFlusher`]), over a connection of their own, so that no request ever waits for them. What is
//! counted is stored once, also when PostgreSQL is away for a while or does not say whether it has stored it. A process
//! that is killed on the spot takes the counts of its last second with it.

mod flusher;
mod meter;
mod middleware;
pub(crate) mod pages;
mod queries;
mod report;
mod store;

pub use flusher::UsageFlusher;
pub use meter::{MeteredRequest, UsageCounts, UsageMeter};
pub use middleware::{ApiCaller, count};
pub(crate) use pages as usage_pages;
pub use queries::{KeyUse, LastUse, of_key, of_keys};
pub use store::{UsageBatch, keep, sweep};
