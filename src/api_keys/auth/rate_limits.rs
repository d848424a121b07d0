//! Rate limits of keys, and of bad keys per address. They refuse requests and authorize none.

use std::{
    hash::RandomState,
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::IntCounter;

use crate::{
    api_keys::client_key::ClientKey,
    error::AppError,
    ids::{ClientId, PublicKey},
    metrics::RefusalMetrics,
    rate_limits::{KeyLimit, SharedBucket, SharedLimits},
    web::{
        connection::client_address::rate_limit_address,
        limits::{
            expiring_map::{Expire, ExpiringMap},
            limit_kind::LimitKind,
            rate_limit::{RateLimitStatus, TokenBucket, WINDOW_SECONDS},
        },
    },
};

/// How long an exhausted limit is trusted before it is compared with the database, where it may have been raised.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

/// A key that was authorized, with the limit that the statement found.
#[derive(Clone, Copy)]
pub(super) struct LimitedKey<'a> {
    client: &'a ClientId,
    public_key: &'a PublicKey,
    /// `None` if the key has no limit.
    per_minute: Option<NonZeroU32>,
}

impl<'a> LimitedKey<'a> {
    /// A limit of 0 is none.
    pub(super) fn new(client: &'a ClientId, public_key: &'a PublicKey, per_minute: i32) -> Self {
        let per_minute = u32::try_from(per_minute).ok().and_then(NonZeroU32::new);
        Self { client, public_key, per_minute }
    }

    fn bucket(&self, shared: &SharedLimits, now: Instant) -> Option<Arc<SharedBucket>> {
        let (client, public_key) = (self.client.clone(), self.public_key.clone());
        let limit = self.per_minute.map(|per_minute| KeyLimit { client, public_key, per_minute });
        limit.map(|limit| shared.key_bucket(limit, now))
    }
}

/// A key that was authorized before.
struct KnownKey {
    /// `None` if the key has no limit.
    bucket: Option<Arc<SharedBucket>>,
    /// When an exhausted limit is next compared with the database.
    next_lookup: Instant,
    last_use: Instant,
}

