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

use super::{statements::load_statements, versions};

/// How long a statement waits for a lock. Requests queue behind it, and exports give up after 2 s. PostgreSQL cancels
/// an autovacuum that is in the way after 1 s.
const SET_LOCK_TIMEOUT: &str = "set local lock_timeout = '1500ms'";
/// An attempt that failed sooner did not fail because of a lock: the `lock_timeout` is longer, and so is, by default,
/// `deadlock_timeout`.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Pause between two attempts. Requests that queued behind the first get through.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// No attempt begins later than this after the first.
const RETRY_LIMIT: Duration = Duration::from_secs(300);

/// Runs a migration and records it.
pub(super) fn run_migration(
    connection: &mut PgConnection,
    migration: &dyn Migration<Pg>,
) -> anyhow::Result<()> {
    let statements = load_statements(migration)?;
    let version = [migration.name().version().to_string()];
    let run = |connection: &mut PgConnection| -> anyhow::Result<()> {
        if !migration.metadata().run_in_transaction() {
            for statement in &statements {
                run_concurrently(connection, statement)?;
            }
            return Ok(versions::record_applied(connection, &version)?);
        }
        run_in_transaction(connection, |connection| {
            execute_each(connection, &statements)?;
            versions::record_applied(connection, &version)
        })
    };
    run(connection).with_context(|| format!("migration {} failed", migration.name()))
}

/// Runs statements in a transaction, or a single one that contains `concurrently` outside.
pub(super) fn run_statements(connection: &mut PgConnection, statements: &[&str]) -> anyhow::Result<()> {
    match statements {
        [statement] if statement.contains(" index concurrently ") => run_concurrently(connection, statement),
        _ => run_in_transaction(connection, |connection| execute_each(connection, statements)),
    }
}

fn execute_each(connection: &mut PgConnection, statements: &[impl AsRef<str>]) -> QueryResult<()> {
    statements.iter().try_for_each(|statement| connection.batch_execute(statement.as_ref()))
}

/// Runs `work` in a transaction; again if it did not get a lock in time.
pub(super) fn run_in_transaction(
    connection: &mut PgConnection,
    work: impl Fn(&mut PgConnection) -> QueryResult<()>,
) -> anyhow::Result<()> {
    retry(|| {
        connection.transaction(|connection| {
            connection.batch_execute(SET_LOCK_TIMEOUT)?;
            work(connection)
        })
    })
}

/// Builds or drops an index concurrently. Its locks conflict with neither reads nor writes, so it may wait for them
/// without a limit.
fn run_concurrently(connection: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    retry(|| {
        drop_invalid_index(connection, statement)?;
        connection.batch_execute(statement)
    })
}

/// Drops what an interrupted build of the same index left behind: an index that every write updates but no query uses,
/// and that `if not exists` takes for a complete one.
fn drop_invalid_index(connection: &mut PgConnection, statement: &str) -> QueryResult<()> {
    let Some(index) = find_built_index(statement) else { return Ok(()) };
    let is_invalid = "select from pg_index where indexrelid = to_regclass($1) and not indisvalid";
    if sql_query(is_invalid).bind::<Text, _>(index).execute(connection)? == 0 {
        return Ok(());
    }
    connection.batch_execute(&format!("drop index concurrently if exists {index}"))
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
