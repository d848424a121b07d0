//! The connection pool: each connection has a thread of its own, and a time limit for every statement.
//!
//! libpq blocks, and nothing interrupts a thread that waits for a connection that went silent (a frozen host, or a
//! failover without a reset). So a connection whose statement gets no answer is abandoned: the caller gets an error, the
//! permit is free again, and the thread ends with the connection once libpq returns.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    thread,
    time::{Duration, Instant},
};

use diesel::{
    PgConnection, QueryResult,
    connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{sleep_until, timeout, timeout_at},
};
use tracing::Instrument as _;

use super::{
    connection::{DatabaseTarget, DatabaseTimeouts, OpenedConnection},
    server_process::ServerProcess,
    statement_clock::StatementClock,
};
use crate::{
    error::AppError,
    metrics::{DatabaseMetrics, InProgress},
};

/// Maximum number of abandoned threads. Beyond it no connection is opened until one of them ends.
const ABANDONED_MAX: usize = 128;
/// A connection that was idle for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// A connection is closed after this time, so that its server can be replaced and its memory is freed.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
/// Minimum time between log lines about requests that got no connection.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// A pool of connections with one permit each.
pub(super) struct ConnectionPool {
    target: Arc<DatabaseTarget>,
    timeouts: DatabaseTimeouts,
    connections_max: usize,
    permits: Arc<Semaphore>,
    /// The last one was used last.
    idle: Mutex<Vec<ConnectionThread>>,
    /// Those of connections that were given up. They may hold locks until they are terminated. Behind a pooler a timeout ends
    /// them instead.
    lost: Mutex<Vec<ServerProcess>>,
    /// Each thread has a reference, so that threads can be counted.
    alive: Arc<()>,
    exhaustion_logged_at: Mutex<Option<Instant>>,
    metrics: DatabaseMetrics,
}

impl ConnectionPool {
    /// A pool of up to `connections_max`, opened on demand.
    pub(super) fn new(
        target: Arc<DatabaseTarget>,
        connections_max: usize,
        metrics: DatabaseMetrics,
    ) -> Arc<Self> {
        metrics.pool_size.set(i64::try_from(connections_max).unwrap_or(i64::MAX));
        Arc::new(Self {
            timeouts: target.timeouts,
            target,
            connections_max,
            permits: Arc::new(Semaphore::new(connections_max)),
            idle: Mutex::default(),
            lost: Mutex::default(),
            alive: Arc::default(),
            exhaustion_logged_at: Mutex::default(),
            metrics,
        })
    }

