//! Where the cluster and what belongs to it are, in a data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{socket::UnixSocket, system_account::SystemAccount};

/// A data directory, by its one true path.
#[derive(Debug)]
pub(super) struct ClusterLocation {
    data_dir: PathBuf,
}

impl ClusterLocation {
    /// The directory `data_dir`, made if it is not there.
    pub(super) fn open_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(data_dir)
            .with_context(|| format!("Cannot make the data directory {}", data_dir.display()))?;
        Self::open(data_dir)
    }

    /// The existing directory `data_dir`.
    pub(super) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        match data_dir.canonicalize() {
            Ok(data_dir) => Ok(Self { data_dir }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(no_database_message(data_dir)),
            Err(error) => Err(error)
                .with_context(|| format!("Cannot look into the data directory {}", data_dir.display())),
        }
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The cluster: a directory, or a symlink to one elsewhere.
    pub(super) fn cluster_dir(&self) -> PathBuf {
        self.data_dir.join("postgres")
    }

    /// A cluster in the making: becomes [`ClusterLocation::cluster_dir`] by a rename, so that half of one is never taken for whole.
    pub(super) fn staging_dir(&self) -> PathBuf {
        self.data_dir.join("postgres.new")
    }

    pub(super) fn lifecycle_lock_file(&self) -> PathBuf {
        self.data_dir.join("postgres.start.lock")
    }

    pub(super) fn shared_lock_file(&self) -> PathBuf {
        self.data_dir.join("postgres.users.lock")
    }

    /// Whether there is a cluster. A link that leads nowhere is an error: beginning again with an empty database
    /// is not ours to decide.
    pub(super) fn has_cluster(&self) -> anyhow::Result<bool> {
        let link = self.cluster_dir();
        if link
            .join("PG_VERSION")
            .try_exists()
            .with_context(|| format!("Cannot look into {}", link.display()))?
        {
            return Ok(true);
        }
        if let Ok(target) = link.read_link() {
            bail!(
                "{} points to {}, where there is no database any more; bring it back, or remove the link to begin \
                 with an empty one",
                link.display(),
                target.display()
            );
        }
        if link.exists() {
            bail!("{} is not a PostgreSQL cluster; move it away to begin with an empty one", link.display());
        }
        Ok(false)
    }

    /// The cluster by its one true path, which is not inside the data directory when it is a symlink.
    pub(super) fn canonical_cluster_dir(&self) -> anyhow::Result<PathBuf> {
        let link = self.cluster_dir();
        link.canonicalize().with_context(|| format!("Cannot find {}", link.display()))
    }

    /// How to reach the existing cluster.
    pub(super) fn cluster_socket(&self) -> anyhow::Result<UnixSocket> {
        if !self.has_cluster()? {
            bail!(no_database_message(&self.data_dir));
        }
        let cluster = self.canonical_cluster_dir()?;
        Ok(UnixSocket::for_cluster(&cluster, SystemAccount::from_owner_of(&cluster)?))
    }
}

fn no_database_message(data_dir: &Path) -> String {
    format!("There is no database in {} yet; `uptok serve` makes one", data_dir.display())
}
