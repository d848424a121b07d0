//! Whether PostgreSQL accepts connections. While it does not, attempts are rare, and the log says so once.

use std::time::{Duration, Instant};

/// Pause after the first failed attempt. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause between attempts. Shorter than any request waits, so that each sees one.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What the attempts to open a connection have shown. They overlap, so one that began before the opposite was seen shows
/// nothing.
#[derive(Default)]
pub(super) struct Reachability {
    outage: Option<Outage>,
    last_success: Option<Instant>,
}

struct Outage {
    since: Instant,
    last_failure: Instant,
    pause: Duration,
    next_attempt: Instant,
}

impl Reachability {
    /// Allows any number of attempts at once, or one per pause during an outage.
    ///
    /// # Errors
    /// When the next attempt is allowed.
    pub(super) fn begin_attempt(&mut self, now: Instant) -> Result<(), Instant> {
        match &mut self.outage {
            Some(outage) if now < outage.next_attempt => Err(outage.next_attempt),
            Some(outage) => {
                outage.next_attempt = now + outage.pause;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Begins an outage, or makes its pauses longer.
    pub(super) fn record_failure(&mut self, began_at: Instant, now: Instant, cause: &str) {
        if self.last_success.is_some_and(|success| began_at < success) {
            return;
        }
        let outage = self.outage.get_or_insert_with(|| {
            tracing::error!(cause = cause.trim_end(), "No connection to PostgreSQL; requests get 503");
            Outage { since: now, last_failure: now, pause: FIRST_PAUSE / 2, next_attempt: now }
        });
        outage.last_failure = now;
        outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
        outage.next_attempt = now + outage.pause;
    }

    /// Ends an outage.
    pub(super) fn record_success(&mut self, began_at: Instant, now: Instant) {
        if self.outage.as_ref().is_some_and(|outage| began_at < outage.last_failure) {
            return;
        }
        self.last_success = Some(now);
        if let Some(outage) = self.outage.take() {
            let seconds = now.saturating_duration_since(outage.since).as_secs();
            tracing::info!(seconds, "PostgreSQL accepts connections again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_during_an_outage_become_rare() {
        let (mut reachability, start) = (Reachability::default(), Instant::now());
        assert!(reachability.begin_attempt(start).is_ok() && reachability.begin_attempt(start).is_ok());
        let mut attempts_at = Vec::new();
        for tick in 0..3000 {
            let now = start + Duration::from_millis(tick);
            if reachability.begin_attempt(now).is_ok() {
                reachability.record_failure(now, now, "refused");
                attempts_at.push(tick);
            }
        }
        assert_eq!(attempts_at, [0, 100, 300, 700, 1200, 1700, 2200, 2700]);
    }

    #[test]
    fn one_attempt_at_a_time_is_made_during_an_outage() {
        let (mut reachability, start) = (Reachability::default(), Instant::now());
        reachability.record_failure(start, start, "refused");
        let next = start + FIRST_PAUSE;

        assert_eq!(reachability.begin_attempt(start), Err(next));
        assert_eq!(reachability.begin_attempt(next), Ok(()));
        assert_eq!(reachability.begin_attempt(next), Err(next + FIRST_PAUSE));
        reachability.record_success(next, next);
        assert_eq!(reachability.begin_attempt(next), Ok(()));
    }

    #[test]
    fn attempt_that_began_before_the_opposite_was_seen_shows_nothing() {
        let (mut reachability, start) = (Reachability::default(), Instant::now());
        let [seen, later] = [1, 2].map(|seconds| start + Duration::from_secs(seconds));

        reachability.record_failure(start, seen, "refused");
        reachability.record_success(start, later);
        assert!(reachability.outage.is_some());
        reachability.record_success(seen, later);
        assert!(reachability.outage.is_none());
        reachability.record_failure(seen, later, "timed out");
        assert!(reachability.outage.is_none());
        reachability.record_failure(later, later, "refused");
        assert!(reachability.outage.is_some());
    }
}
