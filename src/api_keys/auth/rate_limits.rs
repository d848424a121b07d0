//! How often a key may be used, and how often bad keys may be tried. In memory of this process. It refuses, and never
//! lets anybody in.

use std::{
    hash::RandomState,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;

use crate::{api_keys::client_key::ClientKey, error::AppError, web::client_address::rate_limit_address};

/// So many keys and so many addresses are counted; the count of one that rests is given up for another's.
const COUNTED_MAX: usize = 10_000;
/// The window of every limit, in seconds.
pub(crate) const WINDOW_SECONDS: u32 = 60;
/// So long a limit that refuses is taken for what it was; then the database is asked whether it is another by now.
const LOOK_UP_AFTER: Duration = Duration::from_secs(1);

/// How a key stands to its limit once a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimitStatus {
    /// Requests per minute.
    pub(crate) per_minute: NonZeroU32,
    /// Requests that may follow at once.
    pub(crate) left: u32,
    /// Seconds until all of them may; until one may, where none is left.
    pub(crate) reset_seconds: u64,
}

impl RateLimitStatus {
    /// Why nothing more is served.
    pub(crate) fn refusal(self) -> AppError {
        AppError::OverLimit { per_minute: self.per_minute.get(), seconds: self.reset_seconds }
    }
}

/// So many requests at once, given back evenly over a minute.
#[derive(Debug)]
struct TokenBucket {
    per_minute: NonZeroU32,
    state: Mutex<BucketState>,
}

#[derive(Debug)]
struct BucketState {
    /// From when on nothing is missing.
    full_at: Instant,
    /// From when on the limit is looked up again before it refuses.
    look_up_at: Instant,
}

impl TokenBucket {
    fn new(per_minute: NonZeroU32, now: Instant) -> Self {
        Self { per_minute, state: Mutex::new(BucketState { full_at: now, look_up_at: now + LOOK_UP_AFTER }) }
    }

    fn state(&self) -> MutexGuard<'_, BucketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it takes until one request is given back.
    fn interval(&self) -> Duration {
        Duration::from_secs(WINDOW_SECONDS.into()) / self.per_minute.get()
    }

    /// Counts a request, unless none is left: then it is how the bucket stands as it is.
    fn take(&self, now: Instant) -> Result<RateLimitStatus, RateLimitStatus> {
        let mut state = self.state();
        let before = state.full_at.saturating_duration_since(now);
        let after = before + self.interval();
        if after > self.window() {
            return Err(self.status(before));
        }
        state.full_at = now + after;
        Ok(self.status(after))
    }

    /// Takes back that a request was counted.
    fn give_back(&self) {
        let mut state = self.state();
        state.full_at -= self.interval();
    }

    /// Whether it is time to look up the limit; then it is not for others.
    fn is_lookup_due(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_time = state.look_up_at <= now;
        if is_time {
            state.look_up_at = now + LOOK_UP_AFTER;
        }
        is_time
    }

    /// How the bucket stands when nothing is left.
    fn empty(&self, now: Instant) -> Option<RateLimitStatus> {
        let status = self.status(self.state().full_at.saturating_duration_since(now));
        (status.left == 0).then_some(status)
    }

    /// A minute, less what is lost where it does not divide evenly.
    fn window(&self) -> Duration {
        self.interval() * self.per_minute.get()
    }

    /// … when it takes `missing` until the bucket is full.
    fn status(&self, missing: Duration) -> RateLimitStatus {
        let interval = self.interval();
        let left = self.window().saturating_sub(missing).as_nanos() / interval.as_nanos();
        let reset = if left == 0 { (missing + interval).saturating_sub(self.window()) } else { missing };
        RateLimitStatus {
            per_minute: self.per_minute,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            // Rounded up: who waits so long has waited long enough.
            reset_seconds: reset.as_secs() + u64::from(reset.subsec_nanos() > 0),
        }
    }
}

/// The fingerprint of a key in the counts: 64 bits under a secret of this process, from which nobody learns the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyFingerprint(u64);

/// What keys and addresses have used up.
pub(crate) struct KeyRateLimits {
    fingerprint_seed: RandomState,
    /// Keys that were let in, and their buckets; `None`: no limit.
    keys: Cache<KeyFingerprint, Option<Arc<TokenBucket>>>,
    bad_keys_per_minute: NonZeroU32,
    /// Addresses from which bad keys came.
    addresses: Cache<IpAddr, Arc<TokenBucket>>,
    /// Keys that live, with addresses from which they may not be used: who has a key there must not use up its limit.
    elsewhere: Cache<(KeyFingerprint, IpAddr), Arc<TokenBucket>>,
}

impl KeyRateLimits {
    pub(crate) fn new(bad_keys_per_minute: NonZeroU32) -> Self {
        Self {
            fingerprint_seed: RandomState::new(),
            keys: Cache::new(COUNTED_MAX),
            bad_keys_per_minute,
            addresses: Cache::new(COUNTED_MAX),
            elsewhere: Cache::new(COUNTED_MAX),
        }
    }

