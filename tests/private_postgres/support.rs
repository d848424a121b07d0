//! A temporary data directory per test, and queries to its server.

use std::{
    env,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use uptok::private_postgres::{DurabilityMode, PrivatePostgres};

const NAME_PREFIX: &str = "uptok-private-";

/// A data directory that is removed on drop, including a server that still runs and a cluster outside it.
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
        static SWEEP: Once = Once::new();
        let ramdisk = Path::new("/dev/shm");
        let parent = if ramdisk.is_dir() { ramdisk.to_owned() } else { env::temp_dir() };
        SWEEP.call_once(|| remove_leftovers(&parent));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = parent.join(format!("{NAME_PREFIX}{}-{number}", std::process::id()));
        Self { path: root.join(name), root }
    }

    /// A directory that only the current user can enter, so that the cluster of root is elsewhere.
    pub(crate) fn private() -> Self {
        let data_dir = Self::new();
        fs::create_dir(&data_dir.root).unwrap();
        fs::set_permissions(&data_dir.root, Permissions::from_mode(0o700)).unwrap();
        data_dir
    }

    /// The process ID of the server.
    pub(crate) fn server_pid(&self) -> String {
        self.find_server_pid().unwrap()
    }

    /// `None` between a stop and the next start.
    pub(crate) fn find_server_pid(&self) -> Option<String> {
        let pid_file = fs::read_to_string(self.cluster().join("postmaster.pid")).ok()?;
        Some(pid_file.lines().next()?.to_owned())
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
        let _ = (PrivatePostgres::destroy(&self.path), fs::remove_dir_all(&self.root));
    }
}

/// Removes what earlier runs left because they were killed.
fn remove_leftovers(parent: &Path) {
    for entry in parent.read_dir().unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(NAME_PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !is_running(pid)) {
            let root = DataDir { path: entry.path().join("data"), root: entry.path() };
            drop(root);
        }
    }
}

/// Whether the process exists. One that has ended but was not reaped does not count.
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

pub(crate) fn send_signal(pid: &str, signal: &str) {
    assert!(Command::new("kill").args([&format!("-{signal}"), pid]).status().unwrap().success());
}

/// Polls until `condition` holds, for half a minute at most.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
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
