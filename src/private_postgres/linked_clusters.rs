//! Clusters outside their data directory.
//!
//! Root cannot run PostgreSQL, and the account that runs it may have no access to the data directory. Then the cluster is
//! in [`DIRECTORY`], the data directory contains a link to it, and a link beside the cluster leads back. A cluster is
//! unused if the data directory no longer contains the link to it: it was deleted, or moved and not used since.

use std::{
    ffi::OsString,
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use uuid::Uuid;

use super::{
    location::CLUSTER_NAMES, postmaster::Postmaster, socket::UnixSocket, system_account::SystemAccount,
};

/// Parent of all linked clusters. It may contain other files too.
pub(super) const DIRECTORY: &str = "/var/lib/uptok";

/// A linked cluster whose data directory is gone.
#[derive(Debug)]
pub struct UnusedCluster {
    pub id: String,
    pub directory: PathBuf,
    /// Where the data directory was. `None` if that is not known.
    pub data_dir: Option<PathBuf>,
}

impl UnusedCluster {
    #[must_use]
    pub fn is_running(&self) -> bool {
        find_postmaster(&self.directory).is_some()
    }

    /// Space that it takes on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        disk_usage(&self.directory)
    }
}

/// Chooses the directory of a new cluster for `data_dir`, and creates the link back. The caller creates the directory.
pub(super) fn reserve_directory(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let parent = Path::new(DIRECTORY);
    ensure_traversable_dir(parent)?;
    let directory = parent.join(Uuid::now_v7().simple().to_string());
    let back_link = back_link(&directory);
    symlink(data_dir, &back_link).with_context(|| format!("Cannot create {}", back_link.display()))?;
    Ok(directory)
}

/// Corrects the link from `cluster` back to `data_dir`, which is wrong once the data directory was moved. Does nothing if
/// the cluster is not a linked one.
pub(super) fn update_back_link(cluster: &Path, data_dir: &Path) {
    let back_link = back_link(cluster);
    if !is_linked(cluster) || back_link.read_link().is_ok_and(|target| target == data_dir) {
        return;
    }
    let new_link = back_link.with_extension("new");
    // Left behind if an earlier process was killed at the wrong moment.
    let _ignored = fs::remove_file(&new_link);
    let replaced = symlink(data_dir, &new_link).and_then(|()| fs::rename(&new_link, &back_link));
    if let Err(error) = replaced {
        tracing::warn!("Cannot update {}: {error}", back_link.display());
    }
}

/// All unused clusters, from the oldest to the newest.
///
/// # Errors
/// If their directory cannot be read.
pub fn list_unused_clusters() -> anyhow::Result<Vec<UnusedCluster>> {
    list_unused_in(Path::new(DIRECTORY))
}

/// Stops an unused cluster and deletes it for good.
///
/// # Errors
/// If there is no such cluster, if it is in use or may be, or if it cannot be deleted.
pub fn remove_unused_cluster(id: &str) -> anyhow::Result<UnusedCluster> {
    remove_unused_in(Path::new(DIRECTORY), id)
}

fn list_unused_in(parent: &Path) -> anyhow::Result<Vec<UnusedCluster>> {
    let entries = match parent.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("Cannot read {}", parent.display())),
    };
    let mut clusters: Vec<UnusedCluster> = entries
        .flatten()
        .filter_map(|entry| find_cluster(parent, entry.file_name().to_str()?))
        .filter(|cluster| {
            !cluster.data_dir.as_deref().is_some_and(|data_dir| uses(data_dir, &cluster.directory))
        })
        .collect();
    clusters.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(clusters)
}

fn remove_unused_in(parent: &Path, id: &str) -> anyhow::Result<UnusedCluster> {
    let cluster = find_cluster(parent, id)
        .context("There is no such cluster; `uptok clusters list` shows those that can be removed")?;
    let directory = cluster.directory.display();
    let Some(data_dir) = &cluster.data_dir else {
        bail!(
            "It is not known which data directory belongs to {directory}. Start Uptok with that data directory once, \
             or delete {directory} by hand"
        );
    };
    ensure!(
        !uses(data_dir, &cluster.directory),
        "The data directory {} still uses {directory}. Stop Uptok and delete that data directory first",
        data_dir.display()
    );
    delete_cluster(&cluster.directory)?;
    Ok(cluster)
}

/// The cluster with this ID, which is the name of its directory. Anything else in `parent` is not a cluster, above all no
/// symlink, which could point at any directory.
fn find_cluster(parent: &Path, id: &str) -> Option<UnusedCluster> {
    let is_id = id.len() == 32 && Uuid::try_parse(id).is_ok();
    let directory = parent.join(id);
    if !is_id || !directory.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return None;
    }
    let data_dir = back_link(&directory).read_link().ok();
    Some(UnusedCluster { id: id.to_owned(), directory, data_dir })
}

/// Whether `data_dir` contains the link to `cluster`. If that cannot be checked, the answer is `true`.
fn uses(data_dir: &Path, cluster: &Path) -> bool {
    let Ok(cluster) = cluster.canonicalize() else { return true };
    CLUSTER_NAMES.iter().any(|name| match data_dir.join(name).canonicalize() {
        Ok(target) => target == cluster,
        Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    })
}

/// Stops the server of `cluster` at once, even if it is in use, and deletes the cluster and its back link.
pub(super) fn delete_cluster(cluster: &Path) -> anyhow::Result<()> {
    if let Some(postmaster) = find_postmaster(cluster) {
        postmaster.quit()?;
    }
    if let Ok(account) = SystemAccount::from_owner_of(cluster) {
        UnixSocket::for_cluster(cluster, account).remove_directory();
    }
    fs::remove_dir_all(cluster).with_context(|| format!("Cannot delete {}", cluster.display()))?;
    Ok(remove_back_link(cluster)?)
}

