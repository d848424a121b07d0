//! Runs migrations without stopping the nodes that use the database meanwhile.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use diesel::{
    connection::SimpleConnection as _,
    migration::Migration,
    pg::Pg,
    prelude::*,
    result::{DatabaseErrorKind, Error},
    sql_query,
    sql_types::Text,
};

use tokio_postgres::Config;

use super::{lock::MigrationLock, standalone_statement, statements::load_statements, versions};
use crate::db::{connection, pipeline_config::parse_config, pooler};

/// A migration may work for as long as it needs; it limits how long it waits for locks. Each is set, because role and
/// database may have other defaults.
const SESSION_SETTINGS: &str = "set statement_timeout = 0; set lock_timeout = 0; \
     set idle_in_transaction_session_timeout = 0";
/// The settings of a transaction, and how long its statements wait for a lock. Requests queue behind them, and exports
/// give up after 2 s. PostgreSQL cancels an autovacuum that is in the way after 1 s.
const TRANSACTION_SETTINGS: &str = "set local statement_timeout = 0; set local lock_timeout = '1500ms'; \
     set local idle_in_transaction_session_timeout = 0";
/// An attempt that failed sooner did not fail because of a lock: the `lock_timeout` is longer, and so is, by default,
/// `deadlock_timeout`.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Pause between two attempts. Requests that queued behind the first get through.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// No attempt begins later than this after the first.
const RETRY_LIMIT: Duration = Duration::from_secs(300);

/// The only process that migrates the database.
pub(super) struct MigrationRunner {
    pub(super) connection: PgConnection,
    /// Without one, or if only libpq can connect to it, `None`.
    pooler: Option<Config>,
    lock: MigrationLock,
}

impl MigrationRunner {
    /// Waits until no other process migrates the database.
    pub(super) fn new(url: &str, mut connection: PgConnection) -> anyhow::Result<Self> {
        let is_pooled = pooler::is_in_between(&connection::with_network_timeouts(url))?;
        connection.batch_execute("set application_name = 'uptok migrate'")?;
        if !is_pooled {
            connection.batch_execute(SESSION_SETTINGS)?;
        }
        let pooler = is_pooled.then(|| parse_config(url).ok()).flatten();
        Ok(Self { connection, pooler, lock: MigrationLock::acquire(url)? })
    }

    /// Runs a migration and records it.
    pub(super) fn run_migration(&mut self, migration: &dyn Migration<Pg>) -> anyhow::Result<()> {
        self.run_and_record(migration).with_context(|| format!("migration {} failed", migration.name()))
    }

    fn run_and_record(&mut self, migration: &dyn Migration<Pg>) -> anyhow::Result<()> {
        let statements = load_statements(migration)?;
        let version = [migration.name().version().to_string()];
        if !migration.metadata().run_in_transaction() {
            for statement in &statements {
                self.run_concurrently(statement)?;
            }
            return Ok(versions::record_applied(&mut self.connection, &version)?);
        }
        self.run_in_transaction(|connection| {
            execute_each(connection, &statements)?;
            versions::record_applied(connection, &version)
        })
    }

    /// Runs statements in a transaction, or a single one that contains `concurrently` outside.
    pub(super) fn run_statements(&mut self, statements: &[&str]) -> anyhow::Result<()> {
        match statements {
            [statement] if statement.contains(" index concurrently ") => self.run_concurrently(statement),
            _ => self.run_in_transaction(|connection| execute_each(connection, statements)),
        }
    }

    /// Runs `work` in a transaction; again if it did not get a lock in time.
    pub(super) fn run_in_transaction(
        &mut self,
        work: impl Fn(&mut PgConnection) -> QueryResult<()>,
    ) -> anyhow::Result<()> {
        self.lock.require()?;
        retry(|| {
            self.connection.transaction(|connection| {
                connection.batch_execute(TRANSACTION_SETTINGS)?;
                work(connection)
            })
        })
    }

    /// Runs a query that may take as long as it needs.
    pub(super) fn read<T>(
        &mut self,
        query: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.connection.transaction(|connection| {
            connection.batch_execute("set local statement_timeout = 0; set local lock_timeout = 0")?;
            query(connection)
        })
    }

    /// Builds or drops an index concurrently. Its locks conflict with neither reads nor writes, so it may wait for them
    /// without a limit.
    fn run_concurrently(&mut self, statement: &str) -> anyhow::Result<()> {
        self.lock.require()?;
        let Self { connection, pooler, .. } = self;
        retry(|| {
            if let Some(index) = find_invalid_index(connection, statement)? {
                let drop = format!("drop index concurrently if exists {index}");
                standalone_statement::execute(connection, pooler.as_ref(), &drop)?;
            }
            standalone_statement::execute(connection, pooler.as_ref(), statement)
        })
    }
}

fn execute_each(connection: &mut PgConnection, statements: &[impl AsRef<str>]) -> QueryResult<()> {
    statements.iter().try_for_each(|statement| connection.batch_execute(statement.as_ref()))
}

/// Finds what an interrupted build of the same index left behind: an index that every write updates but no query uses,
/// and that `if not exists` takes for a complete one.
fn find_invalid_index<'a>(connection: &mut PgConnection, statement: &'a str) -> QueryResult<Option<&'a str>> {
    let Some(index) = find_built_index(statement) else { return Ok(None) };
    let is_invalid = "select from pg_index where indexrelid = to_regclass($1) and not indisvalid";
    let count = sql_query(is_invalid).bind::<Text, _>(index).execute(connection)?;
    Ok((count > 0).then_some(index))
}

/// Name of the index that the statement builds.
fn find_built_index(statement: &str) -> Option<&str> {
    let (_, rest) = statement.split_once("index concurrently if not exists ")?;
    rest.split_whitespace().next()
}

fn retry(mut attempt: impl FnMut() -> QueryResult<()>) -> anyhow::Result<()> {
    let first = Instant::now();
    loop {
        let start = Instant::now();
        let Err(error) = attempt() else { return Ok(()) };
        if !may_be_lock_conflict(&error, start.elapsed()) {
            return Err(error.into());
        }
        if first.elapsed() > RETRY_LIMIT {
            return Err(error).context(
                "another transaction, such as a backup, holds a lock; run `uptok migrate` when it has ended",
            );
        }
        tracing::warn!(%error, "A migration did not get a lock and tries again");
        thread::sleep(RETRY_PAUSE);
    }
}

/// Whether `error` may be a lock timeout or a deadlock. Diesel does not pass on their SQLSTATE, and messages are in the
/// language of the server, so the time decides; at worst a slow statement fails again.
fn may_be_lock_conflict(error: &Error, waited: Duration) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, _)) && waited >= SHORTEST_WAIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_is_found_in_the_statement_that_builds_it() {
        for (statement, index) in [
            ("create index concurrently if not exists a on b (c)", Some("a")),
            ("create unique index concurrently if not exists a\n on b (c)", Some("a")),
            ("drop index concurrently if exists a", None),
            ("create index a on b (c)", None),
        ] {
            assert_eq!(find_built_index(statement), index, "{statement}");
        }
    }
}
