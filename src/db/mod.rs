//! Access to PostgreSQL: [`Db::run`] for requests, [`Db::pipeline`] for the most frequent ones, [`Db::migrate`] at start.

mod connect_error;
pub mod migrations;
pub mod pipeline;
pub(crate) mod sql;
pub(crate) mod temporary;

use std::{sync::Arc, time::Duration};

use diesel::{
    PgConnection,
    connection::SimpleConnection as _,
    pg::Pg,
    prelude::*,
    r2d2::{ConnectionManager, CustomizeConnection, Pool},
};
use tokio::sync::Semaphore;

use crate::error::AppError;
pub use connect_error::ConnectError;
use pipeline::Pipeline;

/// A connection pool with one permit per connection.
#[derive(Clone)]
pub struct Db {
    pool: Pool<ConnectionManager<PgConnection>>,
    permits: Arc<Semaphore>,
    wait: Duration,
    /// `Err` holds the reason why nothing is pipelined.
    pipeline_config: Result<Arc<tokio_postgres::Config>, &'static str>,
}

impl Db {
    /// A pool of up to `connections` (1–100), opened on demand. A request waits at most `wait` for one.
    ///
    /// # Errors
    /// If the pool cannot be built. An unreachable database fails on first use instead.
    pub fn new(url: &str, connections: u32, wait: Duration) -> anyhow::Result<Self> {
        let pool = Pool::builder()
            .max_size(connections)
            .min_idle(Some(0))
            .connection_timeout(wait)
            // Without this test the pool keeps handing out connections that died while idle.
            .test_on_check_out(true)
            .connection_customizer(Box::new(ConnectionCustomizer))
            .build(ConnectionManager::new(url))?;
        let permits = Arc::new(Semaphore::new(usize::try_from(connections)?));
        Ok(Self { pool, permits, wait, pipeline_config: pipeline::parse_config(url).map(Arc::new) })
    }

    /// A pipeline for one worker, which must stay on its thread.
    #[must_use]
    pub fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.pipeline_config.as_ref().ok().cloned(), self.wait)
    }

    /// Why queries never go through a pipeline; `None` if they do.
    #[must_use]
    pub fn no_pipeline(&self) -> Option<&'static str> {
        self.pipeline_config.as_ref().err().copied()
    }

    /// Runs `work` with a connection on a blocking thread.
    ///
    /// # Errors
    /// [`AppError::Busy`] if no connection is free in time; else the error of `work`.
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, AppError>
    where
        T: Send + 'static,
        E: Into<AppError> + Send + 'static,
    {
        // One permit per connection, so that a waiting request does not occupy a blocking thread.
        let permit = tokio::time::timeout(self.wait, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_elapsed| AppError::Busy)?
            .map_err(AppError::broken)?;
        let pool = self.pool.clone();
        let span = tracing::Span::current();
        let answer = tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let _permit = permit;
            let mut connection = pool.get().map_err(|error| {
                let error = ConnectError::from_message(&error.to_string());
                tracing::error!(%error, "No connection to PostgreSQL");
                AppError::Busy
            })?;
            work(&mut connection).map_err(Into::into)
        });
        answer.await.map_err(AppError::broken)?
    }

    /// A connection for the command line, which may block.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached.
    pub fn connect(&self) -> anyhow::Result<diesel::r2d2::PooledConnection<ConnectionManager<PgConnection>>> {
        Ok(self.pool.get().map_err(|error| ConnectError::from_message(&error.to_string()))?)
    }

    /// Runs missing migrations, on any number of nodes at once. Returns how many it recorded.
    ///
    /// # Errors
    /// If PostgreSQL cannot be reached, the database is too old, or a migration fails.
    pub fn migrate(url: &str) -> anyhow::Result<usize> {
        let connection = PgConnection::establish(url);
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

/// Settings of every pooled connection.
#[derive(Debug)]
struct ConnectionCustomizer;

impl CustomizeConnection<PgConnection, diesel::r2d2::Error> for ConnectionCustomizer {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), diesel::r2d2::Error> {
        connection
            .batch_execute(
                "set statement_timeout = '10s'; set lock_timeout = '5s'; \
                 set idle_in_transaction_session_timeout = '10s'; set application_name = 'uptok'; \
                 set time zone 'UTC'",
            )
            .map_err(diesel::r2d2::Error::QueryError)
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
