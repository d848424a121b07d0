//! Distributes tables over the servers of Citus.

use std::fmt;

use diesel::{connection::SimpleConnection as _, prelude::*};

use super::{
    cluster::{ClusterState, has_leftovers},
    placement::DataPlacement,
    tables::{TABLES, TableKind, TablePlacement},
};
use crate::db::{connection, migrations::lock::MigrationLock};

/// The tables whose triggers keep the audit log append-only. Citus distributes a table with triggers only if a setting
/// declares them safe. These are: they read and write only the row that fired them, which is in the same shard.
const TABLES_WITH_TRIGGERS: [&str; 2] = ["audit_heads", "audit_log"];

/// What [`distribute`] did with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableChange {
    table: TablePlacement,
    is_new: bool,
}

impl fmt::Display for TableChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TablePlacement { name, kind } = self.table;
        let already = if self.is_new { "" } else { "already " };
        match kind {
            TableKind::ByClient => write!(formatter, "{name}: {already}distributed by client_id"),
            TableKind::Everywhere => write!(formatter, "{name}: {already}copied to every server"),
            TableKind::Coordinator => {
                write!(formatter, "{name}: {already}registered, stays on the coordinator")
            }
            TableKind::Local => write!(formatter, "{name}: stays on the coordinator"),
        }
    }
}

/// # Errors
/// [`NotDistributable`](super::NotDistributable), or if PostgreSQL cannot be reached.
pub fn require_cluster(url: &str) -> anyhow::Result<()> {
    ClusterState::load(&mut connection::connect(url)?).map(|_cluster| ())
}

/// Distributes every table that is not distributed yet, and passes all to `report`; none if every table is distributed
/// already. No node may use the database meanwhile. If it is interrupted, the next call continues.
///
/// # Errors
/// [`NotDistributable`](super::NotDistributable), or if the database or `report` fails.
pub fn distribute(
    url: &str,
    mut report: impl FnMut(TableChange) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut connection = connection::connect(url)?;
    ClusterState::load(&mut connection)?;
    let mut lock = MigrationLock::acquire(url)?;
    let cluster = ClusterState::load(&mut connection)?;
    if find_undistributed(&cluster).next().is_some() {
        for table in TABLES {
            lock.require()?;
            report(distribute_table(&mut connection, &cluster, table)?)?;
        }
    }
    delete_leftovers(&mut connection)
}

/// As [`distribute`], if tables were distributed before: those of later migrations are not yet. Does nothing otherwise.
///
/// # Errors
/// As [`distribute`].
pub fn distribute_new_tables(url: &str) -> anyhow::Result<()> {
    let mut connection = connection::connect(url)?;
    if DataPlacement::load(&mut connection)? == DataPlacement::OneServer
        || find_undistributed(&ClusterState::load(&mut connection)?).next().is_none()
    {
        return Ok(());
    }
    distribute(url, |change| {
        if change.is_new {
            tracing::info!("{change}");
        }
        Ok(())
    })
}

fn find_undistributed(cluster: &ClusterState) -> impl Iterator<Item = TablePlacement> {
    TABLES.into_iter().filter(|table| needs_change(cluster, *table))
}

/// Whether Citus does not yet know the table, or knows it as another kind.
fn needs_change(cluster: &ClusterState, table: TablePlacement) -> bool {
    table.kind != TableKind::Local && cluster.find(table.name) != Some(table.kind)
}

fn distribute_table(
    connection: &mut PgConnection,
    cluster: &ClusterState,
    table: TablePlacement,
) -> QueryResult<TableChange> {
    let is_new = needs_change(cluster, table);
    if is_new {
        connection.transaction(|connection| {
            connection.batch_execute(SETTINGS)?;
            if TABLES_WITH_TRIGGERS.contains(&table.name) {
                connection.batch_execute("set local citus.enable_unsafe_triggers = on")?;
            }
            connection.batch_execute(&build_statement(table))
        })?;
    }
    Ok(TableChange { table, is_new })
}

