//! Limits on attempts, per address or account.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::rate_limit::TokenBucket;
use crate::error::AppError;

/// Above this number of buckets, full ones are dropped. The others stay, so that a flood of new keys cannot
/// reset a count.
const BUCKETS_MAX: usize = 10_000;

/// One [`TokenBucket`] per key.
pub struct Throttle<K> {
    per_minute: NonZeroU32,
    buckets: Mutex<HashMap<K, TokenBucket>>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// A throttle with the same limit for each key.
    #[must_use]
    pub fn per_minute(attempts: NonZeroU32) -> Self {
        Self { per_minute: attempts, buckets: Mutex::default() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    pub fn count(&self, key: &K) -> Result<(), AppError> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > BUCKETS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        let bucket = buckets.entry(key.clone()).or_insert_with(|| TokenBucket::new(self.per_minute, now));
        bucket.take(now).map(|_status| ()).map_err(|status| AppError::TooMany(status.reset_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_count() {
        let throttle = Throttle::per_minute(NonZeroU32::new(2).unwrap());
        assert!(throttle.count(&"a").is_ok());
        assert!(throttle.count(&"a").is_ok());
        assert!(matches!(throttle.count(&"a"), Err(AppError::TooMany(1..=31))));
        assert!(throttle.count(&"b").is_ok());
    }
}
