//! How often something may be tried, by whom. In memory of this process.

use std::{hash::Hash, num::NonZeroU32};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use crate::error::AppError;

/// So many keys may be remembered before those that have rested are forgotten.
const KEYS_MAX: usize = 10_000;

/// So many tries per minute for each key, with all of them at once allowed.
pub struct Throttle<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// `tries` per minute for each key.
    #[must_use]
    pub fn per_minute(tries: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::keyed(Quota::per_minute(tries)) }
    }

    /// Counts one try of `key`.
    ///
    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    pub fn count(&self, key: &K) -> Result<(), AppError> {
        if self.limiter.len() > KEYS_MAX {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            AppError::TooMany(wait.as_secs() + 1)
        })
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
