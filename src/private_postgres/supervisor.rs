//! Keeps the PostgreSQL of a long-running process running: restarts it when it was killed or has stopped by itself, for
//! instance because the disk is full.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::sync::oneshot;

use super::{DurabilityMode, cluster::Cluster, location::ClusterLocation, locks};

/// When a supervisor checks PostgreSQL, how long it pauses between restarts, and when it gives up.
#[derive(Clone, Copy, Debug)]
pub struct SupervisionTimes {
    /// Time between two checks.
    pub check_interval: Duration,
    /// Pause after the first failed restart. It doubles with each further one.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// After failing for this long, restarts are given up.
    pub give_up_after: Duration,
}

impl Default for SupervisionTimes {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_secs(1),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(4),
            give_up_after: Duration::from_secs(60),
        }
    }
}

/// A thread that watches one PostgreSQL. Dropping it ends the thread, after a restart that has begun.
#[derive(Debug)]
pub(super) struct Supervisor {
    /// Dropping the sender ends the thread. `None` once dropped.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread. The receiver gets the reason when PostgreSQL cannot be kept running.
    pub(super) fn start(
        cluster: Arc<Cluster>,
        location: Arc<ClusterLocation>,
        tuning: DurabilityMode,
        times: SupervisionTimes,
    ) -> anyhow::Result<(Self, oneshot::Receiver<anyhow::Error>)> {
        let (stop, stopped) = mpsc::channel();
        let (failure, receiver) = oneshot::channel();
        let watch = ClusterWatch { cluster, location, tuning, times, stopped };
        let thread = thread::Builder::new().name("private-postgres".to_owned()).spawn(move || {
            if let Err(error) = watch.run() {
                // Nobody waits for it if the process is already stopping.
                let _ignored = failure.send(error);
            }
        });
        let thread = thread.context("Cannot start the thread that watches PostgreSQL")?;
        Ok((Self { stop: Some(stop), thread: Some(thread) }, receiver))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by then.
            let _ignored = thread.join();
        }
    }
}

struct ClusterWatch {
    cluster: Arc<Cluster>,
    location: Arc<ClusterLocation>,
    tuning: DurabilityMode,
    times: SupervisionTimes,
    /// Disconnected when the supervisor is dropped.
    stopped: mpsc::Receiver<()>,
}

impl ClusterWatch {
    /// Returns when the supervisor is dropped.
    ///
    /// # Errors
    /// If PostgreSQL cannot be restarted, or the data directory is gone.
    fn run(&self) -> anyhow::Result<()> {
        let mut pause = Duration::ZERO;
        let mut ready_since = Instant::now();
        while self.wait(self.times.check_interval) {
            self.refuse_deleted_data_dir()?;
            if self.cluster.is_ready() {
                continue;
            }
            // A server that keeps crashing soon after its start is restarted less and less often.
            if ready_since.elapsed() > self.times.longest_pause {
                pause = Duration::ZERO;
            }
            pause = self.restart(pause)?;
            ready_since = Instant::now();
        }
        Ok(())
    }

    /// Restarts PostgreSQL after `pause`, and again after longer pauses until it accepts connections. Returns the pause
    /// before the next restart.
    fn restart(&self, mut pause: Duration) -> anyhow::Result<Duration> {
        tracing::error!("The private PostgreSQL has stopped; restarting it");
        let deadline = Instant::now() + self.times.give_up_after;
        while self.wait(pause.min(deadline.saturating_duration_since(Instant::now()))) {
            pause = self.next_pause(pause);
            let Err(error) = self.try_restart() else { return Ok(pause) };
            self.refuse_deleted_data_dir()?;
            if Instant::now() >= deadline {
                let seconds = self.times.give_up_after.as_secs();
                return Err(error.context(format!(
                    "The private PostgreSQL could not be restarted for {seconds} seconds"
                )));
            }
            tracing::error!(retry_seconds = pause.as_secs_f64(), "The private PostgreSQL is down: {error:#}");
        }
        Ok(pause)
    }

    fn try_restart(&self) -> anyhow::Result<()> {
        let _lifecycle_lock = locks::acquire_lifecycle_lock(&self.location)?;
        self.cluster.restart(self.tuning)
    }

    fn next_pause(&self, pause: Duration) -> Duration {
        (pause * 2).clamp(self.times.first_pause, self.times.longest_pause)
    }

    fn refuse_deleted_data_dir(&self) -> anyhow::Result<()> {
        if self.location.is_in_place() && self.location.contains(self.cluster.directory()) {
            return Ok(());
        }
        let data_dir = self.location.data_dir().display();
        if self.cluster.is_in_place() {
            bail!(
                "The data directory {data_dir} was deleted, moved or emptied. Its database is still in {}; see `uptok \
                 clusters list`",
                self.cluster.directory().display()
            );
        }
        bail!("The data directory {data_dir} was deleted, moved or emptied, and the database with it")
    }

    /// Returns `false` as soon as the supervisor is dropped, else `true` after `time`.
    fn wait(&self, time: Duration) -> bool {
        self.stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }
}
