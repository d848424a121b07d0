//! Limits on how often something may happen.

pub(crate) mod expiring_map;
pub(crate) mod limit_kind;
pub(crate) mod rate_limit;
