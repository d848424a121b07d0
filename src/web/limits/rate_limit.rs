//! The token bucket behind every rate limit, in the memory of this process.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::expiring_map::Expire;

/// The window of every limit.
pub(crate) const WINDOW_SECONDS: u32 = 60;

/// The state of a limit after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimitStatus {
    /// The limit.
    pub(crate) per_minute: NonZeroU32,
    /// Requests that may follow at once.
    pub(crate) left: u32,
    /// Seconds until the whole limit is available again; if nothing is left, until the next request is allowed.
    pub(crate) reset_seconds: u64,
}

/// Allows the whole limit at once and refills evenly over a minute.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_minute: NonZeroU32,
    full_at: Mutex<Instant>,
}

impl TokenBucket {
    pub(crate) fn new(per_minute: NonZeroU32, now: Instant) -> Self {
        Self { per_minute, full_at: Mutex::new(now) }
    }

    pub(crate) fn per_minute(&self) -> NonZeroU32 {
        self.per_minute
    }

    /// Takes a token. Returns the unchanged status as `Err` if none is left.
    pub(crate) fn take(&self, now: Instant) -> Result<RateLimitStatus, RateLimitStatus> {
        let mut full_at = self.full_at();
        let before = full_at.saturating_duration_since(now);
        let after = before + self.interval();
        if after > self.window() {
            return Err(self.status(before));
        }
        *full_at = now + after;
        Ok(self.status(after))
    }

    /// Gives back a token that was taken.
    pub(crate) fn give_back(&self) {
        *self.full_at() -= self.interval();
    }

    /// Tokens that are not available, rounded up.
    pub(crate) fn missing(&self, now: Instant) -> u32 {
        let until_full = self.full_at().saturating_duration_since(now).as_nanos();
        u32::try_from(until_full.div_ceil(self.interval().as_nanos())).unwrap_or(u32::MAX)
    }

    /// The time in which this number of tokens is refilled.
    pub(crate) fn duration_of(&self, tokens: u32) -> Duration {
        self.interval() * tokens
    }

    /// Takes the tokens that are refilled in this time, even more than there are.
    pub(crate) fn add(&self, duration: Duration, now: Instant) {
        let mut full_at = self.full_at();
        *full_at = (*full_at).max(now) + duration;
    }

    /// Takes tokens until the bucket is not full before this time has passed.
    pub(crate) fn raise(&self, until_full: Duration, now: Instant) {
        let mut full_at = self.full_at();
        *full_at = (*full_at).max(now + until_full);
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        *self.full_at() <= now
    }

    /// The status if no token is left.
    pub(crate) fn exhausted(&self, now: Instant) -> Option<RateLimitStatus> {
        let status = self.status(self.full_at().saturating_duration_since(now));
        (status.left == 0).then_some(status)
    }

    fn full_at(&self) -> MutexGuard<'_, Instant> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in which one token is refilled.
    fn interval(&self) -> Duration {
        Duration::from_secs(WINDOW_SECONDS.into()) / self.per_minute.get()
    }

    /// A minute, less the rounding of [`TokenBucket::interval`].
    fn window(&self) -> Duration {
        self.interval() * self.per_minute.get()
    }

    fn status(&self, until_full: Duration) -> RateLimitStatus {
        let interval = self.interval();
        let left = self.window().saturating_sub(until_full).as_nanos() / interval.as_nanos();
        let reset =
            if left == 0 { (until_full + interval).saturating_sub(self.window()) } else { until_full };
        RateLimitStatus {
            per_minute: self.per_minute,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            // Rounded up, so that a request after this time is allowed.
            reset_seconds: reset.as_secs() + u64::from(reset.subsec_nanos() > 0),
        }
    }
}

impl Expire for TokenBucket {
    fn is_expired(&self, now: Instant) -> bool {
        self.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_whole_limit_is_available_at_once_and_refills_evenly() {
        let bucket = TokenBucket::new(NonZeroU32::new(60).unwrap(), Instant::now());
        let now = Instant::now();
        for left in (0..60).rev() {
            assert_eq!(bucket.take(now).unwrap().left, left);
        }

        let over = bucket.take(now).unwrap_err();
        assert_eq!((over.left, over.reset_seconds), (0, 1));
        assert_eq!(bucket.take(now + seconds(1)).unwrap().left, 0);
        assert!(bucket.take(now + seconds(1)).is_err());
        let later = bucket.take(now + seconds(31)).unwrap();
        assert_eq!((later.left, later.reset_seconds), (29, 31));
        assert_eq!(bucket.take(now + seconds(300)).unwrap().left, 59);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_at_once(per_minute in 1_u32..1_000_001, at in 0_u64..1_000_000) {
            let start = Instant::now();
            let bucket = TokenBucket::new(NonZeroU32::new(per_minute).unwrap(), start);
            let now = start + Duration::from_millis(at);
            let taken = (0..per_minute.min(2000)).filter(|_| bucket.take(now).is_ok()).count();
            prop_assert_eq!(u32::try_from(taken).unwrap(), per_minute.min(2000));
            if per_minute < 2000 {
                prop_assert!(bucket.take(now).is_err());
            }
        }
    }
}
