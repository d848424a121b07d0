//! Coordinates processes that share a cluster, with locks on two empty files next to it.
//!
//! The operating system releases a lock when its process ends, even after `kill -9`, so no lock can be stale. The files
//! are never deleted: deleting one while another process waits for its lock would let two processes hold the lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;

use super::location::ClusterLocation;

/// Waits for the exclusive lock under which a cluster is created, started and stopped. Dropping the file releases it.
pub(super) fn acquire_lifecycle_lock(location: &ClusterLocation) -> anyhow::Result<File> {
    let path = location.lifecycle_lock_file();
    let file = open(&path)?;
    file.lock().with_context(|| format!("Cannot lock {}", path.display()))?;
    Ok(file)
}

/// Takes the lock that every process using the cluster shares. Dropping the file releases it.
///
/// The caller must hold the lifecycle lock.
pub(super) fn acquire_shared_lock(location: &ClusterLocation) -> anyhow::Result<File> {
    let path = location.shared_lock_file();
    let file = open(&path)?;
    file.lock_shared().with_context(|| format!("Cannot lock {}", path.display()))?;
    Ok(file)
}

/// Releases `shared_lock` and returns whether no other process holds it.
///
/// The caller must hold the lifecycle lock, or another process could start to use the cluster in between.
pub(super) fn release_shared_lock(shared_lock: &File) -> anyhow::Result<bool> {
    // Unlock first: converting a shared lock to an exclusive one is not portable.
    shared_lock.unlock()?;
    match shared_lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Owner only: a user who could open the file could hold its lock and block us forever.
    options.mode(0o600);
    options.open(path).with_context(|| {
        let name = path.file_name().unwrap_or_default().display();
        format!("Cannot open {name} in the data directory (UPTOK_DATA_DIR); does it belong to another user?")
    })
}
