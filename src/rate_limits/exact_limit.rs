//! A limit whose every attempt is counted in the database.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus::IntCounter;
use tokio::time::timeout;

use super::{
    shared_limits::SharedLimits,
    store::{self, CountedAttempt},
    subject::AttemptSubject,
};
use crate::{
    db::Db,
    error::AppError,
    web::limits::{expiring_map::ExpiringMap, limit_kind::LimitKind, rate_limit::TokenBucket},
};

/// Time limit for counting an attempt in the database. Then this node's own count decides.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// Holds exactly, whichever nodes the attempts reach. For rare attempts: each is a statement, except those that this node
/// can refuse alone.
pub(crate) struct ExactLimit {
    kind: LimitKind,
    per_minute: NonZeroU32,
    shared: Arc<SharedLimits>,
    db: Db,
    /// What this node knows, so that a flood of attempts does not reach the database.
    known: ExpiringMap<AttemptSubject, TokenBucket>,
    refusals: IntCounter,
}

impl ExactLimit {
    pub(crate) fn new(
        kind: LimitKind,
        per_minute: NonZeroU32,
        shared: Arc<SharedLimits>,
        db: Db,
        refusals: IntCounter,
    ) -> Self {
        Self { kind, per_minute, shared, db, known: ExpiringMap::new(), refusals }
    }

    /// Counts an attempt of an address or account. If the database fails or is slow, only those of this node count.
    ///
    /// # Errors
    /// [`AppError::TooMany`] with the seconds to wait.
    pub(crate) async fn count(&self, name: &str) -> Result<(), AppError> {
        let (subject, now) = (self.shared.subject(self.kind, name), Instant::now());
        let new_bucket = || TokenBucket::new(self.per_minute, now);
        let known = self.known.update_or_insert(subject.clone(), now, new_bucket, |bucket| bucket.take(now));
        if let Err(status) = known {
            return Err(self.refuse(status.reset_seconds));
        }
        let (wanted, per_minute) = (subject.clone(), self.per_minute);
        let counted = self.db.run(move |connection| store::count_attempt(connection, &wanted, per_minute));
        match timeout(COUNT_TIMEOUT, counted).await {
            Ok(Ok(attempt)) => self.follow(&subject, attempt),
            Ok(Err(cause)) => {
                tracing::warn!(?cause, "An attempt to log in was counted by this node alone");
                Ok(())
            }
            Err(_elapsed) => {
                tracing::warn!("An attempt to log in was counted by this node alone: PostgreSQL is slow");
                Ok(())
            }
        }
    }

    /// Takes over what the database has counted.
    fn follow(&self, subject: &AttemptSubject, attempt: CountedAttempt) -> Result<(), AppError> {
        let now = Instant::now();
        let exhausted = self.known.update(subject, now, |bucket| {
            if !attempt.is_allowed {
                bucket.give_back();
            }
            bucket.raise(attempt.until_full, now);
            bucket.exhausted(now)
        });
        if attempt.is_allowed {
            return Ok(());
        }
        Err(self.refuse(exhausted.flatten().map_or(1, |status| status.reset_seconds)))
    }

    fn refuse(&self, seconds: u64) -> AppError {
        self.refusals.inc();
        AppError::TooMany(seconds)
    }
}
