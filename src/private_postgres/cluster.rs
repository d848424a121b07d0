//! Starts and stops an existing cluster.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};
use nix::sys::statvfs::statvfs;

use super::{
    DurabilityMode,
    binaries::PostgresBinaries,
    location::ClusterLocation,
    pinned_directory::PinnedDirectory,
    postmaster::{PID_FILE, Postmaster, works_in},
    socket::{PORT, UnixSocket},
    system_account::SystemAccount,
};

/// Time limit for a start or stop. It is generous because recovery after a crash replays the write-ahead log.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(600);

/// How often to check whether a start or stop by another process has finished.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Receives PostgreSQL's output until its logging collector runs.
const START_LOG: &str = "start.log";

/// A disk with less free space than this may be why PostgreSQL does not start: two segments of its write-ahead log.
const FREE_BYTES_MIN: u64 = 32 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) socket: UnixSocket,
    directory: PinnedDirectory,
    account: SystemAccount,
    binaries: PostgresBinaries,
    /// The server when it was last seen, which is found by this once its files are deleted.
    postmaster: Mutex<Option<Postmaster>>,
}

#[derive(Debug, PartialEq, Eq)]
enum PostgresState {
    Stopped,
    /// Starting or stopping.
    Transitioning,
    /// Runs, but nobody can connect because its socket was deleted.
    Unreachable,
    Ready,
}

