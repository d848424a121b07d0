//! One connection per worker for the most frequent reads. Statements of many requests follow each other without waiting
//! for results, and rows keep PostgreSQL's binary format.
//!
//! The pipeline is an optimization: a query that it cannot answer goes through [`Db::run`](crate::db::Db::run). So no
//! request waits for a connection to open, or for one that died. Only bounded reads belong here, because a statement
//! delays all statements after it.

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::{TryStreamExt as _, future::join3};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    task::{JoinHandle, spawn_local},
    time::{timeout, timeout_at},
};
use tokio_postgres::{
    Client, Config, Error, NoTls, Statement,
    config::Host,
    error::SqlState,
    types::{FromSql, ToSql, Type},
};

use super::{
    connect_error::ConnectError,
    connection::{self, DatabaseTarget, KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL},
    distribution::DataPlacement,
};
use crate::{
    error::AppError,
    metrics::{DatabaseMetrics, InProgress},
};

/// Maximum number of rows that the queries of one worker may request at the same time. Bounds its memory.
const ROWS_AT_ONCE: usize = 16_000;
/// Size of the read buffer, in bytes.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Pause before reconnecting after the first failure. It doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Maximum pause before reconnecting.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// A parameter of a pipelined statement.
pub type SqlParameter<'a> = &'a (dyn ToSql + Sync);

/// A read-only statement with its parameters.
pub struct PipelinedStatement<'a> {
    /// Prepared once per connection.
    pub sql: &'static str,
    /// In the order `$1`, `$2`.
    pub parameters: &'a [SqlParameter<'a>],
    /// Maximum number of rows that it can return, at least 1.
    pub rows_max: u32,
}

/// The connection of one worker. It opens on first use and stays on the worker's thread.
pub struct Pipeline {
    config: Option<Arc<Config>>,
    target: Arc<DatabaseTarget>,
    /// Timeout of a query.
    wait: Duration,
    rows: Semaphore,
    state: Rc<RefCell<PipelineConnectionState>>,
    metrics: DatabaseMetrics,
}

enum PipelineConnectionState {
    /// No connection, and no attempt before `until`.
    Closed {
        until: Instant,
        next_pause: Duration,
    },
    Opening,
    Open(Rc<PipelineConnection>),
}

impl Pipeline {
    /// Without a `config` every query falls back to the pool.
    pub(super) fn new(
        config: Option<Arc<Config>>,
        target: Arc<DatabaseTarget>,
        metrics: DatabaseMetrics,
    ) -> Self {
        let state = PipelineConnectionState::Closed { until: Instant::now(), next_pause: FIRST_PAUSE };
        let (wait, rows) = (target.timeouts.wait, Semaphore::new(ROWS_AT_ONCE));
        Self { config, target, wait, rows, state: Rc::new(RefCell::new(state)), metrics }
    }

