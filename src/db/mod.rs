//! Access to PostgreSQL: [`Db::run`] for requests, [`Db::pipeline`] for the most frequent ones, [`Db::migrate`] at start.

mod connect_error;
mod connection;
pub mod migrations;
pub mod pipeline;
mod pool;
mod reachability;
mod server_process;
pub(crate) mod sql;
mod statement_clock;
pub(crate) mod temporary;

use std::sync::Arc;

use diesel::{PgConnection, pg::Pg, prelude::*};

use crate::error::AppError;
pub use connect_error::ConnectError;
pub use connection::DatabaseTimeouts;
use pipeline::Pipeline;
use pool::ConnectionPool;

/// The connections of this process to one database.
#[derive(Clone)]
pub struct Db {
    pool: Arc<ConnectionPool>,
    url: Arc<str>,
    timeouts: DatabaseTimeouts,
    /// `Err` holds the reason why nothing is pipelined.
    pipeline_config: Result<Arc<tokio_postgres::Config>, &'static str>,
}

impl Db {
    /// Up to `connections` (1–100) in a pool, opened on demand. An unreachable database fails on first use.
    ///
    /// # Errors
    /// If the number of connections is too large for this machine.
    pub fn new(url: &str, connections: u32, timeouts: DatabaseTimeouts) -> anyhow::Result<Self> {
        let pool = ConnectionPool::new(url, usize::try_from(connections)?, timeouts);
        let pipeline_config = pipeline::parse_config(url).map(Arc::new);
        Ok(Self { pool, url: url.into(), timeouts, pipeline_config })
    }

    /// A pipeline for one worker, which must stay on its thread.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.pipeline_config.as_ref().ok().cloned(), self.timeouts.wait)
    }

    /// Why queries never go through a pipeline; `None` if they do.
    #[must_use]
    pub fn no_pipeline(&self) -> Option<&'static str> {
        self.pipeline_config.as_ref().err().copied()
    }

    /// Runs `work` with a connection on a thread that may block.
    ///
    /// # Errors
    /// [`AppError::Busy`] if no connection is free in time, or if a statement of `work` gets no answer; it may then still
    /// take effect. Otherwise the error of `work`.
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, AppError>
    where
        T: Send + 'static,
        E: Into<AppError> + Send + 'static,
    {
        let span = tracing::Span::current();
        self.pool.run(move |connection| span.in_scope(|| work(connection).map_err(Into::into))).await?
    }

    /// A connection for the command line, which may block. If it goes silent, the process ends with status 1.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached.
    pub fn connect(&self) -> anyhow::Result<Box<PgConnection>> {
        connection::open_for_command(&self.url, self.timeouts)
    }

    /// Runs missing migrations, on any number of nodes at once. Returns how many it recorded.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached, the database is too old, or a migration fails.
    pub fn migrate(url: &str) -> anyhow::Result<usize> {
        let connection = PgConnection::establish(&connection::with_network_timeouts(url));
        let mut connection = connection.map_err(|error| ConnectError::from_message(&error.to_string()))?;
        migrations::run_missing(&mut connection, &migrations::MIGRATIONS)
    }

    /// Whether the database has every migration of this binary.
    ///
    /// # Errors
    /// [`AppError::Busy`] if it cannot be reached.
    pub async fn is_ready(&self) -> Result<bool, AppError> {
        self.run(|connection| migrations::is_current(connection).map_err(AppError::broken)).await
    }
}

/// Whether `error` is the violation of the unique constraint or index `name`.
#[must_use]
pub fn violates(error: &diesel::result::Error, name: &str) -> bool {
    use diesel::result::{DatabaseErrorKind::UniqueViolation, Error::DatabaseError};
    matches!(error, DatabaseError(UniqueViolation, info) if info.constraint_name() == Some(name))
}

/// The Diesel backend of every query.
pub type Backend = Pg;
