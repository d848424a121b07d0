//! Brings a database to the schema of this binary while other nodes use it. `migrations/README.md` has the rules that
//! every migration follows.

mod adoption;
pub(super) mod lock;
mod recount;
mod runner;
mod standalone_statement;
mod statements;
mod versions;

use diesel::{
    migration::{Migration, MigrationConnection as _, MigrationSource},
    pg::Pg,
    prelude::*,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::connection;
use runner::MigrationRunner;
pub use statements::split_statements;

/// The migrations, embedded in the binary.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Adopts a database of a version before the first release, and runs the migrations of `source` that are missing. Any
/// number of nodes may do this at once. Returns how many migrations it recorded.
///
/// # Errors
/// If the database is too old, a migration fails, or another transaction holds a lock for minutes.
pub fn run_missing(url: &str, source: &impl MigrationSource<Pg>) -> anyhow::Result<usize> {
    let mut connection = connection::connect(url)?;
    // Without the lock first: commands do not wait for a node that holds it.
    if find_missing(&mut connection, source)?.is_empty() {
        return Ok(0);
    }
    let mut runner = MigrationRunner::new(url, connection)?;
    let adopted = adoption::adopt(&mut runner)?;
    let missing = find_missing(&mut runner.connection, source)?;
    runner.connection.setup()?;
    for migration in &missing {
        runner.run_migration(migration.as_ref())?;
    }
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
