//! Rate limits of keys, and of bad keys per address. They refuse requests and authorize none.

use std::{
    hash::RandomState,
    net::IpAddr,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use prometheus::IntCounter;

use crate::{
    api_keys::client_key::ClientKey,
    error::AppError,
    metrics::{LimitKind, RefusalMetrics},
    web::{
        connection::client_address::rate_limit_address,
        limits::{
            expiring_map::{Expire, ExpiringMap},
            rate_limit::{RateLimitStatus, TokenBucket, WINDOW_SECONDS},
        },
    },
};

/// How long an exhausted limit is trusted before it is compared with the database, where it may have been raised.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

/// A key that was authorized.
struct KnownKey {
    /// `None` if the key has no limit.
    bucket: Option<TokenBucket>,
    /// When an exhausted limit is next compared with the database.
    next_lookup: Instant,
    last_use: Instant,
}

impl KnownKey {
    fn new(per_minute: Option<NonZeroU32>, now: Instant) -> Self {
        let bucket = per_minute.map(|limit| TokenBucket::new(limit, now));
        Self { bucket, next_lookup: now + LOOKUP_INTERVAL, last_use: now }
    }

    /// Charges a request before authentication.
    fn charge(&mut self, now: Instant) -> Result<RateLimitCharge, RateLimitRejection> {
        self.last_use = now;
        let Some(bucket) = &self.bucket else { return Ok(RateLimitCharge::None) };
        match bucket.take(now) {
            Ok(status) => Ok(RateLimitCharge::Key(status)),
            Err(status) => Err(RateLimitRejection::Key { status, is_lookup_due: self.is_lookup_due(now) }),
        }
    }

    /// Counts a request under the limit that authentication found, unless `charge` already did.
    fn record(
        &mut self,
        per_minute: Option<NonZeroU32>,
        charge: RateLimitCharge,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        if self.bucket.as_ref().map(TokenBucket::per_minute) != per_minute {
            *self = Self::new(per_minute, now);
        }
        self.last_use = now;
        let bucket = self.bucket.as_ref()?;
        match charge {
            RateLimitCharge::Key(status) if status.per_minute == bucket.per_minute() => Some(status),
            // Requests that arrived before the limit was known are served even beyond it.
            _ => Some(bucket.take(now).unwrap_or_else(|status| status)),
        }
    }

    /// Returns `true` once per [`LOOKUP_INTERVAL`].
    fn is_lookup_due(&mut self, now: Instant) -> bool {
        let is_due = self.next_lookup <= now;
        if is_due {
            self.next_lookup = now + LOOKUP_INTERVAL;
        }
        is_due
    }
}

impl Expire for KnownKey {
    /// The bucket of a key that was not used for a minute is full.
    fn is_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_use) >= Duration::from_secs(WINDOW_SECONDS.into())
    }
}

/// A 64-bit hash of the key with a random seed of this process, so that the counts do not hold keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RateLimitKeyHash(u64);

/// The buckets of keys and addresses.
pub(super) struct KeyRateLimits {
    fingerprint_seed: RandomState,
    keys: ExpiringMap<RateLimitKeyHash, KnownKey>,
    bad_keys_per_minute: NonZeroU32,
    /// Addresses that sent bad keys.
    addresses: ExpiringMap<IpAddr, TokenBucket>,
    /// Active keys at addresses outside their networks. A leaked key must not exhaust the limit of its owner.
    blocked: ExpiringMap<(RateLimitKeyHash, IpAddr), TokenBucket>,
    key_refusals: IntCounter,
    bad_key_refusals: IntCounter,
}

impl KeyRateLimits {
    pub(super) fn new(bad_keys_per_minute: NonZeroU32, metrics: &RefusalMetrics) -> Self {
        Self {
            fingerprint_seed: RandomState::new(),
            keys: ExpiringMap::new(),
            bad_keys_per_minute,
            addresses: ExpiringMap::new(),
            blocked: ExpiringMap::new(),
            key_refusals: metrics.counter(LimitKind::Key),
            bad_key_refusals: metrics.counter(LimitKind::BadKeys),
        }
    }

