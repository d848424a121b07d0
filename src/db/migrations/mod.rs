//! Brings a database to the schema of this binary while other nodes use it. `migrations/README.md` has the rules that
//! every migration follows.

mod adoption;
mod recount;
mod runner;
mod statements;
mod versions;

use std::{thread, time::Duration};

use diesel::{
    connection::SimpleConnection as _,
    migration::{Migration, MigrationConnection as _, MigrationSource},
    pg::Pg,
    prelude::*,
    sql_types::BigInt,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

pub use statements::split_statements;

/// The migrations, embedded in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The advisory lock of migrations. Any number that nothing else uses, except the 0x7570746f6b of versions before the
/// first release: their nodes wait for it in a statement, and `create index concurrently` waits for such statements.
const MIGRATION_LOCK: i64 = 0x7570_746f_6b32;
/// Pause between two attempts to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// A migration may work for as long as it needs; `runner` limits how long it waits for locks. Each is set, because role
/// and database may have other defaults.
const SESSION_SETTINGS: &str = "set statement_timeout = 0; set lock_timeout = 0; \
     set idle_in_transaction_session_timeout = 0; set application_name = 'uptok migrate'";

/// Adopts a database of a version before the first release, and runs the migrations of `source` that are missing. Any
/// number of nodes may do this at once. Returns how many migrations it recorded.
///
/// # Errors
/// If the database is too old, a migration fails, or another transaction holds a lock for minutes.
pub fn run_missing(
    connection: &mut PgConnection,
    source: &impl MigrationSource<Pg>,
) -> anyhow::Result<usize> {
    // Without the lock first: commands do not wait for a node that holds it.
    if find_missing(connection, source)?.is_empty() {
        return Ok(0);
    }
    connection.batch_execute(SESSION_SETTINGS)?;
    acquire_lock(connection)?;
    let adopted = adoption::adopt(connection)?;
    let missing = find_missing(connection, source)?;
    connection.setup()?;
    for migration in &missing {
        runner::run_migration(connection, migration.as_ref())?;
    }
    // Closing the connection releases the lock, even after a failure.
    Ok(adopted + missing.len())
}

/// Whether the database has every migration of this binary.
pub(super) fn is_current(connection: &mut PgConnection) -> anyhow::Result<bool> {
    Ok(find_missing(connection, &MIGRATIONS)?.is_empty())
}

/// The migrations of `source` that are not applied yet, in order.
fn find_missing(
    connection: &mut PgConnection,
    source: &impl MigrationSource<Pg>,
) -> anyhow::Result<Vec<Box<dyn Migration<Pg>>>> {
    let applied = versions::load_applied(connection)?;
    let mut missing = source.migrations().map_err(anyhow::Error::from_boxed)?;
    missing.retain(|migration| !applied.contains(&migration.name().version().to_string()));
    missing.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(missing)
}

/// Waits until no other process runs migrations.
///
/// It polls: a statement that waits for the lock would hold a snapshot, and `create index concurrently` in the process
/// that has the lock would wait for it, which is a deadlock.
fn acquire_lock(connection: &mut PgConnection) -> QueryResult<()> {
    let mut is_waiting = false;
    while !diesel::select(pg_try_advisory_lock(MIGRATION_LOCK)).get_result::<bool>(connection)? {
        if !is_waiting {
            tracing::info!("Waiting for another process that migrates the database");
            is_waiting = true;
        }
        thread::sleep(LOCK_PAUSE);
    }
    Ok(())
}

define_sql_function! {
    /// Gets the lock, which is held until the connection closes, or returns `false`.
    fn pg_try_advisory_lock(key: BigInt) -> Bool
}
