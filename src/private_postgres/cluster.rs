//! A cluster that exists: running it, waiting for it, stopping it.

use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail, ensure};

use super::{
    Tuning,
    binaries::PostgresBinaries,
    location::ClusterLocation,
    socket::{PORT, UnixSocket},
    system_account::SystemAccount,
};

/// How long PostgreSQL may take to start or stop: after a power cut it replays what it had not yet written.
const START_STOP_TIMEOUT: Duration = Duration::from_secs(600);

/// How often we look whether another start or stop has come to its end.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Where PostgreSQL complains before it has opened its log.
const START_LOG: &str = "start.log";

/// A cluster with all that it takes to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) socket: UnixSocket,
    directory: PathBuf,
    account: SystemAccount,
    binaries: PostgresBinaries,
}

#[derive(Debug, PartialEq, Eq)]
enum ServerState {
    Stopped,
    /// On its way up or down.
    Transitioning,
    Ready,
}

impl Cluster {
    /// The cluster of `place`.
    pub(super) fn open(location: &ClusterLocation) -> anyhow::Result<Self> {
        let directory = location.canonical_cluster_dir()?;
        let account = SystemAccount::from_owner_of(&directory)?;
        let binaries = PostgresBinaries::find_for_cluster(&directory)?;
        Ok(Self { socket: UnixSocket::for_cluster(&directory, account), directory, account, binaries })
    }

    /// Returns once PostgreSQL accepts connections, which it may do already.
    pub(super) fn ensure_running(&self, tuning: Tuning) -> anyhow::Result<()> {
        match self.wait_until_settled()? {
            ServerState::Ready => {
                tracing::info!("PostgreSQL is running already in {}", self.directory.display());
            }
            _ => self.start(tuning)?,
        }
        Ok(())
    }

    /// Stops PostgreSQL if it runs. What is still connected is cut off.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        if self.wait_until_settled()? == ServerState::Stopped {
            return Ok(());
        }
        let mut pg_ctl = self.pg_ctl("stop");
        // Out of reach of a second, impatient Ctrl-C, which would leave PostgreSQL stopping unattended.
        pg_ctl.args(["-m", "fast"]).process_group(0);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        self.socket.remove_directory();
        tracing::info!("PostgreSQL stopped");
        Ok(())
    }

    fn start(&self, tuning: Tuning) -> anyhow::Result<()> {
        self.socket.ensure_private_directory()?;
        self.delete_old_logs();
        let start_time = SystemTime::now();
        // The log file also keeps PostgreSQL from holding our own output open.
        let mut pg_ctl = self.pg_ctl("start");
        pg_ctl.args(["-l", START_LOG, "-o", &self.server_options(tuning)]);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        // It also fails when an unfinished start of a killed process came to its end first.
        if !output.status.success() && self.wait_until_settled()? != ServerState::Ready {
            bail!("PostgreSQL did not start in {}:\n{}", self.directory.display(), self.log_tail(start_time));
        }
        tracing::info!("PostgreSQL started in {}", self.directory.display());
        Ok(())
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = self.account.command(self.binaries.pg_ctl(), &self.directory);
        // As "." the path needs no quoting: pg_ctl starts PostgreSQL through a shell.
        pg_ctl.args([action, "-D", ".", "-w", "-t", &START_STOP_TIMEOUT.as_secs().to_string()]);
        pg_ctl
    }

    /// What must hold at each start, whatever `postgresql.conf` says. Nothing here needs quoting.
    fn server_options(&self, tuning: Tuning) -> String {
        let mut options = format!(
            "-c listen_addresses= -c port={PORT} -c unix_socket_directories={} \
             -c log_parameter_max_length=0 -c log_parameter_max_length_on_error=0 -c log_error_verbosity=terse",
            self.socket.directory.display()
        );
        if tuning == Tuning::ForTests {
            options.push_str(
                " -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200",
            );
        }
        options
    }

    /// Waits until PostgreSQL is either stopped or ready.
    fn wait_until_settled(&self) -> anyhow::Result<ServerState> {
        let deadline = Instant::now() + START_STOP_TIMEOUT;
        loop {
            match self.state()? {
                ServerState::Transitioning => ensure!(
                    Instant::now() < deadline,
                    "PostgreSQL in {} has been starting or stopping for {} minutes",
                    self.directory.display(),
                    START_STOP_TIMEOUT.as_secs() / 60
                ),
                settled => return Ok(settled),
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// What PostgreSQL is doing. A file `postmaster.pid` proves nothing: after a power cut it is still there, and
    /// the number in it may belong to another process by now.
    fn state(&self) -> anyhow::Result<ServerState> {
        let pid_file = self.directory.join("postmaster.pid");
        let contents = match fs::read_to_string(&pid_file) {
            Ok(contents) => contents,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ServerState::Stopped),
            Err(error) => return Err(error).with_context(|| format!("Cannot read {}", pid_file.display())),
        };
        if self.socket.is_listening() {
            let is_ready = contents.lines().last().is_some_and(|status| status.trim() == "ready");
            return Ok(if is_ready { ServerState::Ready } else { ServerState::Transitioning });
        }
        let pid = contents.lines().next().unwrap_or_default().trim();
        match self.is_process_in_cluster_dir(pid) {
            Some(true) => Ok(ServerState::Transitioning),
            Some(false) => {
                // Were the old server's children still at work, PostgreSQL would notice by their shared memory.
                tracing::info!("Removing {}: process {pid} is not its PostgreSQL", pid_file.display());
                fs::remove_file(&pid_file)?;
                self.socket.remove_lock_file()?;
                Ok(ServerState::Stopped)
            }
            None => Ok(ServerState::Stopped), // PostgreSQL itself sees that this process is gone
        }
    }

    /// Whether the process `pid` works in this cluster's directory, as a PostgreSQL does, if we can find out.
    fn is_process_in_cluster_dir(&self, pid: &str) -> Option<bool> {
        // 4711 (postgres) S … - where nobody collects the dead, as in many containers, they keep their number.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        if stat.rsplit(") ").next()?.starts_with(['Z', 'X']) {
            return Some(false);
        }
        // As the account, because root in a container may not look at the processes of others.
        let mut readlink = self.account.command("readlink", &self.directory);
        let output = readlink.args(["-n", &format!("/proc/{pid}/cwd")]).output().ok()?;
        output.status.success().then(|| output.stdout == self.directory.as_os_str().as_encoded_bytes())
    }

    /// The weekday files are begun anew only by a PostgreSQL that runs at midnight.
    fn delete_old_logs(&self) {
        let mut rm = self.account.command("rm", &self.directory);
        let mut find = self.account.command("find", &self.directory);
        rm.args(["-f", START_LOG]);
        find.args(["log", "-type", "f", "-mtime", "+6", "-delete"]);
        // Nobody misses them, and a first start has none.
        let _ = (rm.output(), find.output());
    }

    /// The end of PostgreSQL's own log, as far as it was written since the start `began`.
    fn log_tail(&self, start_time: SystemTime) -> String {
        let log = newest_file(&self.directory.join("log"), start_time);
        let text = fs::read(log.unwrap_or_else(|| self.directory.join(START_LOG))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

fn newest_file(directory: &Path, since: SystemTime) -> Option<PathBuf> {
    let modified = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let newest = directory.read_dir().ok()?.flatten().filter_map(modified).max()?;
    (newest.0 >= since).then_some(newest.1)
}
