//! The buckets of one table.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::shared_bucket::{SharedBucket, StoredUse};

/// Number of parts with a lock of their own.
const SHARDS: usize = 16;

/// Buckets that are in use, here or on other nodes.
pub(super) struct BucketMap<K> {
    hasher: RandomState,
    shards: [Mutex<HashMap<K, Arc<SharedBucket>>>; SHARDS],
}

impl<K: Hash + Eq + Clone> BucketMap<K> {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<SharedBucket>> {
        self.shard(key).get(key).cloned()
    }

    pub(super) fn get_or_insert(&self, key: K, per_minute: NonZeroU32, now: Instant) -> Arc<SharedBucket> {
        let new = || Arc::new(SharedBucket::new(per_minute, now));
        Arc::clone(self.shard(&key).entry(key).or_insert_with(new))
    }

    /// Begins an exchange: returns what was taken since the last one. Drops buckets that nobody uses.
    pub(super) fn take_unsent(&self, now: Instant) -> Vec<(K, i64)> {
        let mut unsent = Vec::new();
        for shard in &self.shards {
            let mut buckets = lock(shard);
            buckets.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_settled(now));
            let taken = buckets.iter().map(|(key, bucket)| (key, bucket.take_unsent(now)));
            unsent
                .extend(taken.filter(|(_, tokens)| *tokens != 0).map(|(key, tokens)| (key.clone(), tokens)));
        }
        unsent
    }

    /// Ends an exchange for one bucket.
    pub(super) fn apply(
        &self,
        key: K,
        per_minute: NonZeroU32,
        stored: StoredUse,
        now: Instant,
    ) -> Arc<SharedBucket> {
        let bucket = self.get_or_insert(key, per_minute, now);
        bucket.apply(stored, now);
        bucket
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Arc<SharedBucket>>> {
        let index = usize::from(self.hasher.hash_one(key).to_le_bytes()[0]) % SHARDS;
        lock(&self.shards[index])
    }
}

/// Ignores poisoning: nothing panics while it holds a lock.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_buckets_that_matter_are_kept() {
        let (map, now) = (BucketMap::new(), Instant::now());
        let held = map.get_or_insert("held", NonZeroU32::MIN, now);
        map.get_or_insert("used", NonZeroU32::MIN, now).take(now).unwrap();
        map.get_or_insert("unused", NonZeroU32::MIN, now);

        assert_eq!(map.take_unsent(now), [("used", 1)]);
        assert_eq!(["held", "used", "unused"].map(|key| map.get(&key).is_some()), [true, true, false]);

        let later = now + Duration::from_secs(61);
        held.take(later).unwrap();
        assert_eq!(map.take_unsent(later), [("held", 1)]);
        assert!(map.get(&"used").is_none());
    }
}
