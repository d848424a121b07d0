//! The other way to PostgreSQL, for what is asked most often: one connection for each worker, on which the statements of
//! many requests follow each other without waiting for answers, and rows are read as PostgreSQL sends them.
//!
//! It is faster, never needed: whoever does not get an answer here asks through [`Db::run`](crate::db::Db::run). So a
//! request waits neither for a connection to be made nor for one that died. Only bounded reads belong here: a statement
//! delays all behind it.

use std::{
    cell::RefCell,
    net::IpAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    task::spawn_local,
    time::{timeout, timeout_at},
};
use tokio_postgres::{
    Client, Config, Error, NoTls, Statement,
    config::{Host, SslMode, TargetSessionAttrs},
    error::SqlState,
    types::{FromSql, ToSql, Type},
};

use url::Url;

use crate::error::AppError;

/// So many rows may be asked for at once in one worker, in all: what bounds its memory.
const ROWS_AT_ONCE: usize = 16_000;
/// So many bytes are read at once.
const READ_AT_ONCE: usize = 64 * 1024;
/// After the first failure no connection is tried for so long, then twice as long each time …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// A parameter of a statement.
pub type Parameter<'a> = &'a (dyn ToSql + Sync);

/// A statement that only reads, and what it needs to know.
pub struct PipelineQuery<'a> {
    /// The statement, prepared once for each connection.
    pub sql: &'static str,
    /// `$1`, `$2` …
    pub parameters: &'a [Parameter<'a>],
    /// The most rows it can give, at least 1.
    pub rows_max: u32,
}

/// The connection of one worker. It is made when it is needed, and stays on the worker's thread.
pub struct Pipeline {
    config: Option<Arc<Config>>,
    wait: Duration,
    rows: Semaphore,
    link: Rc<RefCell<ConnectionState>>,
}

enum ConnectionState {
    /// None, and none is tried before `until`.
    Closed {
        until: Instant,
        next_pause: Duration,
    },
    Opening,
    Open(Rc<OpenConnection>),
}

impl Pipeline {
    /// A pipeline to the database of `config`; without one it never answers. An answer has `wait`.
    #[must_use]
    pub fn new(config: Option<Arc<Config>>, wait: Duration) -> Self {
        let link = ConnectionState::Closed { until: Instant::now(), next_pause: FIRST_PAUSE };
        Self { config, wait, rows: Semaphore::new(ROWS_AT_ONCE), link: Rc::new(RefCell::new(link)) }
    }

