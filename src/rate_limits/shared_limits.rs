//! The limits of this process that other nodes use too.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{
    bucket_map::BucketMap,
    key_limit::KeyLimit,
    shared_bucket::SharedBucket,
    store::{NewAttempts, StoredAttemptUse, StoredKeyUse},
    subject::{AttemptSubject, SubjectHasher},
};
use crate::{
    ids::PublicKey,
    secret::InstallationSecret,
    web::limits::{limit_kind::LimitKind, rate_limit::RateLimitStatus},
};

/// Questions per minute from an address.
const QUESTIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(5).expect("it is not 0");

/// The buckets of keys, and of addresses that send bad keys or questions.
pub(crate) struct SharedLimits {
    pub(super) keys: BucketMap<KeyLimit>,
    attempts: BucketMap<AttemptSubject>,
    /// Keys that had nothing left at the last exchange.
    exhausted_keys: Mutex<HashMap<PublicKey, Arc<SharedBucket>>>,
    bad_keys_per_minute: NonZeroU32,
    hasher: SubjectHasher,
}

impl SharedLimits {
    /// `bad_keys_per_minute` is the limit of each address.
    pub(crate) fn new(secret: &InstallationSecret, bad_keys_per_minute: NonZeroU32) -> Self {
        Self {
            keys: BucketMap::new(),
            attempts: BucketMap::new(),
            exhausted_keys: Mutex::default(),
            bad_keys_per_minute,
            hasher: SubjectHasher::new(secret),
        }
    }

    pub(crate) fn bad_keys_per_minute(&self) -> NonZeroU32 {
        self.bad_keys_per_minute
    }

    /// The bucket of a key, which may be used until it is dropped.
    pub(crate) fn key_bucket(&self, limit: KeyLimit, now: Instant) -> Arc<SharedBucket> {
        let per_minute = limit.per_minute;
        self.keys.get_or_insert(limit, per_minute, now)
    }

    /// The status of a limit of this key if the nodes together have used it up, whether or not it is the current limit.
    /// Says nothing about who presents the key.
    pub(crate) fn exhausted_key(&self, key: &PublicKey, now: Instant) -> Option<RateLimitStatus> {
        self.exhausted_keys.lock().unwrap_or_else(PoisonError::into_inner).get(key)?.exhausted(now)
    }

    /// Counts a bad key or a question of the address. Returns the unchanged status as `Err` if the address has none left.
    pub(crate) fn take_attempt(
        &self,
        kind: LimitKind,
        address: IpAddr,
        now: Instant,
    ) -> Result<RateLimitStatus, RateLimitStatus> {
        let subject = self.subject(kind, &address.to_string());
        self.attempts.get_or_insert(subject, self.per_minute(kind), now).take(now)
    }

    /// The status if the address has no attempts left.
    pub(crate) fn exhausted_attempts(
        &self,
        kind: LimitKind,
        address: IpAddr,
        now: Instant,
    ) -> Option<RateLimitStatus> {
        self.attempts.get(&self.subject(kind, &address.to_string()))?.exhausted(now)
    }

    pub(super) fn subject(&self, kind: LimitKind, name: &str) -> AttemptSubject {
        self.hasher.hash(kind, name)
    }

    pub(super) fn apply_keys(&self, rows: Vec<StoredKeyUse>, now: Instant) {
        let mut exhausted_keys = HashMap::new();
        for StoredKeyUse { limit, stored } in rows {
            let (public_key, per_minute) = (limit.public_key.clone(), limit.per_minute);
            let bucket = self.keys.apply(limit, per_minute, stored, now);
            if bucket.exhausted(now).is_some() {
                exhausted_keys.insert(public_key, bucket);
            }
        }
        *self.exhausted_keys.lock().unwrap_or_else(PoisonError::into_inner) = exhausted_keys;
    }

    pub(super) fn take_unsent_attempts(&self, now: Instant) -> Vec<NewAttempts> {
        let unsent = self.attempts.take_unsent(now).into_iter();
        unsent
            .map(|(subject, count)| NewAttempts { per_minute: self.per_minute(subject.kind), subject, count })
            .collect()
    }

    pub(super) fn apply_attempts(&self, rows: Vec<StoredAttemptUse>, now: Instant) {
        for StoredAttemptUse { subject, stored } in rows {
            let per_minute = self.per_minute(subject.kind);
            self.attempts.apply(subject, per_minute, stored, now);
        }
    }

    fn per_minute(&self, kind: LimitKind) -> NonZeroU32 {
        if kind == LimitKind::Questions { QUESTIONS_PER_MINUTE } else { self.bad_keys_per_minute }
    }
}
