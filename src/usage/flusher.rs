//! Stores the counted requests and exchanges the use of rate limits once a second, and once more when the process stops.

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::MissedTickBehavior};
use uuid::Uuid;

use super::{
    meter::UsageMeter,
    shard_batches::{FlushSource, ShardBatches},
    store::{self, UsageBatch},
};
use crate::{
    db::{DataPlacement, Db},
    error::AppError,
    failure_log::FailureLog,
    metrics::{ExchangeMetrics, FlushMetrics},
    rate_limits::LimitExchange,
};

/// A killed process loses at most the counts of this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit for the last flush when the process stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// The flush after which the first sweep starts. A sweep deletes the old counts of all clients, one client per flush.
const FIRST_SWEEP: u32 = 60;
/// Number of flushes from the start of one sweep to the next. The next one is skipped if the previous is not finished.
const SWEEP_INTERVAL: u32 = 3600;

pub struct UsageFlusher {
    meter: Arc<UsageMeter>,
    db: Db,
    node: Uuid,
    state: Mutex<FlusherState>,
    flushed_at: SyncMutex<Instant>,
    metrics: FlushMetrics,
    limits: LimitExchange,
}

struct FlusherState {
    /// Number of the last batch; 0 before the first.
    last_number: i64,
    /// A batch that PostgreSQL has not confirmed. It may be stored already, so it is sent again unchanged.
    open_batch: Option<Arc<UsageBatch>>,
    /// Where tables are distributed, in place of the open batch.
    shard_batches: ShardBatches,
    log: FailureLog,
}

impl UsageFlusher {
    /// Expects a `db` with a connection of its own, so that flushes and requests never wait for each other.
    #[must_use]
    pub(crate) fn new(meter: Arc<UsageMeter>, db: Db, limits: LimitExchange) -> Self {
        let log = FailureLog::new(
            "Counts of API requests cannot be stored; they are kept until they can",
            "Counts of API requests are stored again",
        );
        Self {
            meter,
            db,
            node: Uuid::now_v7(),
            state: Mutex::new(FlusherState {
                last_number: 0,
                open_batch: None,
                shard_batches: ShardBatches::default(),
                log,
            }),
            flushed_at: SyncMutex::new(Instant::now()),
            metrics: FlushMetrics::default(),
            limits,
        }
    }

    /// With the lag of this moment.
    pub(crate) fn metrics(&self) -> &FlushMetrics {
        let flushed_at = *self.flushed_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.lag_seconds.set(flushed_at.elapsed().as_secs_f64());
        &self.metrics
    }

    pub(crate) fn exchange_metrics(&self) -> &ExchangeMetrics {
        self.limits.metrics()
    }

    /// Exchanges the use of limits and flushes once a second. Never returns. Without a meter there is nothing to flush.
    pub async fn run(&self) {
        let mut interval = tokio::time::interval(FLUSH_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep_after = None;
        for round in (0..SWEEP_INTERVAL).cycle() {
            interval.tick().await;
            self.limits.run_once(&self.db).await;
            // Counts that cannot be stored now are kept for the next round.
            let _logged = self.flush_and_log().await;
            if round == FIRST_SWEEP && sweep_after.is_none() && self.meter.is_on() {
                sweep_after = Some(String::new());
            }
            if let Some(after) = sweep_after.take() {
                sweep_after = self.sweep_next_client(after).await;
            }
        }
    }

    /// Stores the remaining counts. Call it after the last response.
    pub async fn finish(&self) {
        let flushed = tokio::time::timeout(SHUTDOWN_TIMEOUT, async {
            self.limits.run_once(&self.db).await;
            loop {
                match self.flush_and_log().await {
                    Err(error) if error.is_temporary() => tokio::time::sleep(RETRY_DELAY).await,
                    outcome => return outcome,
                }
            }
        });
        if !matches!(flushed.await, Ok(Ok(()))) {
            tracing::error!("The last counts of API requests could not be stored: they are lost");
        }
    }

    async fn flush_and_log(&self) -> Result<(), AppError> {
        let mut state = self.state.lock().await;
        let outcome = self.flush(&mut state).await;
        if outcome.is_ok() {
            *self.flushed_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        } else {
            self.metrics.failures.inc();
        }
        state.log.record(&outcome);
        outcome
    }

    /// Sends the open batch first, if there is one, then all new counts.
    async fn flush(&self, state: &mut FlusherState) -> Result<(), AppError> {
        self.send_open_batch(state).await?;
        if self.db.data_placement() == DataPlacement::ByClient {
            let source = FlushSource { meter: &self.meter, db: &self.db, node: self.node };
            return state.shard_batches.flush(source, &mut state.last_number).await;
        }
        let counts = self.meter.take();
        if counts.is_empty() {
            return Ok(());
        }
        state.last_number += 1;
        state.open_batch = Some(Arc::new(UsageBatch { node: self.node, number: state.last_number, counts }));
        self.send_open_batch(state).await
    }

    async fn send_open_batch(&self, state: &mut FlusherState) -> Result<(), AppError> {
        if let Some(batch) = state.open_batch.clone() {
            self.db.run(move |connection| store::save_batch(connection, &batch)).await?;
            state.open_batch = None;
        }
        Ok(())
    }

    /// Returns the client to continue after, or `None` if the sweep is finished or failed.
    async fn sweep_next_client(&self, after: String) -> Option<String> {
        let placement = self.db.data_placement();
        let swept = self.db.run(move |connection| {
            if placement == DataPlacement::ByClient && !after.is_empty() {
                store::delete_ended_nodes_in_shard(connection, &after)?;
            }
            store::delete_old_counts(connection, &after)
        });
        let swept = swept.await;
        swept.unwrap_or_else(|cause| {
            tracing::warn!(?cause, "Old counts of API requests could not be deleted");
            None
        })
    }
}
