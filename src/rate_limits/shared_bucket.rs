//! A token bucket that other nodes take from too.

use std::{
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::web::limits::rate_limit::{RateLimitStatus, TokenBucket};

/// The tokens that this node knows to be taken, by itself and by others.
pub(crate) struct SharedBucket {
    bucket: TokenBucket,
    /// Tokens taken here since the last exchange; negative if more were given back.
    unsent: AtomicI64,
    exchanged: Mutex<ExchangedUse>,
}

#[derive(Default)]
struct ExchangedUse {
    /// Tokens of all nodes after the last exchange; `None` before the first.
    total: Option<i64>,
    /// Our tokens in the exchange that is under way.
    sent: i64,
}

/// What all nodes together have taken, as the database has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredUse {
    /// Tokens since the row exists.
    pub(super) total: i64,
    /// Until the whole limit is available again.
    pub(super) until_full: Duration,
}

impl SharedBucket {
    pub(super) fn new(per_minute: NonZeroU32, now: Instant) -> Self {
        Self {
            bucket: TokenBucket::new(per_minute, now),
            unsent: AtomicI64::default(),
            exchanged: Mutex::default(),
        }
    }

    pub(crate) fn per_minute(&self) -> NonZeroU32 {
        self.bucket.per_minute()
    }

    /// Takes a token. Returns the unchanged status as `Err` if none is left.
    pub(crate) fn take(&self, now: Instant) -> Result<RateLimitStatus, RateLimitStatus> {
        let status = self.bucket.take(now)?;
        self.unsent.fetch_add(1, Ordering::Relaxed);
        Ok(status)
    }

    /// Gives back a token that was taken.
    pub(crate) fn give_back(&self) {
        self.bucket.give_back();
        self.unsent.fetch_sub(1, Ordering::Relaxed);
    }

    /// The status if no token is left.
    pub(crate) fn exhausted(&self, now: Instant) -> Option<RateLimitStatus> {
        self.bucket.exhausted(now)
    }

