//! Paths of the cluster and its lock files in a data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{socket::UnixSocket, system_account::SystemAccount};

/// Location of a cluster in a data directory, which is held as a canonical path.
#[derive(Debug)]
pub(super) struct ClusterLocation {
    data_dir: PathBuf,
}

impl ClusterLocation {
    pub(super) fn open_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(data_dir)
            .with_context(|| format!("Cannot create the data directory {}", data_dir.display()))?;
        Self::open(data_dir)
    }

    /// # Errors
    /// If `data_dir` does not exist or is not accessible.
    pub(super) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        match data_dir.canonicalize() {
            Ok(data_dir) => Ok(Self { data_dir }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(no_database_message(data_dir)),
            Err(error) => {
                Err(error).with_context(|| format!("Cannot access the data directory {}", data_dir.display()))
            }
        }
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// May be a symlink to a directory elsewhere.
    pub(super) fn cluster_dir(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }

    /// Where a new cluster is created. It is renamed to [`ClusterLocation::cluster_dir`] when it is complete, so that an
    /// incomplete cluster is never used.
    pub(super) fn staging_dir(&self) -> PathBuf {
        self.data_dir.join("postgres.new")
    }

    pub(super) fn lifecycle_lock_file(&self) -> PathBuf {
        self.data_dir.join("postgres.start.lock")
    }

    pub(super) fn shared_lock_file(&self) -> PathBuf {
        self.data_dir.join("postgres.users.lock")
    }

    /// # Errors
    /// If the cluster is a dangling symlink or not a cluster: creating an empty database would hide the lost one.
    pub(super) fn has_cluster(&self) -> anyhow::Result<bool> {
        let link = self.cluster_dir();
        if link
            .join("PG_VERSION")
            .try_exists()
            .with_context(|| format!("Cannot access {}", link.display()))?
        {
            return Ok(true);
        }
        if let Ok(target) = link.read_link() {
            bail!(
                "{} points to {}, which no longer contains a database; restore it, or remove the link to start with \
                 an empty one",
                link.display(),
                target.display()
            );
        }
        if link.exists() {
            bail!("{} is not a PostgreSQL cluster; move it away to start with an empty one", link.display());
        }
        Ok(false)
    }

    /// Resolves symlinks, so the path may be outside the data directory.
    pub(super) fn canonical_cluster_dir(&self) -> anyhow::Result<PathBuf> {
        let link = self.cluster_dir();
        link.canonicalize().with_context(|| format!("Cannot find {}", link.display()))
    }

    /// # Errors
    /// If there is no cluster yet, or it belongs to another user.
    pub(super) fn cluster_socket(&self) -> anyhow::Result<UnixSocket> {
        if !self.has_cluster()? {
            bail!(no_database_message(&self.data_dir));
        }
        let cluster = self.canonical_cluster_dir()?;
        Ok(UnixSocket::for_cluster(&cluster, SystemAccount::from_owner_of(&cluster)?))
    }
}

fn no_database_message(data_dir: &Path) -> String {
    format!("There is no database in {} yet; `uptok serve` creates one", data_dir.display())
}