    pub(crate) fn fingerprint(&self, key: &ClientKey) -> KeyFingerprint {
        KeyFingerprint(key.fingerprint(&self.fingerprint_seed))
    }

    /// Counts a request with a key that was let in before. Asks no database.
    ///
    /// A key that was not let in before may be tried while its address has tries left.
    ///
    /// # Errors
    /// Why the request is refused as far as is known here.
    pub(crate) fn charge(
        &self,
        fingerprint: KeyFingerprint,
        address: IpAddr,
        now: Instant,
    ) -> Result<Charge, Rejection> {
        let address = rate_limit_address(address);
        if let Some(bucket) = self.elsewhere.get(&(fingerprint, address)) {
            return match bucket.take(now) {
                Ok(_) => Ok(Charge::KeyAtAddress),
                Err(status) => Err(Rejection::Address(AppError::TooMany(status.reset_seconds))),
            };
        }
        if let Some(known) = self.keys.get(&fingerprint) {
            let Some(bucket) = known else { return Ok(Charge::None) };
            return bucket
                .take(now)
                .map(Charge::Key)
                .map_err(|status| Rejection::Key { status, is_lookup_due: bucket.is_lookup_due(now) });
        }
        let bucket = self.addresses.get(&address);
        match bucket.and_then(|bucket| bucket.empty(now)) {
            Some(status) => Err(Rejection::Address(AppError::TooMany(status.reset_seconds))),
            None => Ok(Charge::None),
        }
    }

    /// A statement found the key, and this limit (requests per minute, 0: none). Counts the request unless it was
    /// counted under that limit.
    pub(crate) fn record_good_key(
        &self,
        fingerprint: KeyFingerprint,
        per_minute: i32,
        charge: Charge,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        let per_minute = u32::try_from(per_minute).ok().and_then(NonZeroU32::new);
        let known = self.keys.get(&fingerprint);
        let bucket = known.filter(|known| known.as_ref().map(|it| it.per_minute) == per_minute);
        let bucket = bucket.unwrap_or_else(|| {
            let bucket = per_minute.map(|limit| Arc::new(TokenBucket::new(limit, now)));
            self.keys.insert(fingerprint, bucket.clone());
            bucket
        })?;
        match charge {
            Charge::Key(status) if status.per_minute == bucket.per_minute => Some(status),
            // Who comes before the limit is known is served, even beyond it.
            _ => Some(bucket.take(now).unwrap_or_else(|status| status)),
        }
    }

    /// The key lives, and may not be used from there: that is counted for the two of them, and not for the key.
    pub(crate) fn block_address(
        &self,
        fingerprint: KeyFingerprint,
        address: IpAddr,
        charge: Charge,
        now: Instant,
    ) {
        if let (Charge::Key(_), Some(Some(bucket))) = (charge, self.keys.get(&fingerprint)) {
            bucket.give_back();
        }
        if charge != Charge::KeyAtAddress {
            let bucket = TokenBucket::new(self.bad_keys_per_minute, now);
            self.elsewhere.insert((fingerprint, rate_limit_address(address)), Arc::new(bucket));
        }
    }

    /// The key may be used from there again.
    pub(crate) fn unblock_address(&self, fingerprint: KeyFingerprint, address: IpAddr) {
        self.elsewhere.remove(&(fingerprint, rate_limit_address(address)));
    }

    /// Forgets the limit of a key, which is another one by now.
    pub(crate) fn forget(&self, fingerprint: KeyFingerprint) {
        self.keys.remove(&fingerprint);
    }

    /// Counts a bad key; one that was good is so no more.
    ///
    /// # Errors
    /// Always: [`AppError::UnknownKey`], or [`AppError::TooMany`] when the address has no try left.
    pub(crate) fn record_bad_key<T>(
        &self,
        fingerprint: Option<KeyFingerprint>,
        address: IpAddr,
        now: Instant,
    ) -> Result<T, AppError> {
        if let Some(fingerprint) = fingerprint {
            self.keys.remove(&fingerprint);
        }
        let made = || Ok::<_, AppError>(Arc::new(TokenBucket::new(self.bad_keys_per_minute, now)));
        let bucket = self.addresses.get_or_insert_with(&rate_limit_address(address), made)?;
        match bucket.take(now) {
            Ok(_) => Err(AppError::UnknownKey),
            Err(status) => Err(AppError::TooMany(status.reset_seconds)),
        }
    }
}

/// Which bucket the request was charged to before authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// No bucket: the key was not authorized before, or has no limit.
    None,
    /// The bucket of the key, with its status afterwards.
    Key(RateLimitStatus),
    /// The bucket of the key at an address that it was denied from before.
    KeyAtAddress,
}