    /// Runs `work` with a connection on a thread that may block.
    ///
    /// # Errors
    /// [`AppError::Busy`] if no connection is free in time, or if a statement gets no answer. It may still take effect.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut PgConnection) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let permit = self.acquire_permit().await?;
        let pool = Arc::clone(self);
        // In a task of its own, so that the time limit holds even if the caller is dropped.
        let running = tokio::spawn(
            async move {
                let _permit = permit;
                let _in_use = InProgress::new(&pool.metrics.pool_in_use);
                pool.use_connection(work).await
            }
            .in_current_span(),
        );
        running.await.map_err(AppError::broken)?
    }

    async fn acquire_permit(&self) -> Result<OwnedSemaphorePermit, AppError> {
        let _waiting = InProgress::new(&self.metrics.pool_waiting);
        match timeout(self.timeouts.wait, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(permit) => permit.map_err(AppError::broken),
            Err(_elapsed) => {
                self.metrics.pool_timeouts.inc();
                self.log_exhaustion();
                Err(AppError::Busy)
            }
        }
    }

    fn log_exhaustion(&self) {
        let mut logged_at = lock(&self.exhaustion_logged_at);
        if logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            *logged_at = Some(Instant::now());
            let connections = self.connections_max;
            tracing::warn!(connections, "All connections to PostgreSQL are in use; requests get 503");
        }
    }

    async fn use_connection<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut PgConnection) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let thread = self.check_out().await?;
        match thread.call(self.timeouts.answer(), work).await {
            Ok(value) => {
                self.put_back(thread);
                Ok(value)
            }
            Err(CallError::Silent) => {
                self.abandon(thread, self.timeouts.answer());
                Err(AppError::Busy)
            }
            Err(CallError::Ended) => {
                Err(AppError::broken("a query panicked; its message is on standard error"))
            }
        }
    }

    /// A connection that answers: an idle one, or a new one.
    async fn check_out(self: &Arc<Self>) -> Result<ConnectionThread, AppError> {
        while let Some(thread) = self.pop_idle() {
            match thread.call(self.timeouts.ping(), ping).await {
                Ok(Ok(())) => return Ok(thread),
                Err(CallError::Silent) => self.abandon(thread, self.timeouts.ping()),
                // Closed by the server while it was idle.
                Ok(Err(_)) | Err(CallError::Ended) => {}
            }
        }
        self.open().await
    }

    fn pop_idle(&self) -> Option<ConnectionThread> {
        lock(&self.idle).pop()
    }

    fn put_back(&self, mut thread: ConnectionThread) {
        thread.last_use = Instant::now();
        let mut idle = lock(&self.idle);
        let expired = idle.iter().take_while(|it| it.last_use.elapsed() > IDLE_MAX).count();
        idle.drain(..expired);
        if thread.opened_at.elapsed() < LIFETIME_MAX {
            idle.push(thread);
        }
    }

    /// Stops using a connection that does not answer, and all idle ones: the same may have happened to them.
    fn abandon(&self, silent: ConnectionThread, limit: Duration) {
        let mut abandoned = lock(&self.idle).split_off(0);
        let idle = abandoned.len();
        abandoned.push(silent);
        self.metrics.pool_broken.inc_by(u64::try_from(abandoned.len()).unwrap_or(u64::MAX));
        lock(&self.lost).extend(abandoned.iter().filter_map(|thread| thread.process));
        let seconds = limit.as_secs();
        tracing::warn!(
            seconds,
            idle,
            "A connection to PostgreSQL does not answer; it and the idle ones are given up"
        );
    }

    /// Opens a connection. During an outage it waits for its turn to try.
    async fn open(self: &Arc<Self>) -> Result<ConnectionThread, AppError> {
        let deadline = Instant::now() + self.timeouts.wait;
        loop {
            // Bound to a name, so that the lock is free before anything is awaited.
            let began_at = Instant::now();
            let attempt = lock(&self.target.reachability).begin_attempt(began_at);
            if let Err(next_attempt) = attempt {
                sleep_until(next_attempt.min(deadline).into()).await;
            } else {
                match self.open_by(deadline).await {
                    Ok(thread) => {
                        lock(&self.target.reachability).record_success(began_at, Instant::now());
                        return Ok(thread);
                    }
                    Err(cause) => {
                        self.metrics.connect_failures.inc();
                        lock(&self.target.reachability).record_failure(began_at, Instant::now(), &cause);
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(AppError::Busy);
            }
        }
    }

    /// # Errors
    /// The cause, for the log.
    async fn open_by(self: &Arc<Self>, deadline: Instant) -> Result<ConnectionThread, String> {
        // One reference is ours.
        if Arc::strong_count(&self.alive) > self.connections_max + ABANDONED_MAX {
            return Err(format!("{ABANDONED_MAX} connections went silent and have not ended; restart Uptok"));
        }
        let (opened, is_open) = oneshot::channel();
        self.spawn_thread(opened).map_err(|error| error.to_string())?;
        match timeout_at(deadline.into(), is_open).await {
            Ok(outcome) => outcome.unwrap_or_else(|_panicked| Err("a thread panicked".to_owned())),
            Err(_elapsed) => Err("it took too long to open".to_owned()),
        }
    }

    fn spawn_thread(
        self: &Arc<Self>,
        opened: oneshot::Sender<Result<ConnectionThread, String>>,
    ) -> io::Result<()> {
        let (pool, alive) = (Arc::downgrade(self), Arc::clone(&self.alive));
        let target = Arc::clone(&self.target);
        let body = move || {
            match target.open() {
                Ok(OpenedConnection { mut connection, clock, process }) => {
                    terminate_lost(&pool, &mut connection);
                    let (thread, jobs) = ConnectionThread::new(clock, process);
                    hand_over(thread, opened, &pool);
                    run_jobs(connection, &jobs);
                }
                Err(error) => drop(opened.send(Err(error.to_string()))),
            }
            // Counted until here.
            drop(alive);
        };
        thread::Builder::new().name("postgres".to_owned()).spawn(body).map(drop)
    }

    /// Adds a connection that opened too late for its request.
    fn add_late(&self, thread: ConnectionThread) {
        let now = Instant::now();
        lock(&self.target.reachability).record_success(now, now);
        let mut idle = lock(&self.idle);
        // Each permit that is in use has a connection, or is opening one.
        if idle.len() < self.permits.available_permits() {
            idle.push(thread);
        }
    }
}

/// Ends what PostgreSQL still does for connections that were given up.
fn terminate_lost(pool: &Weak<ConnectionPool>, connection: &mut PgConnection) {
    let Some(pool) = pool.upgrade() else { return };
    let lost = mem::take(&mut *lock(&pool.lost));
    for process in lost {
        if let Err(cause) = process.terminate(connection) {
            tracing::warn!(%cause, "PostgreSQL did not terminate a connection that was given up");
        }
    }
}

/// Passes a new connection to the request that it was opened for, or else to the pool.
fn hand_over(
    thread: ConnectionThread,
    opened: oneshot::Sender<Result<ConnectionThread, String>>,
    pool: &Weak<ConnectionPool>,
) {
    if let Err(Ok(thread)) = opened.send(Ok(thread))
        && let Some(pool) = pool.upgrade()
    {
        pool.add_late(thread);
    }
}

/// Runs jobs until the pool drops the connection, or the connection fails.
fn run_jobs(mut connection: PgConnection, jobs: &mpsc::Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(&mut connection);
        if AnsiTransactionManager::is_broken_transaction_manager(&mut connection) {
            return;
        }
    }
}

