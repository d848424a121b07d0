//! A migration of a release that does not exist yet.

use std::{fs, path::PathBuf};

use diesel_migrations::FileBasedMigrations;
use uptok::db::migrations::run_missing;

/// A folder with one migration of a later release.
pub(crate) struct LaterMigration {
    pub(crate) directory: PathBuf,
}

impl LaterMigration {
    pub(crate) fn new(name: &str, up: &str, metadata: &str) -> Self {
        Self::numbered(1, name, up, metadata)
    }

    /// The `number` is the position among the migrations that one test runs.
    pub(crate) fn numbered(number: u32, name: &str, up: &str, metadata: &str) -> Self {
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let folder = directory.join(format!("2999-01-01-{number:06}_{name}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("up.sql"), up).unwrap();
        fs::write(folder.join("metadata.toml"), metadata).unwrap();
        Self { directory }
    }

    pub(crate) fn run(&self, url: &str) -> usize {
        run_missing(url, &FileBasedMigrations::from_path(&self.directory).unwrap()).unwrap()
    }
}

impl Drop for LaterMigration {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}
