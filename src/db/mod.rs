//! Access to PostgreSQL: [`Db::run`] for requests, [`Db::pipeline`] for the most frequent ones, [`Db::migrate`] at start.

mod connect_error;
mod connection;
mod constraint_violation;
pub mod distribution;
pub mod migrations;
pub mod pipeline;
mod pipeline_config;
mod pool;
mod pooler;
mod reachability;
mod role_settings;
mod server_process;
pub(crate) mod sql;
mod statement_clock;
pub(crate) mod temporary;

use std::sync::Arc;

use diesel::{PgConnection, pg::Pg};

use crate::{error::AppError, metrics::DatabaseMetrics};
pub use connect_error::ConnectError;
use connection::DatabaseTarget;
pub use connection::DatabaseTimeouts;
pub(crate) use constraint_violation::is_row_violation;
pub use constraint_violation::violates;
pub(crate) use distribution::DataPlacement;
use pipeline::Pipeline;
use pool::ConnectionPool;

/// The connections of this process to one database.
#[derive(Clone)]
pub struct Db {
    pool: Arc<ConnectionPool>,
    target: Arc<DatabaseTarget>,
    /// `Err` holds the reason why nothing is pipelined.
    pipeline_config: Result<Arc<tokio_postgres::Config>, &'static str>,
    metrics: DatabaseMetrics,
}

impl Db {
    /// Up to `connections` (1–100) in a pool, opened on demand. An unreachable database fails on first use.
    ///
    /// # Errors
    /// If the number of connections is too large for this machine.
    pub fn new(url: &str, connections: u32, timeouts: DatabaseTimeouts) -> anyhow::Result<Self> {
        let target = Arc::new(DatabaseTarget::new(url, timeouts));
        let metrics = DatabaseMetrics::default();
        let pool = ConnectionPool::new(Arc::clone(&target), usize::try_from(connections)?, metrics.clone());
        let pipeline_config = pipeline_config::parse_config(url).map(Arc::new);
        Ok(Self { pool, target, pipeline_config, metrics })
    }

    /// A pool of its own of up to `connections` to the same database. Both report an outage of it once.
    ///
    /// # Errors
    /// If the number of connections is too large for this machine.
    pub(crate) fn with_pool_of(&self, connections: u32) -> anyhow::Result<Self> {
        let metrics = DatabaseMetrics::default();
        let connections = usize::try_from(connections)?;
        let pool = ConnectionPool::new(Arc::clone(&self.target), connections, metrics.clone());
        Ok(Self { pool, metrics, ..self.clone() })
    }

    /// A pipeline for one worker, which must stay on its thread.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        let config = self.pipeline_config.as_ref().ok().cloned();
        Pipeline::new(config, Arc::clone(&self.target), self.metrics.clone())
    }

    /// Where the rows of clients are, as of the last connection that was opened.
    pub(crate) fn data_placement(&self) -> DataPlacement {
        self.target.data_placement()
    }

    pub(crate) fn metrics(&self) -> &DatabaseMetrics {
        &self.metrics
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
        self.target.open_for_command()
    }

    /// Runs missing migrations, on any number of nodes at once, and distributes their tables if others are distributed.
    /// Returns how many it recorded.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached, a pooler in between loses prepared statements, the database is too old, or a
    /// migration fails.
    pub fn migrate(url: &str) -> anyhow::Result<usize> {
        check_pooler(url)?;
        let recorded = migrations::run_missing(url, &migrations::MIGRATIONS)?;
        distribution::distribute_new_tables(url)?;
        Ok(recorded)
    }

    /// Stores the timeouts as settings of the role if a pooler is in between. Does nothing otherwise.
    ///
    /// # Errors
    /// As [`Self::migrate`].
    pub fn store_timeouts(url: &str, timeouts: DatabaseTimeouts) -> anyhow::Result<()> {
        if check_pooler(url)? {
            role_settings::store_timeouts(&mut connection::connect(url)?, timeouts)?;
        }
        Ok(())
    }

    /// Whether the database has every migration of this binary.
    ///
    /// # Errors
    /// [`AppError::Busy`] if it cannot be reached.
    pub async fn is_ready(&self) -> Result<bool, AppError> {
        self.run(|connection| migrations::is_current(connection).map_err(AppError::broken)).await
    }
}

/// Returns whether a pooler is in between.
fn check_pooler(url: &str) -> Result<bool, ConnectError> {
    let url = connection::with_network_timeouts(url);
    let is_pooled = pooler::is_in_between(&url)?;
    if is_pooled {
        pooler::require_prepared_statements(&url)?;
    }
    Ok(is_pooled)
}

/// The Diesel backend of every query.
pub type Backend = Pg;