impl KnownKey {
    fn new(bucket: Option<Arc<SharedBucket>>, now: Instant) -> Self {
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

    fn per_minute(&self) -> Option<NonZeroU32> {
        self.bucket.as_ref().map(|bucket| bucket.per_minute())
    }

    /// Counts a request that was authorized, unless `charge` already did.
    fn record(&mut self, charge: RateLimitCharge, now: Instant) -> Option<RateLimitStatus> {
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
    /// The buckets of keys, and those of addresses that sent bad keys.
    shared: Arc<SharedLimits>,
    /// Active keys at addresses outside their networks. A leaked key must not exhaust the limit of its owner.
    blocked: ExpiringMap<(RateLimitKeyHash, IpAddr), TokenBucket>,
    key_refusals: IntCounter,
    bad_key_refusals: IntCounter,
}

impl KeyRateLimits {
    pub(super) fn new(shared: Arc<SharedLimits>, metrics: &RefusalMetrics) -> Self {
        Self {
            fingerprint_seed: RandomState::new(),
            keys: ExpiringMap::new(),
            shared,
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
    /// A key that was not authorized before is accepted while its address has attempts left. If its limit is used up on
    /// other nodes, the key has to be authorized before it is refused.
    pub(super) fn charge(
        &self,
        fingerprint: RateLimitKeyHash,
        public_key: &PublicKey,
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
        if let Some(status) = self.shared.exhausted_attempts(LimitKind::BadKeys, address, now) {
            return Err(RateLimitRejection::Address(self.refuse_address(status)));
        }
        match self.shared.exhausted_key(public_key, now) {
            Some(status) => Err(RateLimitRejection::Key { status, is_lookup_due: true }),
            None => Ok(RateLimitCharge::None),
        }
    }

    /// Counts a request of an authorized key, unless `charge` already did under the same limit.
    pub(super) fn record_good_key(
        &self,
        fingerprint: RateLimitKeyHash,
        key: LimitedKey<'_>,
        charge: RateLimitCharge,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        self.update_known(fingerprint, key, now, |known| known.record(charge, now))
    }

    /// Remembers an authorized key whose limit is used up, so that it is refused without a query.
    pub(super) fn remember(&self, fingerprint: RateLimitKeyHash, key: LimitedKey<'_>, now: Instant) {
        self.update_known(fingerprint, key, now, |_known| ());
    }

    /// Uses what is known of a key, with its current limit.
    fn update_known<T>(
        &self,
        fingerprint: RateLimitKeyHash,
        key: LimitedKey<'_>,
        now: Instant,
        change: impl FnOnce(&mut KnownKey) -> T,
    ) -> T {
        let new = || KnownKey::new(key.bucket(&self.shared, now), now);
        self.keys.update_or_insert(fingerprint, now, new, |known| {
            if known.per_minute() != key.per_minute {
                *known = new();
            }
            change(known)
        })
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
            let new = || TokenBucket::new(self.shared.bad_keys_per_minute(), now);
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
        match self.shared.take_attempt(LimitKind::BadKeys, rate_limit_address(address), now) {
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
    use crate::secret::InstallationSecret;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn limits(bad_keys: u32) -> KeyRateLimits {
        let secret = InstallationSecret::new("a".repeat(32).into());
        let shared = SharedLimits::new(&secret, NonZeroU32::new(bad_keys).unwrap());
        KeyRateLimits::new(Arc::new(shared), &RefusalMetrics::default())
    }

    /// The limits of a node with a key.
    struct KeyAtNode {
        limits: KeyRateLimits,
        fingerprint: RateLimitKeyHash,
        client: ClientId,
        public_key: PublicKey,
    }

    impl KeyAtNode {
        fn new(bad_keys: u32) -> Self {
            let (limits, key) = (limits(bad_keys), ClientKey::generate());
            let fingerprint = limits.fingerprint(&key);
            Self { limits, fingerprint, client: ClientId::generate(), public_key: key.public().clone() }
        }

        fn charge(&self, address: IpAddr, now: Instant) -> Result<RateLimitCharge, RateLimitRejection> {
            self.limits.charge(self.fingerprint, &self.public_key, address, now)
        }

        fn record(&self, per_minute: i32, charge: RateLimitCharge, now: Instant) -> Option<RateLimitStatus> {
            let key = LimitedKey::new(&self.client, &self.public_key, per_minute);
            self.limits.record_good_key(self.fingerprint, key, charge, now)
        }
    }

    /// Charges a request of a key that was never authorized.
    fn charge_unknown(
        limits: &KeyRateLimits,
        address: IpAddr,
        now: Instant,
    ) -> Result<RateLimitCharge, RateLimitRejection> {
        let key = ClientKey::generate();
        limits.charge(limits.fingerprint(&key), key.public(), address, now)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_request_is_counted_once_also_when_its_key_is_new() {
        let (key, now) = (KeyAtNode::new(60), Instant::now());

        assert_eq!(key.charge(HERE, now).unwrap(), RateLimitCharge::None);
        assert_eq!(key.record(5, RateLimitCharge::None, now).unwrap().left, 4);
        let charge = key.charge(HERE, now).unwrap();
        let status = key.record(5, charge, now).unwrap();
        assert_eq!((status.left, charge), (3, RateLimitCharge::Key(status)));
    }

    #[test]
    fn a_limit_holds_however_many_keys_are_used() {
        let (limits, start, client) = (limits(60), Instant::now(), ClientId::generate());
        let keys: Vec<_> = (0..20_000).map(|_| ClientKey::generate()).collect();
        let charge = |key: &ClientKey, now| limits.charge(limits.fingerprint(key), key.public(), HERE, now);
        for key in &keys {
            assert_eq!(charge(key, start).unwrap(), RateLimitCharge::None);
            let limited = LimitedKey::new(&client, key.public(), 1);
            limits.record_good_key(limits.fingerprint(key), limited, RateLimitCharge::None, start);
        }

        let is_refused = |key: &&ClientKey| {
            matches!(charge(key, start + seconds(21)), Err(RateLimitRejection::Key { .. }))
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

        let is_refused = |address: &&IpAddr| charge_unknown(&limits, **address, now + seconds(21)).is_err();
        assert_eq!(addresses.iter().filter(is_refused).count(), addresses.len());
    }

    #[test]
    fn another_limit_holds_from_the_request_that_finds_it() {
        let (key, now) = (KeyAtNode::new(60), Instant::now());
        key.record(5, RateLimitCharge::None, now);
        let charge = key.charge(HERE, now).unwrap();

        assert_eq!(key.record(100, charge, now).unwrap().left, 99);
        assert_eq!(key.record(0, RateLimitCharge::None, now), None);
        assert_eq!(key.charge(HERE, now).unwrap(), RateLimitCharge::None);
        assert_eq!(key.record(2, RateLimitCharge::None, now).unwrap().left, 1);
    }

    #[test]
    fn a_limit_that_refuses_is_looked_up_once_a_second() {
        let (key, now) = (KeyAtNode::new(60), Instant::now());
        key.record(1, RateLimitCharge::None, now);
        let is_looked_up = |at| match key.charge(HERE, at) {
            Err(RateLimitRejection::Key { is_lookup_due, .. }) => is_lookup_due,
            other => panic!("it has nothing left: {other:?}"),
        };
        assert_eq!(
            [0, 1, 1, 2, 2].map(|at| is_looked_up(now + seconds(at))),
            [false, true, false, true, false]
        );

        key.limits.forget(key.fingerprint);
        assert_eq!(key.record(10, RateLimitCharge::None, now).unwrap().left, 9);
    }

    #[test]
    fn a_key_used_from_elsewhere_keeps_its_limit() {
        let (key, now, there) = (KeyAtNode::new(3), Instant::now(), [192, 0, 2, 1].into());
        key.record(5, RateLimitCharge::None, now);
        for _ in 0..4 {
            let charge = key.charge(there, now).unwrap();
            key.limits.block_address(key.fingerprint, there, charge, now);
        }
        assert!(matches!(key.charge(there, now), Err(RateLimitRejection::Address(AppError::TooMany(20)))));
        let charge = key.charge(HERE, now).unwrap();
        assert_eq!(key.record(5, charge, now).unwrap().left, 3);

        key.limits.unblock_address(key.fingerprint, there);
        assert!(matches!(key.charge(there, now), Ok(RateLimitCharge::Key(_))));
    }

    #[test]
    fn bad_keys_use_up_the_tries_of_their_address_and_slow_no_known_key() {
        let (good, now) = (KeyAtNode::new(3), Instant::now());
        let limits = &good.limits;
        good.record(0, RateLimitCharge::None, now);
        for _ in 0..3 {
            assert!(charge_unknown(limits, HERE, now).is_ok());
            assert!(matches!(limits.record_bad_key::<()>(None, HERE, now), Err(AppError::UnknownKey)));
        }

        assert!(matches!(
            charge_unknown(limits, HERE, now),
            Err(RateLimitRejection::Address(AppError::TooMany(20)))
        ));
        assert!(matches!(limits.record_bad_key::<()>(None, HERE, now), Err(AppError::TooMany(20))));
        assert!(good.charge(HERE, now).is_ok());
        assert!(
            charge_unknown(limits, [192, 0, 2, 1].into(), now).is_ok(),
            "another address has its own tries"
        );
        assert!(charge_unknown(limits, HERE, now + seconds(20)).is_ok());
    }

    #[test]
    fn a_key_that_is_refused_is_not_known_any_more() {
        let (key, now) = (KeyAtNode::new(1), Instant::now());
        key.record(600, RateLimitCharge::None, now);

        key.limits.record_bad_key::<()>(Some(key.fingerprint), HERE, now).unwrap_err();

        assert!(matches!(key.charge(HERE, now), Err(RateLimitRejection::Address(_))));
    }
}
