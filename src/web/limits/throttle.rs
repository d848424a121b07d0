//! Limits on attempts, per address or account.

use std::{hash::Hash, num::NonZeroU32, time::Instant};

use prometheus::IntCounter;

use super::{expiring_map::ExpiringMap, rate_limit::TokenBucket};
use crate::error::AppError;

/// One [`TokenBucket`] per key. Full buckets are forgotten; the others stay, so that a flood of new keys resets no count.
pub struct Throttle<K> {
    per_minute: NonZeroU32,
    buckets: ExpiringMap<K, TokenBucket>,
    refusals: IntCounter,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// A throttle with the same limit for each key.
    #[must_use]
    pub fn per_minute(attempts: NonZeroU32, refusals: IntCounter) -> Self {
        Self { per_minute: attempts, buckets: ExpiringMap::new(), refusals }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    pub fn count(&self, key: &K) -> Result<(), AppError> {
        self.count_at(key, Instant::now())
    }

    fn count_at(&self, key: &K, now: Instant) -> Result<(), AppError> {
        let new_bucket = || TokenBucket::new(self.per_minute, now);
        let status = self.buckets.update_or_insert(key.clone(), now, new_bucket, |bucket| bucket.take(now));
        status.map(|_status| ()).map_err(|status| {
            self.refusals.inc();
            AppError::TooMany(status.reset_seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle<K: Hash + Eq + Clone>(attempts: u32) -> Throttle<K> {
        Throttle::per_minute(
            NonZeroU32::new(attempts).unwrap(),
            IntCounter::new("refusals", "refusals").unwrap(),
        )
    }

    #[test]
    fn each_key_has_its_own_count() {
        let throttle = throttle(2);
        assert!(throttle.count(&"a").is_ok());
        assert!(throttle.count(&"a").is_ok());
        assert!(matches!(throttle.count(&"a"), Err(AppError::TooMany(1..=31))));
        assert!(throttle.count(&"b").is_ok());
        assert_eq!(throttle.refusals.get(), 1);
    }

    #[test]
    fn a_flood_of_keys_resets_no_count() {
        let throttle = throttle(1);
        let start = Instant::now();
        assert!(throttle.count_at(&0, start).is_ok());

        for key in 1..=50_000 {
            assert!(throttle.count_at(&key, start).is_ok());
        }

        assert!((0..=50_000).all(|key| throttle.count_at(&key, start).is_err()));
        assert!(throttle.count_at(&0, start + std::time::Duration::from_secs(61)).is_ok());
    }
}
