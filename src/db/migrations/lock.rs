//! The lock that one process at a time has, so that no two run the same migration.

use std::{thread, time::Duration};

use anyhow::Context as _;
use diesel::{connection::SimpleConnection as _, prelude::*, sql_types::BigInt};

use crate::db::connection;

/// Any number that nothing else uses, except the 0x7570746f6b of versions before the first release: their nodes wait for
/// it in a statement, and `create index concurrently` waits for such statements.
const MIGRATION_LOCK: i64 = 0x7570_746f_6b32;
/// Pause between two attempts to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// In this isolation level a transaction has no snapshot between its statements, for which `create index concurrently`
/// would wait. It may be idle for as long as the migrations take.
const BEGIN: &str = "begin isolation level read committed; set local idle_in_transaction_session_timeout = 0";

/// An open transaction, on a connection of its own, that holds the lock. PostgreSQL ends it with the connection, and so
/// does a pooler, which would keep a lock of the session.
pub(in crate::db) struct MigrationLock(PgConnection);

impl MigrationLock {
    /// Waits until no other process has the lock.
    ///
    /// It polls: a statement that waits for the lock would hold a snapshot, and `create index concurrently` in the process
    /// that has the lock would wait for it, which is a deadlock.
    pub(in crate::db) fn acquire(url: &str) -> anyhow::Result<Self> {
        let mut connection = connection::connect(url)?;
        let mut is_waiting = false;
        loop {
            connection.batch_execute(BEGIN)?;
            if diesel::select(pg_try_advisory_xact_lock(MIGRATION_LOCK))
                .get_result::<bool>(&mut connection)?
            {
                return Ok(Self(connection));
            }
            connection.batch_execute("rollback")?;
            if !is_waiting {
                tracing::info!("Waiting for another process that migrates the database");
                is_waiting = true;
            }
            thread::sleep(LOCK_PAUSE);
        }
    }

    /// # Errors
    /// If the lock was lost with its connection. Then another process may have begun to migrate.
    pub(in crate::db) fn require(&mut self) -> anyhow::Result<()> {
        self.0
            .batch_execute("select 1")
            .context("the connection that holds the lock of migrations was closed; run `uptok migrate` again")
    }
}

define_sql_function! {
    /// Gets the lock, which is held until the transaction ends, or returns `false`.
    fn pg_try_advisory_xact_lock(key: BigInt) -> Bool
}
