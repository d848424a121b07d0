//! The PostgreSQL cluster that Uptok runs itself if `DATABASE_URL` is not set.
//!
//! Each data directory has its own cluster. The first start creates it with the installed PostgreSQL binaries, and later
//! starts reuse it. It listens on a Unix socket that only its owner can open.
//!
//! Several processes can share a cluster: the first one starts it, and the last one to exit stops it. If they were all
//! killed (`kill -9`), the server keeps running and the next process uses it. After a crash of the machine, PostgreSQL
//! recovers at the next start. A process that runs for long supervises the server and restarts it if it stops.

mod binaries;
mod cluster;
mod initdb;
mod linked_clusters;
mod location;
mod locks;
mod pinned_directory;
mod postmaster;
mod socket;
mod supervisor;
mod system_account;

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use tokio::sync::oneshot;

use cluster::Cluster;
pub use linked_clusters::{UnusedCluster, list_unused_clusters, remove_unused_cluster};
use location::{CLUSTER_NAMES, ClusterLocation};
pub use supervisor::SupervisionTimes;
use supervisor::Supervisor;

/// Whether a server favours durability or speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurabilityMode {
    /// Committed transactions survive a power cut.
    Durable,
    /// A crash may corrupt the cluster. Allows 200 connections, for tests that run in parallel.
    ForTests,
}

/// A running private PostgreSQL, which other processes may use too.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    tuning: DurabilityMode,
    cluster: Arc<Cluster>,
    location: Arc<ClusterLocation>,
    supervisor: Option<Supervisor>,
    /// `None` once released.
    shared_lock: Option<File>,
}

impl PrivatePostgres {
    /// Returns once the PostgreSQL of `data_dir` accepts connections. Creates the directory and the cluster if they
    /// do not exist.
    ///
    /// `tuning` has no effect if PostgreSQL already runs. Blocks the thread; a first start takes seconds.
    ///
    /// # Errors
    /// If PostgreSQL is not installed in the version of the cluster, if the directory cannot be used, or if PostgreSQL
    /// does not start; the error then ends with the last lines of its log.
    pub fn start(data_dir: &Path, tuning: DurabilityMode) -> anyhow::Result<Self> {
        let location = ClusterLocation::open_or_create(data_dir)?;
        let _lifecycle_lock = locks::acquire_lifecycle_lock(&location)?;
        if !location.has_cluster()? {
            initdb::create_cluster(&location, tuning)?;
        }
        linked_clusters::update_back_link(&location.canonical_cluster_dir()?, location.data_dir());
        let cluster = Cluster::open(&location)?;
        let shared_lock = locks::acquire_shared_lock(&location)?;
        cluster.ensure_running(tuning)?;
        Ok(Self {
            url: cluster.socket.database_url(),
            tuning,
            cluster: Arc::new(cluster),
            location: Arc::new(location),
            supervisor: None,
            shared_lock: Some(shared_lock),
        })
    }

    /// From now on, restarts PostgreSQL whenever it has stopped. The receiver gets the reason when it cannot be restarted
    /// or the data directory is gone; then the database is of no use any more.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn supervise(&mut self, times: SupervisionTimes) -> anyhow::Result<oneshot::Receiver<anyhow::Error>> {
        let (cluster, location) = (Arc::clone(&self.cluster), Arc::clone(&self.location));
        let (supervisor, failure) = Supervisor::start(cluster, location, self.tuning, times)?;
        self.supervisor = Some(supervisor);
        Ok(failure)
    }

    /// A libpq connection URL without a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the URL that the database of `data_dir` has while it runs. Does not start it.
    ///
    /// # Errors
    /// If there is no database in `data_dir` yet.
    pub fn find_url(data_dir: &Path) -> anyhow::Result<String> {
        Ok(ClusterLocation::open(data_dir)?.cluster_socket()?.database_url())
    }

    /// Stops the PostgreSQL of `data_dir` at once, even if a process uses it, and deletes the whole directory and the
    /// cluster, wherever it is. With this, tests and the benchmark leave nothing behind.
    ///
    /// # Errors
    /// If PostgreSQL does not stop or a file cannot be deleted.
    pub fn destroy(data_dir: &Path) -> anyhow::Result<()> {
        for name in CLUSTER_NAMES {
            let Ok(cluster) = data_dir.join(name).canonicalize() else { continue };
            if linked_clusters::is_linked(&cluster) || cluster.starts_with(data_dir.canonicalize()?) {
                linked_clusters::delete_cluster(&cluster)?;
            }
        }
        match fs::remove_dir_all(data_dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Stops PostgreSQL unless another process still uses it.
    ///
    /// Dropping does the same, but only logs an error.
    ///
    /// # Errors
    /// If PostgreSQL does not stop.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.release()
    }

    fn release(&mut self) -> anyhow::Result<()> {
        let Some(shared_lock) = self.shared_lock.take() else { return Ok(()) };
        // First, because it would start PostgreSQL again.
        drop(self.supervisor.take());
        // Without its data directory nobody else can find the cluster, so there is nothing to coordinate.
        let is_in_place = self.location.is_in_place();
        let _lifecycle_lock =
            is_in_place.then(|| locks::acquire_lifecycle_lock(&self.location)).transpose()?;
        if !locks::release_shared_lock(&shared_lock)? {
            tracing::debug!("PostgreSQL keeps running for another process");
            return Ok(());
        }
        self.cluster.stop().context("The private PostgreSQL did not stop")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        if let Err(error) = self.release() {
            tracing::warn!("{error:#}");
        }
    }
}
