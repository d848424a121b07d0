//! Who may touch the cluster, as locks on two empty files beside it.
//!
//! Locks go away with their process however it ends, so they never need cleaning up. The files stay: removing a
//! lock file while somebody waits for it would give two processes the same lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;

use super::location::ClusterLocation;

/// Waits until no other process looks for, makes, starts or stops the cluster; lasts until dropped.
pub(super) fn acquire_lifecycle_lock(location: &ClusterLocation) -> anyhow::Result<File> {
    let path = location.lifecycle_lock_file();
    let file = open(&path)?;
    file.lock().with_context(|| format!("Cannot lock {}", path.display()))?;
    Ok(file)
}

/// Marks this process as a user of the cluster; lasts until dropped. Call it when [`acquire_lifecycle_lock`].
pub(super) fn acquire_shared_lock(location: &ClusterLocation) -> anyhow::Result<File> {
    let path = location.shared_lock_file();
    let file = open(&path)?;
    file.lock_shared().with_context(|| format!("Cannot lock {}", path.display()))?;
    Ok(file)
}

/// Gives up the `shared_lock` and tells whether it was the last one taken. Call it when [`acquire_lifecycle_lock`], so that nobody sits
/// down in between.
pub(super) fn release_shared_lock(shared_lock: &File) -> anyhow::Result<bool> {
    // Turning a shared lock into an exclusive one in place is not defined on every system.
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
    // Who can open a file can lock it: nobody else may keep us waiting.
    options.mode(0o600);
    options
        .open(path)
        .with_context(|| format!("Cannot open {}; does it belong to another user?", path.display()))
}