    /// Passes each row to `read_row` until that returns `None`.
    ///
    /// Returns `false` without a connection, or if not all rows could be read; the caller falls back to the pool.
    ///
    /// # Errors
    /// [`AppError::Busy`] if the rows take too long.
    pub async fn query(
        &self,
        query: &PipelineQuery<'_>,
        read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, AppError> {
        let Some(open) = self.open() else { return Ok(false) };
        let deadline = tokio::time::Instant::now() + self.wait;
        let permits = timeout_at(deadline, self.rows.acquire_many(query.rows_max));
        let _permits = permits.await.map_err(|_elapsed| AppError::Busy)?.map_err(AppError::broken)?;
        match timeout_at(deadline, open.query(query, read_row)).await {
            Ok(Ok(is_read)) => Ok(is_read),
            Ok(Err(error)) if took_too_long(&error) => Err(AppError::Busy),
            Ok(Err(error)) => {
                self.give_up(&open, &error.to_string());
                Ok(false)
            }
            Err(_elapsed) => {
                self.give_up(&open, "an answer did not come in time");
                Err(AppError::Busy)
            }
        }
    }

    /// The connection, if it is there; else it is made meanwhile, for those who come later.
    fn open(&self) -> Option<Rc<OpenConnection>> {
        let mut link = self.link.borrow_mut();
        let next_pause = match &*link {
            ConnectionState::Open(open) if !open.client.is_closed() => return Some(Rc::clone(open)),
            ConnectionState::Open(_) => FIRST_PAUSE,
            ConnectionState::Closed { until, next_pause } if *until <= Instant::now() => *next_pause,
            ConnectionState::Closed { .. } | ConnectionState::Opening => return None,
        };
        let config = Arc::clone(self.config.as_ref()?);
        *link = ConnectionState::Opening;
        let (wait, place) = (self.wait, Rc::clone(&self.link));
        spawn_local(async move {
            let opened = timeout(wait, OpenConnection::new(&config, wait)).await;
            let trouble = match opened {
                Ok(Ok(open)) => {
                    *place.borrow_mut() = ConnectionState::Open(Rc::new(open));
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "it took too long".to_owned(),
            };
            tracing::warn!(%trouble, "No pipelined connection to PostgreSQL; the pool answers");
            *place.borrow_mut() = ConnectionState::paused(next_pause);
        });
        None
    }

    /// Does not use this connection any more; what was asked on it before is still answered.
    fn give_up(&self, open: &Rc<OpenConnection>, trouble: &str) {
        let mut link = self.link.borrow_mut();
        if matches!(&*link, ConnectionState::Open(current) if Rc::ptr_eq(current, open)) {
            tracing::warn!(%trouble, "The pipelined connection to PostgreSQL is given up; the pool answers");
            *link = ConnectionState::paused(FIRST_PAUSE);
        }
    }
}

impl ConnectionState {
    fn paused(pause: Duration) -> Self {
        Self::Closed { until: Instant::now() + pause, next_pause: (pause * 2).min(LONGEST_PAUSE) }
    }
}

/// PostgreSQL gave up waiting for a lock, or for the statement.
fn took_too_long(error: &Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::QUERY_CANCELED) || code == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// A connection, and the statements that it knows.
struct OpenConnection {
    client: Client,
    prepared: RefCell<Vec<(&'static str, Statement)>>,
}

impl OpenConnection {
    async fn new(config: &Config, wait: Duration) -> anyhow::Result<Self> {
        let port = *config.get_ports().first().context("no port")?;
        match config.get_hosts() {
            #[cfg(unix)]
            [Host::Unix(directory)] => {
                let socket = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?;
                Self::over(socket, config, wait).await
            }
            [Host::Tcp(name)] => {
                let socket = TcpStream::connect((name.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                Self::over(socket, config, wait).await
            }
            _ => anyhow::bail!("not one host"),
        }
    }

    /// The library reads 8 KiB at a time; behind a larger buffer an answer takes fewer calls of the system.
    async fn over(
        socket: impl AsyncRead + AsyncWrite + Unpin + 'static,
        config: &Config,
        wait: Duration,
    ) -> anyhow::Result<Self> {
        let socket = BufReader::with_capacity(READ_AT_ONCE, socket);
        let (client, connection) = config.connect_raw(socket, NoTls).await?;
        // How it ends is told by those who ask.
        spawn_local(async move { drop(connection.await) });
        // Set here and not on connecting, so that a pooler in between need not know how. With a plan for each value
        // PostgreSQL would plan longer than it reads; only statements that are right for every value come this way.
        let milliseconds = wait.as_millis();
        client
            .batch_execute(&format!(
                "set statement_timeout = {milliseconds}; set lock_timeout = {milliseconds}; \
                 set plan_cache_mode = force_generic_plan; set default_transaction_read_only = on; \
                 set application_name = 'uptok pipeline'; set time zone 'UTC'"
            ))
            .await?;
        Ok(Self { client, prepared: RefCell::default() })
    }

    async fn query(
        &self,
        query: &PipelineQuery<'_>,
        mut read_row: impl FnMut(PipelineRow<'_>) -> Option<()>,
    ) -> Result<bool, Error> {
        let statement = self.prepared(query.sql).await?;
        let rows = self.client.query_raw(&statement, query.parameters.iter().copied()).await?;
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
        // Others may have prepared it meanwhile.
        if find().is_none() {
            self.prepared.borrow_mut().push((sql, statement.clone()));
        }
        Ok(statement)
    }
}

/// A row as PostgreSQL sent it, in its binary format.
#[derive(Clone, Copy)]
pub struct PipelineRow<'a>(&'a tokio_postgres::Row);

impl<'a> PipelineRow<'a> {
    /// The bytes of a column, counted from 0; null has none.
    #[must_use]
    pub fn bytes(self, column: usize) -> Option<&'a [u8]> {
        self.0.try_get::<_, Raw<'a>>(column).ok()?.0
    }
}

/// A value of any type, unread.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
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

/// The database of `url`, for a pipeline.
///
/// # Errors
/// The reason, when a pipeline might reach another database than libpq does, or reach it less safely: it speaks no TLS
/// and reads neither `PG…` variables nor libpq's files.
pub fn config_of(url: &str) -> Result<Config, &'static str> {
    let config: Config = url.parse().map_err(|_unknown| "DATABASE_URL asks for what libpq alone can do")?;
    let ([host], [_], Some(_), Some(_), []) = (
        config.get_hosts(),
        config.get_ports(),
        config.get_user(),
        config.get_dbname(),
        config.get_hostaddrs(),
    ) else {
        return Err(NOT_NAMED);
    };
    if !names_port(url) {
        return Err(NOT_NAMED);
    }
    if config.get_target_session_attrs() != TargetSessionAttrs::Any {
        return Err("DATABASE_URL asks what kind of server it is, which libpq alone does");
    }
    let is_here = match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    match config.get_ssl_mode() {
        SslMode::Disable => Ok(config),
        SslMode::Prefer if is_here => Ok(config),
        _ => Err("the connection to PostgreSQL may need TLS"),
    }
}

const NOT_NAMED: &str = "DATABASE_URL does not name one host, its port, the user and the database";

/// Whether the port is written there: a default may be another one for libpq.
fn names_port(url: &str) -> bool {
    // What is no URL to others, such as one without a host, has the port that it was read with.
    Url::parse(url)
        .map_or(true, |url| url.port().is_some() || url.query_pairs().any(|(name, _)| name == "port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_plain_and_fully_named_is_pipelined() {
        for url in [
            "postgres://uptok@/uptok?host=%2Ftmp%2Fx&port=5432",
            "postgres://uptok:secret@localhost:5432/uptok",
            "postgres://uptok:secret@[::1]:5432/uptok?connect_timeout=2",
            "postgres://uptok:secret@db.example.org:5432/uptok?sslmode=disable",
        ] {
            assert!(config_of(url).is_ok(), "{url}");
        }
        for url in [
            "postgres://uptok@db.example.org:5432/uptok",
            "postgres://uptok@localhost:5432/uptok?sslmode=require",
            "postgres://uptok@localhost:5432/uptok?sslmode=verify-full",
            "postgres://uptok@localhost:5432/uptok?sslrootcert=ca.pem",
            "postgres://uptok@localhost/uptok",
            "postgres://localhost:5432/uptok",
            "postgres://uptok@localhost:5432",
            "postgres://uptok@/uptok?port=5432",
            "postgres://uptok@a:5432,b:5432/uptok?sslmode=disable",
            "postgres://uptok@localhost:5432/uptok?hostaddr=10.0.0.1",
            "postgres:///?service=uptok",
            "postgres://uptok@localhost:5432/uptok?target_session_attrs=read-write",
        ] {
            assert!(config_of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let mut pause = FIRST_PAUSE;
        for _ in 0..10 {
            let ConnectionState::Closed { next_pause, .. } = ConnectionState::paused(pause) else {
                panic!("it is closed")
            };
            pause = next_pause;
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }
}