/// Copying a table takes as long as it needs. The notices of Citus would be printed for every table.
const SETTINGS: &str = "set local statement_timeout = 0; set local lock_timeout = 0; \
     set local client_min_messages = warning";

fn build_statement(TablePlacement { name, kind }: TablePlacement) -> String {
    match kind {
        TableKind::ByClient => {
            // Tables of one group have the rows of a client on the same worker.
            let group = if name == "clients" { "none" } else { "clients" };
            format!("select create_distributed_table('{name}', 'client_id', colocate_with => '{group}')")
        }
        TableKind::Everywhere => format!("select create_reference_table('{name}')"),
        TableKind::Coordinator => format!("select citus_add_local_table_to_metadata('{name}')"),
        TableKind::Local => String::new(),
    }
}

/// Deletes the rows that the coordinator has kept of tables that are on other servers now: nothing reads them.
fn delete_leftovers(connection: &mut PgConnection) -> anyhow::Result<()> {
    let cluster = ClusterState::load(connection)?;
    let mut leftovers = Vec::new();
    for table in TABLES {
        let is_elsewhere =
            matches!(cluster.find(table.name), Some(TableKind::ByClient | TableKind::Everywhere));
        if is_elsewhere && has_leftovers(connection, table.name)? {
            leftovers.push(table);
        }
    }
    if leftovers.is_empty() {
        return Ok(());
    }
    // The triggers of the audit log, which prevent that it is emptied, are off for this transaction, and only on the
    // coordinator's own, empty table: the shards keep theirs.
    let triggers = |state: &str| {
        TABLES_WITH_TRIGGERS.map(|table| format!("alter table {table} {state} trigger user; ")).concat()
    };
    connection.transaction(|connection| {
        connection.batch_execute(SETTINGS)?;
        connection.batch_execute("set local citus.enable_ddl_propagation = off")?;
        connection.batch_execute(&triggers("disable"))?;
        // Those that reference others first.
        for table in leftovers.iter().rev() {
            let delete = format!("select truncate_local_data_after_distributing_table('{}')", table.name);
            connection.batch_execute(&delete)?;
            // The function turns it on again.
            connection.batch_execute("set local citus.enable_ddl_propagation = off")?;
        }
        connection.batch_execute(&triggers("enable"))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str) -> TablePlacement {
        TABLES.into_iter().find(|table| table.name == name).unwrap()
    }

    #[test]
    fn tables_are_changed_once() {
        let nothing = ClusterState::default();
        let new: Vec<&str> = find_undistributed(&nothing).map(|table| table.name).collect();
        let local = TABLES.iter().filter(|table| table.kind == TableKind::Local).count();
        assert_eq!(new.len() + local, TABLES.len());
        assert_eq!(new[0], "clients", "the others join its group");

        let everything = ClusterState::with_tables(new.iter().map(|name| (*name, find(name).kind)));
        assert_eq!(find_undistributed(&everything).next(), None);

        // Citus registers a table by itself if a foreign key leads from it to one that is everywhere.
        let other = ClusterState::with_tables([("users", TableKind::Coordinator)]);
        assert!(needs_change(&other, find("users")));
    }

    #[test]
    fn changes_are_reported_in_words() {
        let lines = |is_new: bool| {
            ["sessions", "users", "sign_ins", "questions"]
                .map(|name| TableChange { table: find(name), is_new }.to_string())
        };
        assert_eq!(
            lines(true),
            [
                "sessions: distributed by client_id",
                "users: copied to every server",
                "sign_ins: registered, stays on the coordinator",
                "questions: stays on the coordinator",
            ]
        );
        assert_eq!(
            lines(false),
            [
                "sessions: already distributed by client_id",
                "users: already copied to every server",
                "sign_ins: already registered, stays on the coordinator",
                "questions: stays on the coordinator",
            ]
        );
    }
}
