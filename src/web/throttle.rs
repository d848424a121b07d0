//! Limits on attempts, per address or account.

use std::{
    collections::HashMap,
    hash::Hash,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::rate_limit::TokenBucket;
use crate::error::AppError;

/// Up to this number of buckets, full ones are not dropped.
const BUCKETS_MIN: usize = 10_000;
/// Full buckets are dropped at most this often. Otherwise every attempt of a flood would search all of them.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One [`TokenBucket`] per key.
pub struct Throttle<K> {
    per_minute: NonZeroU32,
    buckets: Mutex<Buckets<K>>,
}

struct Buckets<K> {
    by_key: HashMap<K, TokenBucket>,
    next_sweep_at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Drops full buckets if there are many. The others stay, so that a flood of new keys cannot reset a count.
    fn sweep(&mut self, now: Instant) {
        if self.by_key.len() > BUCKETS_MIN && now >= self.next_sweep_at {
            self.by_key.retain(|_, bucket| !bucket.is_full(now));
            self.by_key.shrink_to(BUCKETS_MIN);
            self.next_sweep_at = now + SWEEP_INTERVAL;
        }
    }
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// A throttle with the same limit for each key.
    #[must_use]
    pub fn per_minute(attempts: NonZeroU32) -> Self {
        let buckets = Buckets { by_key: HashMap::new(), next_sweep_at: Instant::now() };
        Self { per_minute: attempts, buckets: Mutex::new(buckets) }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    pub fn count(&self, key: &K) -> Result<(), AppError> {
        self.count_at(key, Instant::now())
    }

    fn count_at(&self, key: &K, now: Instant) -> Result<(), AppError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.sweep(now);
        let new_bucket = || TokenBucket::new(self.per_minute, now);
        let bucket = buckets.by_key.entry(key.clone()).or_insert_with(new_bucket);
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

    #[test]
    fn a_flood_of_keys_resets_no_count_and_is_forgotten_after_a_minute() {
        let throttle = Throttle::per_minute(NonZeroU32::MIN);
        let start = Instant::now();
        let count_buckets = || throttle.buckets.lock().unwrap().by_key.len();
        assert!(throttle.count_at(&0, start).is_ok());

        for key in 1..=50_000 {
            assert!(throttle.count_at(&key, start).is_ok());
        }
        assert!(throttle.count_at(&0, start).is_err());
        assert_eq!(count_buckets(), 50_001);

        let later = start + Duration::from_secs(61);
        for key in 100_000..150_000 {
            throttle.count_at(&key, later).unwrap();
        }
        assert_eq!(count_buckets(), 50_000, "the first ones are gone");
    }
}
