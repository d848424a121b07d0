//! A directory that is distinguished from another one at the same path.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// A directory and the path at which it was opened. The open handle keeps its inode number from being reused.
#[derive(Debug)]
pub(super) struct PinnedDirectory {
    path: PathBuf,
    handle: File,
}

impl PinnedDirectory {
    pub(super) fn open(path: PathBuf) -> anyhow::Result<Self> {
        let handle = File::open(&path).with_context(|| format!("Cannot open {}", path.display()))?;
        Ok(Self { path, handle })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to this directory: `false` once it was deleted, moved or replaced. If the path
    /// cannot be checked, the answer is `true`.
    pub(super) fn is_in_place(&self) -> bool {
        let Ok(opened) = self.handle.metadata() else { return true };
        match fs::metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == (opened.dev(), opened.ino()),
            Err(error) => !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_moved_or_replaced_directory_is_not_in_place() {
        let path = std::env::temp_dir().join(format!("uptok-pinned-{}", std::process::id()));
        let moved = path.with_extension("moved");
        fs::create_dir(&path).unwrap();
        let pinned = PinnedDirectory::open(path.clone()).unwrap();

        assert!(pinned.is_in_place());
        fs::rename(&path, &moved).unwrap();
        assert!(!pinned.is_in_place());
        fs::rename(&moved, &path).unwrap();
        assert!(pinned.is_in_place());
        fs::remove_dir(&path).unwrap();
        assert!(!pinned.is_in_place());
        fs::create_dir(&path).unwrap();
        assert!(!pinned.is_in_place());
        fs::remove_dir(&path).unwrap();
    }
}