    /// The error for a request beyond the limit of a key.
    pub(super) fn refuse_key(&self, status: RateLimitStatus) -> AppError {
        self.key_refusals.inc();
        AppError::OverLimit { per_minute: status.per_minute.get(), seconds: status.reset_seconds }
    }

    /// The error for a request beyond the attempts of an address.
    fn refuse_address(&self, status: RateLimitStatus) -> AppError {
        self.bad_key_refusals.inc();
        AppError::TooMany(status.reset_seconds)
    }

    pub(super) fn fingerprint(&self, key: &ClientKey) -> RateLimitKeyHash {
        RateLimitKeyHash(key.fingerprint(&self.fingerprint_seed))
    }

    /// Charges a request before authentication, without a query.
    ///
    /// A key that was not authorized before is accepted while its address has attempts left.
    pub(super) fn charge(
        &self,
        fingerprint: RateLimitKeyHash,
        address: IpAddr,
        now: Instant,
    ) -> Result<RateLimitCharge, RateLimitRejection> {
        let address = rate_limit_address(address);
        match self.blocked.update(&(fingerprint, address), now, |bucket| bucket.take(now)) {
            Some(Ok(_)) => return Ok(RateLimitCharge::KeyAtAddress),
            Some(Err(status)) => return Err(RateLimitRejection::Address(self.refuse_address(status))),
            None => {}
        }
        if let Some(charge) = self.keys.update(&fingerprint, now, |known| known.charge(now)) {
            return charge;
        }
        match self.addresses.update(&address, now, |bucket| bucket.exhausted(now)).flatten() {
            Some(status) => Err(RateLimitRejection::Address(self.refuse_address(status))),
            None => Ok(RateLimitCharge::None),
        }
    }

    /// Counts a request of an authorized key, unless `charge` already did under the same limit.
    ///
    /// `per_minute` is the limit that the statement found; 0 is unlimited.
    pub(super) fn record_good_key(
        &self,
        fingerprint: RateLimitKeyHash,
        per_minute: i32,
        charge: RateLimitCharge,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        let per_minute = u32::try_from(per_minute).ok().and_then(NonZeroU32::new);
        let new = || KnownKey::new(per_minute, now);
        self.keys.update_or_insert(fingerprint, now, new, |known| known.record(per_minute, charge, now))
    }

    /// Counts further requests from an address outside the networks of the key for the pair, not for the key.
    pub(super) fn block_address(
        &self,
        fingerprint: RateLimitKeyHash,
        address: IpAddr,
        charge: RateLimitCharge,
        now: Instant,
    ) {
        if let RateLimitCharge::Key(_) = charge {
            self.keys.update(&fingerprint, now, |known| {
                if let Some(bucket) = &known.bucket {
                    bucket.give_back();
                }
            });
        }
        if charge != RateLimitCharge::KeyAtAddress {
            let pair = (fingerprint, rate_limit_address(address));
            let new = || TokenBucket::new(self.bad_keys_per_minute, now);
            self.blocked.update_or_insert(pair, now, new, |_| ());
        }
    }

    pub(super) fn unblock_address(&self, fingerprint: RateLimitKeyHash, address: IpAddr) {
        self.blocked.remove(&(fingerprint, rate_limit_address(address)));
    }

    /// Forgets the bucket of a key whose limit was changed.
    pub(super) fn forget(&self, fingerprint: RateLimitKeyHash) {
        self.keys.remove(&fingerprint);
    }