/// Deletes a cluster that was not completed for `data_dir`. Its directory may not exist yet.
///
/// Does nothing without the link back, which only we create: as root in another user's data directory we could otherwise
/// be tricked into deleting any directory.
pub(super) fn delete_incomplete_cluster(cluster: &Path, data_dir: &Path) -> anyhow::Result<()> {
    if !is_linked(cluster) || back_link(cluster).read_link().ok().as_deref() != Some(data_dir) {
        return Ok(());
    }
    if cluster.exists() { delete_cluster(cluster) } else { Ok(remove_back_link(cluster)?) }
}

fn remove_back_link(cluster: &Path) -> io::Result<()> {
    match fs::remove_file(back_link(cluster)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn find_postmaster(cluster: &Path) -> Option<Postmaster> {
    Postmaster::find(cluster, SystemAccount::from_owner_of(cluster).ok()?)
}

pub(super) fn is_linked(cluster: &Path) -> bool {
    cluster.parent() == Some(Path::new(DIRECTORY))
}

/// `/var/lib/uptok/ID.data-dir`, a symlink to the data directory.
fn back_link(cluster: &Path) -> PathBuf {
    let mut path = OsString::from(cluster);
    path.push(".data-dir");
    PathBuf::from(path)
}

/// Creates `directory` with mode 0755, whatever the umask. Leaves an existing directory unchanged.
fn ensure_traversable_dir(directory: &Path) -> anyhow::Result<()> {
    if !directory.exists() {
        fs::create_dir_all(directory).with_context(|| format!("Cannot create {}", directory.display()))?;
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Counts what can be read.
fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else { return 0 };
    let own_bytes = metadata.blocks() * 512;
    let entries = if metadata.is_dir() { path.read_dir().ok() } else { None };
    let entry_bytes = entries.into_iter().flatten().flatten().map(|entry| disk_usage(&entry.path()));
    own_bytes + entry_bytes.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a8b0c1d27e3f8a9b0c1d2e3f4a5b";

    /// A parent with one linked cluster, and the path of its data directory.
    struct Parent(PathBuf);

    impl Parent {
        fn new(name: &str) -> Self {
            let parent = std::env::temp_dir().join(format!("uptok-linked-{}-{name}", std::process::id()));
            fs::create_dir_all(parent.join(ID).join("base")).unwrap();
            Self(parent.canonicalize().unwrap())
        }

        fn data_dir(&self) -> PathBuf {
            self.0.join("somewhere")
        }

        fn link_both_ways(&self, name: &str) {
            fs::create_dir(self.data_dir()).unwrap();
            symlink(self.0.join(ID), self.data_dir().join(name)).unwrap();
            symlink(self.data_dir(), back_link(&self.0.join(ID))).unwrap();
        }

        fn list(&self) -> Vec<String> {
            list_unused_in(&self.0).unwrap().into_iter().map(|cluster| cluster.id).collect()
        }
    }

    impl Drop for Parent {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_cluster_is_used_while_its_data_directory_links_to_it() {
        for name in CLUSTER_NAMES {
            let parent = Parent::new(name);
            parent.link_both_ways(name);

            assert!(parent.list().is_empty(), "{name}");
            let error = remove_unused_in(&parent.0, ID).unwrap_err().to_string();
            assert!(error.contains("still uses"), "{error}");
            assert!(parent.0.join(ID).exists());
        }
    }

    #[test]
    fn a_cluster_is_unused_once_its_data_directory_is_deleted_or_replaced() {
        let parent = Parent::new("deleted");
        parent.link_both_ways("postgres");

        fs::remove_dir_all(parent.data_dir()).unwrap();
        let after_deletion = parent.list();
        fs::create_dir_all(parent.data_dir().join("postgres")).unwrap();

        assert_eq!(after_deletion, [ID]);
        assert_eq!(parent.list(), [ID]);
        assert_eq!(remove_unused_in(&parent.0, ID).unwrap().data_dir, Some(parent.data_dir()));
        assert!(parent.list().is_empty() && !parent.0.join(ID).exists());
        assert!(remove_unused_in(&parent.0, ID).unwrap_err().to_string().contains("no such cluster"));
    }

    #[test]
    fn a_cluster_of_an_unknown_data_directory_is_listed_but_not_removed() {
        let parent = Parent::new("unknown");

        let error = remove_unused_in(&parent.0, ID).unwrap_err().to_string();

        assert_eq!(parent.list(), [ID]);
        assert!(error.contains("not known which data directory"), "{error}");
        assert!(parent.0.join(ID).exists());
    }

    #[test]
    fn nothing_but_a_directory_with_an_id_is_a_cluster() {
        let parent = Parent::new("others");
        let other_id = ID.replace('5', "6");
        fs::create_dir(parent.0.join("data")).unwrap();
        symlink("/", parent.0.join(&other_id)).unwrap();

        assert_eq!(parent.list(), [ID]);
        for id in ["data", other_id.as_str(), "", "..", "../../etc", &ID[..31]] {
            assert!(remove_unused_in(&parent.0, id).is_err(), "{id}");
        }
    }

    #[test]
    fn the_size_is_that_of_all_files() {
        let parent = Parent::new("size");
        let cluster = find_cluster(&parent.0, ID).unwrap();
        let before = cluster.size_bytes();

        fs::write(cluster.directory.join("base").join("1"), vec![1; 1024 * 1024]).unwrap();

        assert!(cluster.size_bytes() >= before + 1024 * 1024);
    }
}