impl Cluster {
    /// # Errors
    /// If the cluster belongs to another user, or the version that created it is not installed.
    pub(super) fn open(location: &ClusterLocation) -> anyhow::Result<Self> {
        let directory = location.canonical_cluster_dir()?;
        let account = SystemAccount::from_owner_of(&directory)?;
        let binaries = PostgresBinaries::find_for_cluster(&directory)?;
        Ok(Self {
            socket: UnixSocket::for_cluster(&directory, account),
            directory: PinnedDirectory::open(directory)?,
            account,
            binaries,
            postmaster: Mutex::new(None),
        })
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `false` once the cluster was deleted, moved or replaced.
    pub(super) fn is_in_place(&self) -> bool {
        self.directory.is_in_place()
    }

    /// Starts PostgreSQL unless it already runs, and returns once it accepts connections.
    pub(super) fn ensure_running(&self, tuning: DurabilityMode) -> anyhow::Result<()> {
        match self.wait_until_settled()? {
            PostgresState::Ready => {
                tracing::info!("PostgreSQL is already running in {}", self.directory().display());
            }
            PostgresState::Unreachable => {
                self.run_pg_ctl_stop()?;
                self.start(tuning)?;
            }
            _ => self.start(tuning)?,
        }
        self.remember_postmaster();
        Ok(())
    }

    /// Starts PostgreSQL again after it stopped while in use.
    pub(super) fn restart(&self, tuning: DurabilityMode) -> anyhow::Result<()> {
        // It was asked to stop, and it waits for our connections to close.
        if self.status().as_deref() == Some("stopping") && self.socket.is_listening() {
            self.run_pg_ctl_stop()?;
        }
        self.ensure_running(tuning)
    }

    /// Whether PostgreSQL accepts connections. Cheap enough for every second: no process is started.
    pub(super) fn is_ready(&self) -> bool {
        let is_ready = self.socket.is_listening() && self.status().as_deref() == Some("ready");
        if is_ready {
            self.remember_postmaster();
        }
        is_ready
    }

    /// Stops PostgreSQL if it runs, and closes all open connections.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        if !self.is_in_place() {
            return self.stop_after_deletion();
        }
        if self.wait_until_settled()? == PostgresState::Stopped {
            return Ok(());
        }
        self.run_pg_ctl_stop()?;
        self.socket.remove_directory();
        tracing::info!("PostgreSQL stopped");
        Ok(())
    }

    fn run_pg_ctl_stop(&self) -> anyhow::Result<()> {
        let mut pg_ctl = self.pg_ctl("stop");
        // Its own process group, so that a second Ctrl-C does not kill pg_ctl before PostgreSQL has stopped.
        pg_ctl.args(["-m", "fast"]).process_group(0);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// `pg_ctl` cannot stop a server without its files, and a server that can no longer be reached has nothing to save.
    fn stop_after_deletion(&self) -> anyhow::Result<()> {
        if let Some(postmaster) = *self.last_postmaster() {
            postmaster.quit()?;
            tracing::info!("PostgreSQL stopped; its files in {} are gone", self.directory().display());
        }
        self.socket.remove_directory();
        Ok(())
    }

    /// Finds the server again only if its process ID has changed, because that starts a process.
    fn remember_postmaster(&self) {
        let mut postmaster = self.last_postmaster();
        let pid = self.read_pid_file().ok().flatten();
        let pid = pid.as_deref().and_then(|contents| contents.lines().next()).unwrap_or_default();
        if !postmaster.is_some_and(|known| known.has_pid(pid.trim()) && known.is_running()) {
            *postmaster = Postmaster::find(self.directory(), self.account);
        }
    }

    fn last_postmaster(&self) -> MutexGuard<'_, Option<Postmaster>> {
        // A panic elsewhere leaves the value valid.
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, tuning: DurabilityMode) -> anyhow::Result<()> {
        self.socket.ensure_private_directory()?;
        self.delete_old_logs();
        let start_time = SystemTime::now();
        // Without a log file the server would inherit the output pipe, and `output` would never return.
        let mut pg_ctl = self.pg_ctl("start");
        pg_ctl.args(["-l", START_LOG, "-o", &self.server_options(tuning)]);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        // pg_ctl also fails if another start, left over from a killed process, completes first; that is no error.
        if !output.status.success() && self.wait_until_settled()? != PostgresState::Ready {
            bail!(
                "PostgreSQL did not start in {}:\n{}",
                self.directory().display(),
                self.failure_text(start_time)
            );
        }
        tracing::info!("PostgreSQL started in {}", self.directory().display());
        Ok(())
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = self.account.command(self.binaries.pg_ctl(), self.directory());
        // pg_ctl starts PostgreSQL through a shell; "." needs no quoting, unlike the full path.
        pg_ctl.args([action, "-D", ".", "-w", "-t", &START_STOP_TIMEOUT.as_secs().to_string()]);
        pg_ctl
    }

    /// Options that override `postgresql.conf` on every start. `pg_ctl` passes them to a shell, so none may need quoting.
    fn server_options(&self, tuning: DurabilityMode) -> String {
        let mut options = format!(
            "-c listen_addresses= -c port={PORT} -c unix_socket_directories={} \
             -c log_parameter_max_length=0 -c log_parameter_max_length_on_error=0 -c log_error_verbosity=terse",
            self.socket.directory_setting().display()
        );
        if tuning == DurabilityMode::ForTests {
            options.push_str(
                " -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200",
            );
        }
        options
    }

    /// Waits until the state is not `Transitioning`.
    fn wait_until_settled(&self) -> anyhow::Result<PostgresState> {
        let deadline = Instant::now() + START_STOP_TIMEOUT;
        loop {
            match self.state()? {
                PostgresState::Transitioning => ensure!(
                    Instant::now() < deadline,
                    "PostgreSQL in {} has been starting or stopping for {} minutes",
                    self.directory().display(),
                    START_STOP_TIMEOUT.as_secs() / 60
                ),
                settled => return Ok(settled),
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Reads the state from the socket and `postmaster.pid`, and removes a stale `postmaster.pid`.
    ///
    /// The file alone proves nothing: it survives a power cut, and another process may have its process ID by now.
    fn state(&self) -> anyhow::Result<PostgresState> {
        let Some(contents) = self.read_pid_file()? else { return Ok(PostgresState::Stopped) };
        if self.socket.is_listening() {
            let is_ready = read_status(&contents) == "ready";
            return Ok(if is_ready { PostgresState::Ready } else { PostgresState::Transitioning });
        }
        let pid_file = self.directory().join(PID_FILE);
        let pid = contents.lines().next().unwrap_or_default().trim();
        // An empty file is left by a crash at the wrong moment; PostgreSQL would refuse to start because of it.
        let is_ours =
            if pid.is_empty() { Some(false) } else { works_in(pid, self.directory(), self.account) };
        match is_ours {
            // The socket of a server that was killed, and takes a moment to end, still has its file.
            Some(true) if read_status(&contents) == "ready" && !self.socket.exists() => {
                Ok(PostgresState::Unreachable)
            }
            Some(true) => Ok(PostgresState::Transitioning),
            Some(false) => {
                // Safe even if backends of the old server still run: PostgreSQL then refuses to start because
                // their shared memory is in use.
                tracing::info!(
                    "Removing the stale {}: process {pid} is not its PostgreSQL",
                    pid_file.display()
                );
                fs::remove_file(&pid_file)?;
                self.socket.remove_lock_file()?;
                Ok(PostgresState::Stopped)
            }
            None => Ok(PostgresState::Stopped), // PostgreSQL itself ignores the file of a process that is gone
        }
    }

    /// Contents of `postmaster.pid`: first the process ID, last the status. `None` if there is no such file.
    fn read_pid_file(&self) -> anyhow::Result<Option<String>> {
        let pid_file = self.directory().join(PID_FILE);
        match fs::read_to_string(&pid_file) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("Cannot read {}", pid_file.display())),
        }
    }

    fn status(&self) -> Option<String> {
        self.read_pid_file().ok().flatten().map(|contents| read_status(&contents).to_owned())
    }

    /// Deletes log files that are older than a week. PostgreSQL truncates a weekday's file only at a rotation, which it
    /// misses if it does not run at midnight.
    fn delete_old_logs(&self) {
        let mut rm = self.account.command("rm", self.directory());
        let mut find = self.account.command("find", self.directory());
        rm.args(["-f", START_LOG]);
        find.args(["log", "-type", "f", "-mtime", "+6", "-delete"]);
        // Ignore errors: old logs do no harm, and a new cluster has no log directory.
        let _ = (rm.output(), find.output());
    }

    /// What the log says about a failed start. A full disk is named as well, because then the log may be empty.
    fn failure_text(&self, start_time: SystemTime) -> String {
        let log = self.log_tail(start_time);
        let directory = self.directory();
        match free_bytes(directory).filter(|free| *free < FREE_BYTES_MIN) {
            Some(free) => {
                let mib = free / (1024 * 1024);
                format!("{log}\nThe disk is full: only {mib} MiB are free for {}", directory.display())
            }
            None => log,
        }
    }

    /// Returns the last ten lines of the newest log written since `start_time`, or of the start log if there is none.
    fn log_tail(&self, start_time: SystemTime) -> String {
        let log = newest_file(&self.directory().join("log"), start_time);
        let text = fs::read(log.unwrap_or_else(|| self.directory().join(START_LOG))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

/// The last line of `postmaster.pid`: `starting`, `ready` or `stopping`.
fn read_status(pid_file: &str) -> &str {
    pid_file.lines().last().unwrap_or_default().trim()
}

/// Space that an account other than root can still use.
fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = statvfs(directory).ok()?;
    Some(multiply(disk.blocks_available(), disk.fragment_size()))
}

/// The types of both depend on the system.
fn multiply(count: impl Into<u64>, size: impl Into<u64>) -> u64 {
    count.into().saturating_mul(size.into())
}

fn newest_file(directory: &Path, since: SystemTime) -> Option<PathBuf> {
    let modified = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let newest = directory.read_dir().ok()?.flatten().filter_map(modified).max()?;
    (newest.0 >= since).then_some(newest.1)
}