fn ping(connection: &mut PgConnection) -> QueryResult<()> {
    connection.batch_execute("select 1")
}

type Job = Box<dyn FnOnce(&mut PgConnection) + Send>;

/// A connection on its own thread. Dropping it ends both after the current job.
struct ConnectionThread {
    jobs: mpsc::Sender<Job>,
    clock: Arc<StatementClock>,
    process: Option<ServerProcess>,
    opened_at: Instant,
    last_use: Instant,
}

/// Why a call has no result.
enum CallError {
    /// A statement got no answer in time, and may still run.
    Silent,
    /// The connection was closed before, or the job panicked.
    Ended,
}

impl ConnectionThread {
    fn new(clock: Arc<StatementClock>, process: Option<ServerProcess>) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, received_jobs) = mpsc::channel();
        let now = Instant::now();
        (Self { jobs, clock, process, opened_at: now, last_use: now }, received_jobs)
    }

    /// Runs `job` on the thread. It may take any time, as long as each statement is answered within `limit`.
    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce(&mut PgConnection) -> T + Send + 'static,
    ) -> Result<T, CallError> {
        let (reply, mut answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller no longer waits if the limit was exceeded.
            let _unwanted = reply.send(job(connection));
        });
        self.jobs.send(job).map_err(|_ended| CallError::Ended)?;
        let mut patience = limit;
        loop {
            if let Ok(answer) = timeout(patience, &mut answer).await {
                return answer.map_err(|_ended| CallError::Ended);
            }
            patience = limit.saturating_sub(self.clock.elapsed());
            if patience.is_zero() {
                return Err(CallError::Silent);
            }
        }
    }
}

/// Ignores poisoning: nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
