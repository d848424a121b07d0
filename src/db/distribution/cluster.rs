//! What Citus says about its servers and tables.

use std::collections::HashMap;

use diesel::{
    dsl::sql,
    prelude::*,
    select, sql_query,
    sql_types::{BigInt, Bool, Text},
};

use super::tables::TableKind;

/// Why tables cannot be distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDistributable {
    #[error(
        "this database has no Citus, so its tables stay on one PostgreSQL; to distribute them, run \
         `create extension citus` in the database first"
    )]
    NoExtension,
    #[error("DATABASE_URL leads to a worker of Citus; use the URL of its coordinator")]
    Worker,
    #[error(
        "Citus does not know the address of its coordinator; run \
         `select citus_set_coordinator_host('…')` with it, then `uptok distribute` again"
    )]
    NoCoordinator,
    #[error(
        "Citus has no workers; add them with `select citus_add_node('…', 5432)`, then run `uptok distribute` again"
    )]
    NoWorkers,
}

#[derive(QueryableByName)]
struct ServersRow {
    #[diesel(sql_type = Bool)]
    is_coordinator: bool,
    #[diesel(sql_type = Bool)]
    knows_coordinator: bool,
    #[diesel(sql_type = BigInt)]
    workers: i64,
}

#[derive(QueryableByName)]
struct TableRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

/// The tables that Citus knows. The others are only on the coordinator.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    tables: HashMap<String, TableKind>,
}

impl ClusterState {
    /// # Errors
    /// [`NotDistributable`], or if the database fails.
    pub(super) fn load(connection: &mut PgConnection) -> anyhow::Result<Self> {
        require_servers(connection)?;
        Ok(Self { tables: load_tables(connection)? })
    }

    #[cfg(test)]
    pub(super) fn with_tables(tables: impl IntoIterator<Item = (&'static str, TableKind)>) -> Self {
        Self { tables: tables.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect() }
    }

    pub(super) fn find(&self, table: &str) -> Option<TableKind> {
        self.tables.get(table).copied()
    }
}

/// # Errors
/// [`NotDistributable`], or if the database fails.
fn require_servers(connection: &mut PgConnection) -> anyhow::Result<()> {
    let extension = "select from pg_extension where extname = 'citus'";
    if sql_query(extension).execute(connection)? == 0 {
        return Err(NotDistributable::NoExtension.into());
    }
    let servers: ServersRow = sql_query(
        "select (select groupid = 0 from pg_dist_local_group) as is_coordinator, \
         exists (select from pg_dist_node where groupid = 0) as knows_coordinator, \
         (select count(*) from pg_dist_node where isactive and shouldhaveshards) as workers",
    )
    .get_result(connection)?;
    if !servers.is_coordinator {
        return Err(NotDistributable::Worker.into());
    }
    if !servers.knows_coordinator {
        return Err(NotDistributable::NoCoordinator.into());
    }
    if servers.workers == 0 {
        return Err(NotDistributable::NoWorkers.into());
    }
    Ok(())
}

fn load_tables(connection: &mut PgConnection) -> QueryResult<HashMap<String, TableKind>> {
    let rows: Vec<TableRow> = sql_query(
        "select relname::text as name, partmethod::text || repmodel::text as kind \
         from pg_dist_partition join pg_class on pg_class.oid = logicalrelid \
         where relnamespace = current_schema()::regnamespace",
    )
    .load(connection)?;
    Ok(rows.into_iter().map(|row| (row.name, parse_kind(&row.kind))).collect())
}

/// Parses `partmethod` and `repmodel` of `pg_dist_partition`, one letter each.
fn parse_kind(kind: &str) -> TableKind {
    match kind {
        "nt" => TableKind::Everywhere,
        kind if kind.starts_with('h') => TableKind::ByClient,
        _ => TableKind::Coordinator,
    }
}

/// Whether the coordinator still stores rows from before the table was distributed. Blocks while the table is locked.
pub(super) fn has_leftovers(connection: &mut PgConnection, table: &str) -> QueryResult<bool> {
    // Measures the table on the coordinator, without its shards.
    select(sql::<Bool>("pg_relation_size(to_regclass(").bind::<Text, _>(table).sql(")) > 0"))
        .get_result(connection)
}
