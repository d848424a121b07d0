//! Storing what was counted: once a second, and at the end.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::MissedTickBehavior};
use uuid::Uuid;

use super::{
    meter::UsageMeter,
    store::{self, UsageBatch},
};
use crate::{db::Db, error::AppError};

/// Counts are stored once in this time; a process that is killed loses those of so long.
const EVERY: Duration = Duration::from_secs(1);
/// How long storing may take when the process stops.
const AT_THE_END: Duration = Duration::from_secs(5);
/// After a failure at the end it is tried again after this time.
const AGAIN: Duration = Duration::from_millis(100);
/// A walk through all clients that deletes their old hours begins in this round of storing …
const SWEEP_FIRST: u32 = 60;
/// … and again after so many, unless one is under way.
const SWEEP_EVERY: u32 = 3600;

/// Stores what a meter has counted.
pub struct UsageFlusher {
    meter: Arc<UsageMeter>,
    db: Db,
    node: Uuid,
    desk: Mutex<FlushState>,
}

/// What is being stored.
#[derive(Default)]
struct FlushState {
    /// Of the last batch.
    number: i64,
    /// A batch that is stored or not: nobody said. It stays until somebody says that it is.
    open: Option<Arc<UsageBatch>>,
    has_failed: bool,
}

impl UsageFlusher {
    /// A keeper with a connection of its own behind `db`: what it does is not in the way of requests, nor they in its.
    #[must_use]
    pub fn new(meter: Arc<UsageMeter>, db: Db) -> Self {
        Self { meter, db, node: Uuid::now_v7(), desk: Mutex::default() }
    }

    /// Stores once a second, for ever.
    pub async fn run(&self) {
        if !self.meter.is_on() {
            return;
        }
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep_after = None;
        for round in (0..SWEEP_EVERY).cycle() {
            clock.tick().await;
            // What cannot be stored now stays for the next round.
            let _told = self.store().await;
            if round == SWEEP_FIRST && sweep_after.is_none() {
                sweep_after = Some(String::new());
            }
            if let Some(after) = sweep_after.take() {
                sweep_after = self.sweep(after).await;
            }
        }
    }

    /// Stores what is left, once no request is answered any more.
    pub async fn finish(&self) {
        let stored = tokio::time::timeout(AT_THE_END, async {
            loop {
                match self.store().await {
                    Err(AppError::Busy) => tokio::time::sleep(AGAIN).await,
                    outcome => return outcome,
                }
            }
        });
        if !matches!(stored.await, Ok(Ok(()))) {
            tracing::error!("The last counts of API requests could not be stored: they are lost");
        }
    }

    /// Stores what was counted so far, first what could not be stored before.
    async fn store(&self) -> Result<(), AppError> {
        let mut desk = self.desk.lock().await;
        let outcome = self.clear(&mut desk).await;
        match &outcome {
            Ok(()) if desk.has_failed => tracing::info!("Counts of API requests are stored again"),
            Err(cause) if !desk.has_failed => {
                tracing::warn!(
                    ?cause,
                    "Counts of API requests cannot be stored; they are kept until they can"
                );
            }
            _ => {}
        }
        desk.has_failed = outcome.is_err();
        outcome
    }

    async fn clear(&self, desk: &mut FlushState) -> Result<(), AppError> {
        self.close(desk).await?;
        let counts = self.meter.take();
        if counts.is_empty() {
            return Ok(());
        }
        desk.number += 1;
        desk.open = Some(Arc::new(UsageBatch { node: self.node, number: desk.number, counts }));
        self.close(desk).await
    }

    async fn close(&self, desk: &mut FlushState) -> Result<(), AppError> {
        if let Some(batch) = desk.open.clone() {
            self.db.run(move |connection| store::keep(connection, &batch)).await?;
            desk.open = None;
        }
        Ok(())
    }

    /// Deletes what is too old of one client; returns where to go on.
    async fn sweep(&self, after: String) -> Option<String> {
        let swept = self.db.run(move |connection| store::sweep(connection, &after)).await;
        swept.unwrap_or_else(|cause| {
            tracing::warn!(?cause, "Old counts of API requests could not be deleted");
            None
        })
    }
}