    /// Counts a bad key, which may have been good before.
    ///
    /// # Errors
    /// Always: [`AppError::UnknownKey`], or [`AppError::TooMany`] if the address has no attempts left.
    pub(super) fn record_bad_key<T>(
        &self,
        fingerprint: Option<RateLimitKeyHash>,
        address: IpAddr,
        now: Instant,
    ) -> Result<T, AppError> {
        if let Some(fingerprint) = fingerprint {
            self.keys.remove(&fingerprint);
        }
        let new = || TokenBucket::new(self.bad_keys_per_minute, now);
        let address = rate_limit_address(address);
        match self.addresses.update_or_insert(address, now, new, |bucket| bucket.take(now)) {
            Ok(_) => Err(AppError::UnknownKey),
            Err(status) => Err(self.refuse_address(status)),
        }
    }
}

/// Which bucket the request was charged to before authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateLimitCharge {
    /// No bucket: the key was not authorized before, or has no limit.
    None,
    /// The bucket of the key, with its status afterwards.
    Key(RateLimitStatus),
    /// The bucket of the key at an address that it was denied from before.
    KeyAtAddress,
}

/// Why a request is refused without a query.
#[derive(Debug)]
pub(super) enum RateLimitRejection {
    /// The limit of the key is exhausted.
    Key {
        status: RateLimitStatus,
        /// Whether the limit must first be compared with the database.
        is_lookup_due: bool,
    },
    /// The address sent too many bad keys.
    Address(AppError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limits(bad_keys: u32) -> KeyRateLimits {
        KeyRateLimits::new(NonZeroU32::new(bad_keys).unwrap(), &RefusalMetrics::default())
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_request_is_counted_once_also_when_its_key_is_new() {
        let (limits, key, now) = (limits(60), ClientKey::generate(), Instant::now());
        let fingerprint = limits.fingerprint(&key);

        assert_eq!(limits.charge(fingerprint, HERE, now).unwrap(), RateLimitCharge::None);
        assert_eq!(limits.record_good_key(fingerprint, 5, RateLimitCharge::None, now).unwrap().left, 4);
        let charge = limits.charge(fingerprint, HERE, now).unwrap();
        let status = limits.record_good_key(fingerprint, 5, charge, now).unwrap();
        assert_eq!((status.left, charge), (3, RateLimitCharge::Key(status)));
    }

    #[test]
    fn a_limit_holds_however_many_keys_are_used() {
        let (limits, start) = (limits(60), Instant::now());
        let keys: Vec<_> = (0..20_000).map(RateLimitKeyHash).collect();
        for key in &keys {
            assert_eq!(limits.charge(*key, HERE, start).unwrap(), RateLimitCharge::None);
            limits.record_good_key(*key, 1, RateLimitCharge::None, start);
        }

        let is_refused = |key: &&RateLimitKeyHash| {
            let again = limits.charge(**key, HERE, start + seconds(21));
            matches!(again, Err(RateLimitRejection::Key { .. }))
        };
        assert_eq!(keys.iter().filter(is_refused).count(), keys.len());
    }

    #[test]
    fn bad_keys_of_many_addresses_are_counted_for_each() {
        let (limits, now) = (limits(1), Instant::now());
        let addresses: Vec<IpAddr> = (0..20_000_u32).map(|bits| IpAddr::V4(bits.into())).collect();
        for address in &addresses {
            limits.record_bad_key::<()>(None, *address, now).unwrap_err();
        }
        let bad = RateLimitKeyHash(1);

        let is_refused = |address: &&IpAddr| limits.charge(bad, **address, now + seconds(21)).is_err();
        assert_eq!(addresses.iter().filter(is_refused).count(), addresses.len());
    }

    #[test]
    fn another_limit_holds_from_the_request_that_finds_it() {
        let (limits, key, now) = (limits(60), ClientKey::generate(), Instant::now());
        let fingerprint = limits.fingerprint(&key);
        limits.record_good_key(fingerprint, 5, RateLimitCharge::None, now);
        let charge = limits.charge(fingerprint, HERE, now).unwrap();

        assert_eq!(limits.record_good_key(fingerprint, 100, charge, now).unwrap().left, 99);
        assert_eq!(limits.record_good_key(fingerprint, 0, RateLimitCharge::None, now), None);
        assert_eq!(limits.charge(fingerprint, HERE, now).unwrap(), RateLimitCharge::None);
        assert_eq!(limits.record_good_key(fingerprint, 2, RateLimitCharge::None, now).unwrap().left, 1);
    }

    #[test]
    fn a_limit_that_refuses_is_looked_up_once_a_second() {
        let (limits, key, now) = (limits(60), ClientKey::generate(), Instant::now());
        let fingerprint = limits.fingerprint(&key);
        limits.record_good_key(fingerprint, 1, RateLimitCharge::None, now);
        let is_looked_up = |at| match limits.charge(fingerprint, HERE, at) {
            Err(RateLimitRejection::Key { is_lookup_due, .. }) => is_lookup_due,
            other => panic!("it has nothing left: {other:?}"),
        };
        assert_eq!(
            [0, 1, 1, 2, 2].map(|at| is_looked_up(now + seconds(at))),
            [false, true, false, true, false]
        );

        limits.forget(fingerprint);
        assert_eq!(limits.record_good_key(fingerprint, 10, RateLimitCharge::None, now).unwrap().left, 9);
    }

    #[test]
    fn a_key_used_from_elsewhere_keeps_its_limit() {
        let (limits, key, now) = (limits(3), ClientKey::generate(), Instant::now());
        let (fingerprint, there) = (limits.fingerprint(&key), [192, 0, 2, 1].into());
        limits.record_good_key(fingerprint, 5, RateLimitCharge::None, now);
        for _ in 0..4 {
            let charge = limits.charge(fingerprint, there, now).unwrap();
            limits.block_address(fingerprint, there, charge, now);
        }
        assert!(matches!(
            limits.charge(fingerprint, there, now),
            Err(RateLimitRejection::Address(AppError::TooMany(20)))
        ));
        let charge = limits.charge(fingerprint, HERE, now).unwrap();
        assert_eq!(limits.record_good_key(fingerprint, 5, charge, now).unwrap().left, 3);

        limits.unblock_address(fingerprint, there);
        assert!(matches!(limits.charge(fingerprint, there, now), Ok(RateLimitCharge::Key(_))));
    }

    #[test]
    fn bad_keys_use_up_the_tries_of_their_address_and_slow_no_known_key() {
        let (limits, now) = (limits(3), Instant::now());
        let good = limits.fingerprint(&ClientKey::generate());
        let bad = limits.fingerprint(&ClientKey::generate());
        limits.record_good_key(good, 0, RateLimitCharge::None, now);
        for _ in 0..3 {
            assert!(limits.charge(bad, HERE, now).is_ok());
            assert!(matches!(limits.record_bad_key::<()>(Some(bad), HERE, now), Err(AppError::UnknownKey)));
        }

        assert!(matches!(
            limits.charge(bad, HERE, now),
            Err(RateLimitRejection::Address(AppError::TooMany(20)))
        ));
        assert!(matches!(limits.record_bad_key::<()>(None, HERE, now), Err(AppError::TooMany(20))));
        assert!(limits.charge(good, HERE, now).is_ok());
        assert!(limits.charge(bad, [192, 0, 2, 1].into(), now).is_ok(), "another address has its own tries");
        assert!(limits.charge(bad, HERE, now + seconds(20)).is_ok());
    }

    #[test]
    fn a_key_that_is_refused_is_not_known_any_more() {
        let (limits, now) = (limits(1), Instant::now());
        let fingerprint = limits.fingerprint(&ClientKey::generate());
        limits.record_good_key(fingerprint, 600, RateLimitCharge::None, now);

        limits.record_bad_key::<()>(Some(fingerprint), HERE, now).unwrap_err();

        assert!(matches!(limits.charge(fingerprint, HERE, now), Err(RateLimitRejection::Address(_))));
    }
}
