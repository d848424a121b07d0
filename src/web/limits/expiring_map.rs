//! Values by key that are dropped once they say nothing any more.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Number of parts with a lock of their own.
const SHARDS: usize = 16;
/// Up to this number of values per shard, expired ones are kept too: 10,000 in the map.
const KEPT_PER_SHARD: usize = 625;
/// How often a larger shard drops its expired values.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A value that can be forgotten.
pub(crate) trait Expire {
    /// Whether a new value would do as well.
    fn is_expired(&self, now: Instant) -> bool;
}

/// A map that never drops a value that has not expired, and drops expired ones once it has many. Its memory is bounded by
/// the number of values that have not expired.
pub(crate) struct ExpiringMap<K, V> {
    hasher: RandomState,
    shards: [Mutex<MapShard<K, V>>; SHARDS],
}

struct MapShard<K, V> {
    values: HashMap<K, V>,
    /// Number of values at which it is swept before the interval has passed.
    sweep_at: usize,
    swept_at: Option<Instant>,
}

impl<K: Hash + Eq, V: Expire> ExpiringMap<K, V> {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::new(MapShard::new())) }
    }

    /// Uses the value of `key`, if there is one.
    pub(crate) fn update<T>(&self, key: &K, now: Instant, change: impl FnOnce(&mut V) -> T) -> Option<T> {
        let mut shard = self.shard(key);
        shard.sweep(now);
        shard.values.get_mut(key).map(change)
    }

    /// Uses the value of `key`, or a new one.
    pub(crate) fn update_or_insert<T>(
        &self,
        key: K,
        now: Instant,
        new: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> T,
    ) -> T {
        let mut shard = self.shard(&key);
        shard.sweep(now);
        change(shard.values.entry(key).or_insert_with(new))
    }

    pub(crate) fn remove(&self, key: &K) {
        self.shard(key).values.remove(key);
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, MapShard<K, V>> {
        let index = usize::from(self.hasher.hash_one(key).to_le_bytes()[0]) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, V: Expire> MapShard<K, V> {
    fn new() -> Self {
        Self { values: HashMap::new(), sweep_at: KEPT_PER_SHARD, swept_at: None }
    }

    /// Drops expired values once there are twice as many values as after the last time, or if the last time is long ago.
    fn sweep(&mut self, now: Instant) {
        let is_due = self.swept_at.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP_INTERVAL);
        let count = self.values.len();
        if count < KEPT_PER_SHARD || (count < self.sweep_at && !is_due) {
            return;
        }
        self.values.retain(|_, value| !value.is_expired(now));
        self.sweep_at = (2 * self.values.len()).max(KEPT_PER_SHARD);
        self.values.shrink_to(self.sweep_at);
        self.swept_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expires at this time.
    struct ExpiresAt(Instant);

    impl Expire for ExpiresAt {
        fn is_expired(&self, now: Instant) -> bool {
            self.0 <= now
        }
    }

    fn count_values(map: &ExpiringMap<u32, ExpiresAt>) -> usize {
        map.shards.iter().map(|shard| shard.lock().unwrap().values.len()).sum()
    }

    #[test]
    fn values_stay_until_they_expire_whatever_their_number() {
        let (map, start) = (ExpiringMap::new(), Instant::now());
        let minute = Duration::from_secs(60);
        for key in 0..100_000 {
            map.update_or_insert(key, start, || ExpiresAt(start + minute), |_| ());
        }
        assert_eq!((0..100_000).filter(|key| map.update(key, start, |_| ()).is_some()).count(), 100_000);

        for key in 0..1000 {
            map.update_or_insert(key, start + minute, || ExpiresAt(start + 2 * minute), |_| ());
        }

        assert_eq!(count_values(&map), 1000);
        assert!(map.shards.iter().all(|shard| shard.lock().unwrap().values.capacity() < 5 * KEPT_PER_SHARD));
    }

    #[test]
    fn expired_values_stay_while_they_are_few() {
        let (map, start) = (ExpiringMap::new(), Instant::now());
        for key in 0..100 {
            map.update_or_insert(key, start, || ExpiresAt(start), |_| ());
        }

        assert!(map.update(&7, start + Duration::from_secs(3600), |_| ()).is_some());
        map.remove(&7);
        assert!(map.update(&7, start, |_| ()).is_none());
        assert_eq!(count_values(&map), 99);
    }

    #[test]
    fn a_flood_of_values_that_expire_at_once_takes_no_more_memory() {
        let (map, start) = (ExpiringMap::new(), Instant::now());
        for key in 0..200_000 {
            map.update_or_insert(key, start, || ExpiresAt(start), |_| ());
        }
        assert!(count_values(&map) <= SHARDS * KEPT_PER_SHARD);
    }
}