    /// Whether a new bucket would do as well.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        self.bucket.is_full(now) && self.unsent.load(Ordering::Relaxed) == 0
    }

    /// Begins an exchange. Returns the tokens to send, without those that are available again: after an outage the others
    /// must not make up for what was used long ago.
    pub(super) fn take_unsent(&self, now: Instant) -> i64 {
        let unsent = self.unsent.swap(0, Ordering::Relaxed).min(self.bucket.missing(now).into());
        self.exchanged.lock().unwrap_or_else(PoisonError::into_inner).sent = unsent;
        unsent
    }

    /// Ends an exchange: takes what other nodes have taken since the last one.
    pub(super) fn apply(&self, stored: StoredUse, now: Instant) {
        let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
        let own = std::mem::take(&mut exchanged.sent);
        let by_count = exchanged.total.map(|before| {
            // The row was deleted meanwhile if its total is lower than what we know.
            let before = if stored.total < before + own { 0 } else { before };
            self.bucket.duration_of(u32::try_from(stored.total - before - own).unwrap_or(0))
        });
        exchanged.total = Some(stored.total);
        // Tokens that were taken long ago are available again.
        let own = self.bucket.duration_of(u32::try_from(own).unwrap_or(0));
        let not_ours = stored.until_full.saturating_sub(own);
        self.bucket.add(by_count.unwrap_or(not_ours).min(not_ours), now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The row of the database.
    struct Row {
        used: i64,
        full_at: Instant,
    }

    impl Row {
        fn new(now: Instant) -> Self {
            Self { used: 0, full_at: now }
        }

        fn exchange(&mut self, node: &SharedBucket, now: Instant) {
            let sent = node.take_unsent(now);
            self.used += sent;
            let interval = Duration::from_secs(60) / node.per_minute().get();
            if sent > 0 {
                self.full_at = self.full_at.max(now) + interval * u32::try_from(sent).unwrap();
            }
            // The database returns rows only until they are full.
            if self.full_at > now {
                node.apply(StoredUse { total: self.used, until_full: self.full_at - now }, now);
            }
        }
    }

    fn nodes(per_minute: u32, now: Instant) -> [SharedBucket; 3] {
        std::array::from_fn(|_| SharedBucket::new(NonZeroU32::new(per_minute).unwrap(), now))
    }

    fn take(node: &SharedBucket, tokens: usize, now: Instant) -> usize {
        (0..tokens).filter(|_| node.take(now).is_ok()).count()
    }

    proptest! {
        #[test]
        fn three_nodes_that_exchange_after_each_burst_allow_what_one_would(
            per_minute in 1_u32..500,
            bursts in proptest::collection::vec((0_usize..3, 0_usize..80, 0_u64..20_000), 1..30),
        ) {
            let mut now = Instant::now();
            let (nodes, mut row) = (nodes(per_minute, now), Row::new(now));
            let single = TokenBucket::new(NonZeroU32::new(per_minute).unwrap(), now);
            for (node, tokens, pause) in bursts {
                let allowed = take(&nodes[node], tokens, now);
                prop_assert_eq!(allowed, (0..tokens).filter(|_| single.take(now).is_ok()).count());
                for node in [node, 0, 1, 2] {
                    row.exchange(&nodes[node], now);
                }
                now += Duration::from_millis(pause);
            }
        }

        #[test]
        fn what_was_used_too_much_within_a_second_is_made_up_for(
            bursts in proptest::collection::vec([0_usize..100, 0_usize..100, 0_usize..100], 120),
        ) {
            let start = Instant::now();
            let (nodes, mut row) = (nodes(60, start), Row::new(start));
            let (mut allowed, mut by_others_at_most) = (0, 0);
            for (second, burst) in (0_u64..).zip(bursts) {
                let now = start + Duration::from_secs(second);
                let taken: Vec<usize> =
                    nodes.iter().zip(burst).map(|(node, tokens)| take(node, tokens, now)).collect();
                let total: usize = taken.iter().sum();
                allowed += total;
                by_others_at_most = by_others_at_most.max(total - taken.iter().min().unwrap());
                // Twice, so that each node has read what all others sent.
                for node in nodes.iter().chain(&nodes) {
                    row.exchange(node, now);
                }
                prop_assert!(allowed <= 60 + usize::try_from(second).unwrap() + by_others_at_most);
            }
        }
    }

    #[test]
    fn nothing_changes_for_a_node_that_is_alone() {
        let start = Instant::now();
        let ([node, ..], mut row) = (nodes(60, start), Row::new(start));
        assert_eq!(take(&node, 100, start), 60);

        for milliseconds in [300, 1300, 2300] {
            row.exchange(&node, start + Duration::from_millis(milliseconds));
        }

        assert_eq!(node.exhausted(start).unwrap().reset_seconds, 1);
        assert_eq!(take(&node, 100, start + Duration::from_secs(3)), 3);
    }

    #[test]
    fn use_during_an_outage_is_made_up_for_by_nobody() {
        let start = Instant::now();
        let ([node, other, _], mut row) = (nodes(60, start), Row::new(start));
        for minute in 0..10 {
            assert_eq!(take(&node, 100, start + Duration::from_secs(60 * minute)), 60);
        }

        let end = start + Duration::from_secs(10 * 60);
        row.exchange(&node, end);
        row.exchange(&other, end);

        assert_eq!(take(&other, 100, end), 60);
    }

    #[test]
    fn a_node_that_starts_knows_what_the_others_have_used() {
        let start = Instant::now();
        let ([node, new, _], mut row) = (nodes(60, start), Row::new(start));
        assert_eq!(take(&node, 40, start), 40);
        row.exchange(&node, start);

        row.exchange(&new, start);

        assert_eq!(take(&new, 100, start), 20);
    }
}