/// Why a request is refused before the database is asked.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// The key has used up its limit.
    Key {
        /// How it stands.
        status: RateLimitStatus,
        /// Whether it is time to ask the database if it has another limit by now.
        is_lookup_due: bool,
    },
    /// The address has used up its tries.
    Address(AppError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limits(bad_keys: u32) -> KeyRateLimits {
        KeyRateLimits::new(NonZeroU32::new(bad_keys).unwrap())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_key_may_be_used_so_often_at_once_and_then_evenly() {
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

    #[test]
    fn a_request_is_counted_once_also_when_its_key_is_new() {
        let (limits, key, now) = (limits(60), ClientKey::generate().unwrap(), Instant::now());
        let fingerprint = limits.fingerprint(&key);

        assert_eq!(limits.charge(fingerprint, HERE, now).unwrap(), Charge::None);
        assert_eq!(limits.record_good_key(fingerprint, 5, Charge::None, now).unwrap().left, 4);
        let charge = limits.charge(fingerprint, HERE, now).unwrap();
        let status = limits.record_good_key(fingerprint, 5, charge, now).unwrap();
        assert_eq!((status.left, charge), (3, Charge::Key(status)));
    }

    #[test]
    fn another_limit_holds_from_the_request_that_finds_it() {
        let (limits, key, now) = (limits(60), ClientKey::generate().unwrap(), Instant::now());
        let fingerprint = limits.fingerprint(&key);
        limits.record_good_key(fingerprint, 5, Charge::None, now);
        let charge = limits.charge(fingerprint, HERE, now).unwrap();

        assert_eq!(limits.record_good_key(fingerprint, 100, charge, now).unwrap().left, 99);
        assert_eq!(limits.record_good_key(fingerprint, 0, Charge::None, now), None);
        assert_eq!(limits.charge(fingerprint, HERE, now).unwrap(), Charge::None);
        assert_eq!(limits.record_good_key(fingerprint, 2, Charge::None, now).unwrap().left, 1);
    }

    #[test]
    fn a_limit_that_refuses_is_looked_up_once_a_second() {
        let (limits, key, now) = (limits(60), ClientKey::generate().unwrap(), Instant::now());
        let fingerprint = limits.fingerprint(&key);
        limits.record_good_key(fingerprint, 1, Charge::None, now);
        let is_looked_up = |at| match limits.charge(fingerprint, HERE, at) {
            Err(Rejection::Key { is_lookup_due, .. }) => is_lookup_due,
            other => panic!("it has nothing left: {other:?}"),
        };
        assert_eq!(
            [0, 1, 1, 2, 2].map(|at| is_looked_up(now + seconds(at))),
            [false, true, false, true, false]
        );

        limits.forget(fingerprint);
        assert_eq!(limits.record_good_key(fingerprint, 10, Charge::None, now).unwrap().left, 9);
    }

    #[test]
    fn a_key_used_from_elsewhere_keeps_its_limit() {
        let (limits, key, now) = (limits(3), ClientKey::generate().unwrap(), Instant::now());
        let (fingerprint, there) = (limits.fingerprint(&key), [192, 0, 2, 1].into());
        limits.record_good_key(fingerprint, 5, Charge::None, now);
        for _ in 0..4 {
            let charge = limits.charge(fingerprint, there, now).unwrap();
            limits.block_address(fingerprint, there, charge, now);
        }
        assert!(matches!(
            limits.charge(fingerprint, there, now),
            Err(Rejection::Address(AppError::TooMany(20)))
        ));
        let charge = limits.charge(fingerprint, HERE, now).unwrap();
        assert_eq!(limits.record_good_key(fingerprint, 5, charge, now).unwrap().left, 3);

        limits.unblock_address(fingerprint, there);
        assert!(matches!(limits.charge(fingerprint, there, now), Ok(Charge::Key(_))));
    }

    #[test]
    fn bad_keys_use_up_the_tries_of_their_address_and_slow_no_known_key() {
        let (limits, now) = (limits(3), Instant::now());
        let good = limits.fingerprint(&ClientKey::generate().unwrap());
        let bad = limits.fingerprint(&ClientKey::generate().unwrap());
        limits.record_good_key(good, 0, Charge::None, now);
        for _ in 0..3 {
            assert!(limits.charge(bad, HERE, now).is_ok());
            assert!(matches!(limits.record_bad_key::<()>(Some(bad), HERE, now), Err(AppError::UnknownKey)));
        }

        assert!(matches!(limits.charge(bad, HERE, now), Err(Rejection::Address(AppError::TooMany(20)))));
        assert!(matches!(limits.record_bad_key::<()>(None, HERE, now), Err(AppError::TooMany(20))));
        assert!(limits.charge(good, HERE, now).is_ok());
        assert!(limits.charge(bad, [192, 0, 2, 1].into(), now).is_ok(), "another address has its own tries");
        assert!(limits.charge(bad, HERE, now + seconds(20)).is_ok());
    }

    #[test]
    fn a_key_that_is_refused_is_not_known_any_more() {
        let (limits, now) = (limits(1), Instant::now());
        let fingerprint = limits.fingerprint(&ClientKey::generate().unwrap());
        limits.record_good_key(fingerprint, 600, Charge::None, now);

        limits.record_bad_key::<()>(Some(fingerprint), HERE, now).unwrap_err();

        assert!(matches!(limits.charge(fingerprint, HERE, now), Err(Rejection::Address(_))));
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
