//! A temporary data directory per test, and queries to its server.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use uptok::private_postgres::{DurabilityMode, PrivatePostgres};

/// A data directory that is removed on drop, including a cluster outside it.
pub(crate) struct DataDir {
    pub(crate) root: PathBuf,
    pub(crate) path: PathBuf,
}

impl DataDir {
    pub(crate) fn new() -> Self {
        Self::with_name("data")
    }

    /// `name` may contain slashes.
    pub(crate) fn with_name(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let ramdisk = Path::new("/dev/shm");
        let parent = if ramdisk.is_dir() { ramdisk.to_owned() } else { env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = parent.join(format!("uptok-private-{}-{number}", std::process::id()));
        Self { path: root.join(name), root }
    }

    pub(crate) fn start(&self) -> anyhow::Result<PrivatePostgres> {
        PrivatePostgres::start(&self.path, DurabilityMode::ForTests)
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.path.join("postgres")
    }

    /// Creates a cluster and stops it, so that a test can modify its files.
    pub(crate) fn with_stopped_cluster() -> Self {
        let data_dir = Self::new();
        data_dir.start().unwrap().stop().unwrap();
        data_dir
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Ok(target) = self.cluster().read_link() {
            let _ = fs::remove_dir_all(target);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

pub(crate) fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql").args(["-XAtqc", sql, url]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

pub(crate) fn setting(postgres: &PrivatePostgres, name: &str) -> String {
    psql(postgres.url(), &format!("select current_setting('{name}')")).unwrap()
}

pub(crate) fn socket_directory(url: &str) -> PathBuf {
    let url = url::Url::parse(&url.replace("@/", "@localhost/")).unwrap();
    let (_, host) = url.query_pairs().find(|(name, _)| name == "host").unwrap();
    PathBuf::from(host.into_owned())
}