    /// Passes each row to `read_row` until that returns `None`.
    ///
    /// Returns `false` without a connection, or if not all rows could be read; the caller falls back to the pool.
    ///
    /// # Errors
    /// [`AppError::Busy`] if the rows take too long; [`AppError::Unavailable`] if PostgreSQL canceled the statement.
    pub async fn query(
        &self,
        query: &PipelinedStatement<'_>,
        read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, AppError> {
        let is_read = self.query_open(query, read_row).await?;
        if !is_read {
            self.metrics.pipeline_fallbacks.inc();
        }
        Ok(is_read)
    }

    async fn query_open(
        &self,
        query: &PipelinedStatement<'_>,
        read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, AppError> {
        let Some(open) = self.open() else { return Ok(false) };
        let deadline = tokio::time::Instant::now() + self.wait;
        let waiting = InProgress::new(&self.metrics.pipeline_waiting);
        let permits = timeout_at(deadline, self.rows.acquire_many(query.rows_max));
        let _permits = permits.await.map_err(|_elapsed| AppError::Busy)?.map_err(AppError::broken)?;
        drop(waiting);
        let _in_use = InProgress::new(&self.metrics.pipeline_in_use);
        match timeout_at(deadline, open.query(query, read_row)).await {
            Ok(Ok(is_read)) => Ok(is_read),
            Ok(Err(error)) if is_temporary(&error) => Err(AppError::Unavailable(error.into())),
            Ok(Err(error)) => {
                self.abandon(&open, &error.to_string());
                Ok(false)
            }
            Err(_elapsed) => {
                self.abandon(&open, "an answer did not come in time");
                Err(AppError::Busy)
            }
        }
    }

    /// The open connection. Returns `None` if there is none, and opens one in the background for later queries.
    fn open(&self) -> Option<Rc<PipelineConnection>> {
        let mut state = self.state.borrow_mut();
        let next_pause = match &*state {
            PipelineConnectionState::Open(open) if !open.client.is_closed() => return Some(Rc::clone(open)),
            PipelineConnectionState::Open(_) => FIRST_PAUSE,
            PipelineConnectionState::Closed { until, next_pause } if *until <= Instant::now() => *next_pause,
            PipelineConnectionState::Closed { .. } | PipelineConnectionState::Opening => return None,
        };
        let config = Arc::clone(self.config.as_ref()?);
        // The pool answers the first query, and finds out.
        let is_pooled = self.target.is_pooled()?;
        let placement = self.target.data_placement();
        *state = PipelineConnectionState::Opening;
        let (wait, shared_state) = (self.wait, Rc::clone(&self.state));
        let settings = PipelineSettings { wait, is_pooled, placement };
        let connections = self.metrics.pipeline_open.clone();
        spawn_local(async move {
            let opened = timeout(wait, PipelineConnection::new(&config, settings)).await;
            let trouble = match opened {
                Ok(Ok(mut open)) => {
                    open.counted = Some(InProgress::new(&connections));
                    if next_pause > FIRST_PAUSE {
                        tracing::info!("There is a pipelined connection to PostgreSQL again");
                    }
                    *shared_state.borrow_mut() = PipelineConnectionState::Open(Rc::new(open));
                    return;
                }
                Ok(Err(error)) => ConnectError::from_message(&format!("{error:#}")).to_string(),
                Err(_elapsed) => "it took too long".to_owned(),
            };
            // Logged once: the next attempts follow a longer pause.
            if next_pause == FIRST_PAUSE {
                tracing::warn!(%trouble, "No pipelined connection to PostgreSQL; the pool answers");
            }
            *shared_state.borrow_mut() = PipelineConnectionState::paused(next_pause);
        });
        None
    }

    /// Stops using this connection. It closes once the queries that are running on it have finished or timed out.
    fn abandon(&self, open: &Rc<PipelineConnection>, trouble: &str) {
        let mut state = self.state.borrow_mut();
        if matches!(&*state, PipelineConnectionState::Open(current) if Rc::ptr_eq(current, open)) {
            self.metrics.pipeline_broken.inc();
            tracing::warn!(%trouble, "The pipelined connection to PostgreSQL is given up; the pool answers");
            *state = PipelineConnectionState::paused(FIRST_PAUSE);
        }
    }
}

impl PipelineConnectionState {
    fn paused(pause: Duration) -> Self {
        Self::Closed { until: Instant::now() + pause, next_pause: (pause * 2).min(LONGEST_PAUSE) }
    }
}

/// Whether the statement or a lock timed out, or Citus could not reach the worker with the rows. The connection is fine.
fn is_temporary(error: &Error) -> bool {
    let temporary = [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE, SqlState::CONNECTION_FAILURE];
    error.code().is_some_and(|code| temporary.contains(code))
}

/// What a new connection depends on.
#[derive(Clone, Copy)]
struct PipelineSettings {
    wait: Duration,
    is_pooled: bool,
    placement: DataPlacement,
}

impl PipelineSettings {
    /// Sets what the session needs. By a statement, because a pooler that looks like PostgreSQL may refuse connection
    /// options.
    fn of_session(self) -> String {
        if self.is_pooled {
            // The name of the pool's connections: the pooler would send each change of name to PostgreSQL.
            return "set application_name = 'uptok'; set time zone 'UTC'".to_owned();
        }
        let (milliseconds, plan_cache_mode) = (self.wait.as_millis(), self.plan_cache_mode());
        format!(
            "set statement_timeout = {milliseconds}; set lock_timeout = {milliseconds}; \
             set plan_cache_mode = {plan_cache_mode}; set default_transaction_read_only = on; \
             set application_name = 'uptok pipeline'; set time zone 'UTC'"
        )
    }

    /// Begins a transaction with the settings of a query, where the session can have none.
    fn begin(self) -> String {
        let (milliseconds, plan_cache_mode) = (self.wait.as_millis(), self.plan_cache_mode());
        format!(
            "begin read only; set local statement_timeout = {milliseconds}; \
             set local plan_cache_mode = {plan_cache_mode}"
        )
    }

    /// With a custom plan per execution PostgreSQL would plan longer than it reads; every pipelined statement is fast with
    /// a generic plan. Citus has no generic plan of a distributed table: which worker it asks depends on the client.
    fn plan_cache_mode(self) -> &'static str {
        match self.placement {
            DataPlacement::OneServer => "force_generic_plan",
            DataPlacement::ByClient => "auto",
        }
    }
}

/// A connection with its prepared statements.
struct PipelineConnection {
    client: Client,
    prepared: RefCell<Vec<(&'static str, Statement)>>,
    /// Begins a transaction with the settings of a query. `None` if they are settings of the session.
    begin: Option<String>,
    /// Sends and receives for the client.
    driver: JoinHandle<()>,
    counted: Option<InProgress>,
}

impl Drop for PipelineConnection {
    /// Otherwise the driver would wait for the answers that a silent server owes, and keep the socket.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl PipelineConnection {
    async fn new(config: &Config, settings: PipelineSettings) -> anyhow::Result<Self> {
        let port = *config.get_ports().first().context("no port")?;
        match config.get_hosts() {
            #[cfg(unix)]
            [Host::Unix(directory)] => {
                let socket = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?;
                Self::from_socket(socket, config, settings).await
            }
            [Host::Tcp(name)] => {
                let socket = TcpStream::connect((name.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                set_network_timeouts(&socket)?;
                Self::from_socket(socket, config, settings).await
            }
            _ => anyhow::bail!("not one host"),
        }
    }

    /// tokio-postgres reads 8 KiB at a time. A larger buffer takes fewer system calls.
    async fn from_socket(
        socket: impl AsyncRead + AsyncWrite + Unpin + 'static,
        config: &Config,
        settings: PipelineSettings,
    ) -> anyhow::Result<Self> {
        let socket = BufReader::with_capacity(READ_BUFFER_BYTES, socket);
        let (client, connection) = config.connect_raw(socket, NoTls).await?;
        // The queries on it report how it ended.
        let driver = spawn_local(async move { drop(connection.await) });
        client.batch_execute(&settings.of_session()).await?;
        let begin = settings.is_pooled.then(|| settings.begin());
        Ok(Self { client, prepared: RefCell::default(), begin, driver, counted: None })
    }

    async fn query(
        &self,
        query: &PipelinedStatement<'_>,
        read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, Error> {
        let statement = self.prepared(query.sql).await?;
        let reading = self.read(&statement, query, read_row);
        let Some(begin) = &self.begin else { return reading.await };
        // Each sends its message when it is polled first, so the three follow each other in one round trip.
        let (started, is_read, committed) =
            join3(self.client.batch_execute(begin), reading, self.client.batch_execute("commit")).await;
        started.and(is_read).and_then(|is_read| committed.map(|()| is_read))
    }

    async fn read(
        &self,
        statement: &Statement,
        query: &PipelinedStatement<'_>,
        mut read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, Error> {
        let rows = self.client.query_raw(statement, query.parameters.iter().copied()).await?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            if read_row(PipelineRow(&row)).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        let find = || self.prepared.borrow().iter().find(|(known, _)| *known == sql).map(|it| it.1.clone());
        if let Some(statement) = find() {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        // A concurrent query may have prepared it meanwhile.
        if find().is_none() {
            self.prepared.borrow_mut().push((sql, statement.clone()));
        }
        Ok(statement)
    }
}

/// Sets what libpq sets from its URL, so that the kernel ends a connection whose server is gone.
fn set_network_timeouts(socket: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_COUNT);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(connection::TCP_USER_TIMEOUT))?;
    Ok(())
}

/// A row in PostgreSQL's binary format.
#[derive(Clone, Copy)]
pub struct PipelineRow<'a>(&'a tokio_postgres::Row);

impl<'a> PipelineRow<'a> {
    /// The bytes of a column, counted from 0. Returns `None` for null.
    #[must_use]
    pub fn bytes(self, column: usize) -> Option<&'a [u8]> {
        self.0.try_get::<_, RawColumn<'a>>(column).ok()?.0
    }
}

/// The undecoded bytes of a value of any type.
struct RawColumn<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for RawColumn<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let mut pause = FIRST_PAUSE;
        for _ in 0..10 {
            let PipelineConnectionState::Closed { next_pause, .. } = PipelineConnectionState::paused(pause)
            else {
                panic!("it is closed")
            };
            pause = next_pause;
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }
}
