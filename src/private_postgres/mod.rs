//! The PostgreSQL that Uptok brings along when nobody gives it a `DATABASE_URL`.
//!
//! It belongs to one data directory: the first start makes a cluster there from the programs that the system
//! has installed, and later starts use it again. It listens on a unix socket that only its owner can reach.
//!
//! Any number of processes may share it. The first one in starts it, the last one out stops it; a cluster that
//! outlived its processes (`kill -9`) is found running and used again, and one that died with the machine
//! recovers at the next start.
//!
//! `location` knows where things are in the data directory, `binaries` and `system_account` what runs and as whom,
//! `initdb` makes a cluster, `cluster` runs and stops it, `socket` is how to reach it, `locks` keeps the peace.

mod binaries;
mod cluster;
mod initdb;
mod location;
mod locks;
mod socket;
mod system_account;

use std::{fs::File, path::Path};

use anyhow::Context;

use cluster::Cluster;
use location::ClusterLocation;

/// What the cluster is for: keeping records, or being thrown away after the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuning {
    /// Survives a power cut.
    Durable,
    /// Fast and forgetful, with room for the connections of many tests at once.
    ForTests,
}

/// A running PostgreSQL that this process uses, perhaps together with others.
#[derive(Debug)]
pub struct PrivatePostgres {
    url: String,
    cluster: Cluster,
    location: ClusterLocation,
    /// The shared lock that says "I use it"; given up when stopping.
    shared_lock: Option<File>,
}

impl PrivatePostgres {
    /// Returns once the PostgreSQL of `data_dir` accepts connections; makes the directory and the cluster first
    /// if there are none.
    ///
    /// `tuning` counts when this call is the one that starts it. Blocks the thread; a first start takes seconds.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or not in the version of the cluster, when the directory cannot be used,
    /// and when PostgreSQL does not start: then with the last lines of its log.
    pub fn start(data_dir: &Path, tuning: Tuning) -> anyhow::Result<Self> {
        let location = ClusterLocation::open_or_create(data_dir)?;
        let _lifecycle_lock = locks::acquire_lifecycle_lock(&location)?;
        if !location.has_cluster()? {
            initdb::create_cluster(&location, tuning)?;
        }
        let cluster = Cluster::open(&location)?;
        let shared_lock = locks::acquire_shared_lock(&location)?;
        cluster.ensure_running(tuning)?;
        Ok(Self { url: cluster.socket.database_url(), cluster, location, shared_lock: Some(shared_lock) })
    }

    /// The address of the database, for Diesel, psql and pgbench.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address that the database of `data_dir` has while it runs; starts nothing.
    ///
    /// # Errors
    /// When there is no database in `data_dir` yet.
    pub fn url_of(data_dir: &Path) -> anyhow::Result<String> {
        Ok(ClusterLocation::open(data_dir)?.cluster_socket()?.database_url())
    }

    /// Stops using PostgreSQL, and stops it unless another process still uses it.
    ///
    /// Dropping does the same, but can only log what went wrong.
    ///
    /// # Errors
    /// When PostgreSQL does not stop.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.release()
    }

    fn release(&mut self) -> anyhow::Result<()> {
        let Some(shared_lock) = self.shared_lock.take() else { return Ok(()) };
        let _lifecycle_lock = locks::acquire_lifecycle_lock(&self.location)?;
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
