//! Paths of the cluster and its lock files in a data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::{pinned_directory::PinnedDirectory, socket::UnixSocket, system_account::SystemAccount};

const NO_DATABASE: &str =
    "There is no database in the data directory (UPTOK_DATA_DIR) yet; `uptok serve` creates one";

/// Names of the cluster in its data directory, complete and while it is created.
pub(super) const CLUSTER_NAMES: [&str; 2] = [CLUSTER, STAGING];
const CLUSTER: &str = "postgres";
const STAGING: &str = "postgres.new";

/// Location of a cluster in a data directory, which is held as a canonical path.
#[derive(Debug)]
pub(super) struct ClusterLocation {
    data_dir: PinnedDirectory,
}

impl ClusterLocation {
    pub(super) fn open_or_create(data_dir: &Path) -> anyhow::Result<Self> {
        // Without the path, because no error message about a setting repeats its value.
        fs::create_dir_all(data_dir)
            .context("Cannot create the data directory; set UPTOK_DATA_DIR to one where Uptok may write")?;
        Self::open(data_dir)
    }

    /// # Errors
    /// If `data_dir` does not exist or is not accessible.
    pub(super) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        match data_dir.canonicalize() {
            Ok(data_dir) => Ok(Self { data_dir: PinnedDirectory::open(data_dir)? }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(NO_DATABASE),
            Err(error) => Err(error)
                .context("Cannot access the data directory; set UPTOK_DATA_DIR to one that Uptok may use"),
        }
    }

    pub(super) fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// `false` once the data directory was deleted, moved or replaced. Then no other process can find its locks.
    pub(super) fn is_in_place(&self) -> bool {
        self.data_dir.is_in_place()
    }

    /// `false` once the data directory no longer contains `cluster` or a link to it. If that cannot be checked, the answer
    /// is `true`.
    pub(super) fn contains(&self, cluster: &Path) -> bool {
        match self.cluster_dir().canonicalize() {
            Ok(found) => found == cluster,
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    /// May be a symlink to a directory elsewhere.
    pub(super) fn cluster_dir(&self) -> PathBuf {
        self.data_dir().join(CLUSTER)
    }

    /// Where a new cluster is created. It is renamed to [`ClusterLocation::cluster_dir`] when it is complete, so that an
    /// incomplete cluster is never used.
    pub(super) fn staging_dir(&self) -> PathBuf {
        self.data_dir().join(STAGING)
    }

    pub(super) fn lifecycle_lock_file(&self) -> PathBuf {
        self.data_dir().join("postgres.start.lock")
    }

    pub(super) fn shared_lock_file(&self) -> PathBuf {
        self.data_dir().join("postgres.users.lock")
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
            bail!(NO_DATABASE);
        }
        let cluster = self.canonical_cluster_dir()?;
        Ok(UnixSocket::for_cluster(&cluster, SystemAccount::from_owner_of(&cluster)?))
    }
}
