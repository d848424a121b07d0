//! `uptok clusters`: lists and removes private PostgreSQL databases whose data directory is gone.

use clap::Subcommand;

use super::command_context::print_line;
use crate::{
    private_postgres::{self, UnusedCluster},
    web::format::byte_size,
};

#[derive(Subcommand)]
pub(super) enum ClustersCommand {
    /// List the databases outside their data directory (as root) whose data directory was deleted, or moved and not used
    /// since: ID, state, size, directory and former data directory
    List,
    /// Stop such a database and delete it for good
    Remove {
        /// Its ID in the list
        id: String,
    },
}

pub(super) fn run(command: ClustersCommand) -> anyhow::Result<()> {
    match command {
        ClustersCommand::List => private_postgres::list_unused_clusters()?
            .iter()
            .try_for_each(|it| print_line(&format_cluster(it))),
        ClustersCommand::Remove { id } => {
            let removed = private_postgres::remove_unused_cluster(&id)?;
            print_line(&format!("{} is removed", removed.directory.display()))
        }
    }
}

/// The former data directory is the last field because it may contain spaces.
fn format_cluster(cluster: &UnusedCluster) -> String {
    let state = if cluster.is_running() { "running" } else { "stopped" };
    let size = byte_size(i64::try_from(cluster.size_bytes()).unwrap_or(i64::MAX));
    let directory = cluster.directory.display().to_string();
    let data_dir = cluster.data_dir.as_ref().map_or("unknown".to_owned(), |it| it.display().to_string());
    [cluster.id.as_str(), state, &size, &directory, &data_dir].join("\t")
}
