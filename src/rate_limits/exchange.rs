//! Tells the other nodes what this one has used, and learns what they have used.

use std::{sync::Arc, time::Instant};

use tokio::sync::Mutex;

use super::{shared_limits::SharedLimits, store};
use crate::{db::Db, error::AppError, failure_log::FailureLog, metrics::ExchangeMetrics};

/// Rows that say nothing any more are deleted once in this number of exchanges.
const CLEANUP_INTERVAL: u32 = 60;

/// Exchanges the use of limits through the database. Once it fails, each node counts alone until it works again.
pub(crate) struct LimitExchange {
    limits: Arc<SharedLimits>,
    metrics: ExchangeMetrics,
    state: Mutex<ExchangeState>,
}

struct ExchangeState {
    log: FailureLog,
    rounds: u32,
}

impl LimitExchange {
    pub(crate) fn new(limits: Arc<SharedLimits>) -> Self {
        let log = FailureLog::new(
            "Rate limits cannot be exchanged; each node counts alone",
            "Rate limits hold across nodes again",
        );
        let state = Mutex::new(ExchangeState { log, rounds: 0 });
        Self { limits, metrics: ExchangeMetrics::default(), state }
    }

    pub(crate) fn metrics(&self) -> &ExchangeMetrics {
        &self.metrics
    }

    /// Call it once a second.
    pub(crate) async fn run_once(&self, db: &Db) {
        let mut state = self.state.lock().await;
        let outcome = self.exchange(db).await;
        self.metrics.record(outcome.is_ok());
        state.log.record(&outcome);
        let is_cleanup_due = state.rounds == 0;
        state.rounds = (state.rounds + 1) % CLEANUP_INTERVAL;
        if is_cleanup_due && outcome.is_ok() {
            // What cannot be deleted now is deleted in a minute.
            let _ignored = db.run(store::delete_full).await;
        }
    }

    async fn exchange(&self, db: &Db) -> Result<(), AppError> {
        let keys = self.exchange_keys(db).await;
        if matches!(keys, Err(AppError::Busy)) {
            return keys;
        }
        let attempts = self.exchange_attempts(db).await;
        keys.and(attempts)
    }

    async fn exchange_keys(&self, db: &Db) -> Result<(), AppError> {
        let mut used = self.limits.keys.take_unsent(Instant::now());
        // All nodes lock rows in the same order, so they cannot deadlock.
        used.sort();
        let stored = db.run(move |connection| store::exchange_keys(connection, &used)).await?;
        self.limits.apply_keys(stored, Instant::now());
        Ok(())
    }

    async fn exchange_attempts(&self, db: &Db) -> Result<(), AppError> {
        let mut new = self.limits.take_unsent_attempts(Instant::now());
        new.sort_by(|a, b| a.subject.cmp(&b.subject));
        let stored = db.run(move |connection| store::exchange_attempts(connection, &new)).await?;
        self.limits.apply_attempts(stored, Instant::now());
        Ok(())
    }
}
