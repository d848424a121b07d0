//! Rate limits that hold across nodes.
//!
//! Each node limits on its own, in memory, so no request of a key waits for the database. Once a second it adds what it
//! has used to the tables and takes what other nodes have used out of its own buckets ([`LimitExchange`]). Until then
//! others may exceed a limit by what was used in that second; it is made up for afterwards. Attempts to log in are rare
//! and dangerous, so each is counted in the table ([`ExactLimit`]). While the database fails, each node counts alone.

mod bucket_map;
mod exact_limit;
mod exchange;
mod key_limit;
mod shared_bucket;
mod shared_limits;
mod store;
mod subject;

pub(crate) use exact_limit::ExactLimit;
pub(crate) use exchange::LimitExchange;
pub(crate) use key_limit::KeyLimit;
pub(crate) use shared_bucket::SharedBucket;
pub(crate) use shared_limits::SharedLimits;
