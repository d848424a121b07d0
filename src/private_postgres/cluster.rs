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
    binaries::Programs,
    location::Place,
    socket::{PORT, Socket},
    system_account::Account,
};

/// How long PostgreSQL may take to start or stop: after a power cut it replays what it had not yet written.
const PATIENCE: Duration = Duration::from_secs(600);

/// How often we look whether another start or stop has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where PostgreSQL complains before it has opened its log.
const START_LOG: &str = "start.log";

/// A cluster with all that it takes to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) socket: Socket,
    directory: PathBuf,
    account: Account,
    programs: Programs,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Stopped,
    /// On its way up or down.
    Changing,
    Ready,
}

impl Cluster {
    /// The cluster of `place`.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let directory = place.cluster_path()?;
        let account = Account::owning(&directory)?;
        let programs = Programs::that_made(&directory)?;
        Ok(Self { socket: Socket::of(&directory, account), directory, account, programs })
    }

    /// Returns once PostgreSQL accepts connections, which it may do already.
    pub(super) fn run(&self, tuning: Tuning) -> anyhow::Result<()> {
        match self.settled()? {
            State::Ready => tracing::info!("PostgreSQL is running already in {}", self.directory.display()),
            _ => self.start(tuning)?,
        }
        Ok(())
    }

    /// Stops PostgreSQL if it runs. What is still connected is cut off.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        if self.settled()? == State::Stopped {
            return Ok(());
        }
        let mut pg_ctl = self.pg_ctl("stop");
        // Out of reach of a second, impatient Ctrl-C, which would leave PostgreSQL stopping unattended.
        pg_ctl.args(["-m", "fast"]).process_group(0);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        self.socket.clear();
        tracing::info!("PostgreSQL stopped");
        Ok(())
    }

    fn start(&self, tuning: Tuning) -> anyhow::Result<()> {
        self.socket.prepare()?;
        self.forget_old_logs();
        let began = SystemTime::now();
        // The log file also keeps PostgreSQL from holding our own output open.
        let mut pg_ctl = self.pg_ctl("start");
        pg_ctl.args(["-l", START_LOG, "-o", &self.options(tuning)]);
        let output = pg_ctl.output().context("Cannot run pg_ctl")?;
        // It also fails when an unfinished start of a killed process came to its end first.
        if !output.status.success() && self.settled()? != State::Ready {
            bail!("PostgreSQL did not start in {}:\n{}", self.directory.display(), self.last_words(began));
        }
        tracing::info!("PostgreSQL started in {}", self.directory.display());
        Ok(())
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut pg_ctl = self.account.command(self.programs.pg_ctl(), &self.directory);
        // As "." the path needs no quoting: pg_ctl starts PostgreSQL through a shell.
        pg_ctl.args([action, "-D", ".", "-w", "-t", &PATIENCE.as_secs().to_string()]);
        pg_ctl
    }

    /// What must hold at each start, whatever `postgresql.conf` says. Nothing here needs quoting.
    fn options(&self, tuning: Tuning) -> String {
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
    fn settled(&self) -> anyhow::Result<State> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.state()? {
                State::Changing => ensure!(
                    Instant::now() < deadline,
                    "PostgreSQL in {} has been starting or stopping for {} minutes",
                    self.directory.display(),
                    PATIENCE.as_secs() / 60
                ),
                settled => return Ok(settled),
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// What PostgreSQL is doing. A file `postmaster.pid` proves nothing: after a power cut it is still there, and
    /// the number in it may belong to another process by now.
    fn state(&self) -> anyhow::Result<State> {
        let pid_file = self.directory.join("postmaster.pid");
        let contents = match fs::read_to_string(&pid_file) {
            Ok(contents) => contents,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::Stopped),
            Err(error) => return Err(error).with_context(|| format!("Cannot read {}", pid_file.display())),
        };
        if self.socket.answers() {
            let is_ready = contents.lines().last().is_some_and(|status| status.trim() == "ready");
            return Ok(if is_ready { State::Ready } else { State::Changing });
        }
        let pid = contents.lines().next().unwrap_or_default().trim();
        match self.works_here(pid) {
            Some(true) => Ok(State::Changing),
            Some(false) => {
                // Were the old server's children still at work, PostgreSQL would notice by their shared memory.
                tracing::info!("Removing {}: process {pid} is not its PostgreSQL", pid_file.display());
                fs::remove_file(&pid_file)?;
                self.socket.remove_lock()?;
                Ok(State::Stopped)
            }
            None => Ok(State::Stopped), // PostgreSQL itself sees that this process is gone
        }
    }

    /// Whether the process `pid` works in this cluster's directory, as a PostgreSQL does, if we can find out.
    fn works_here(&self, pid: &str) -> Option<bool> {
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
    fn forget_old_logs(&self) {
        let mut rm = self.account.command("rm", &self.directory);
        let mut find = self.account.command("find", &self.directory);
        rm.args(["-f", START_LOG]);
        find.args(["log", "-type", "f", "-mtime", "+6", "-delete"]);
        // Nobody misses them, and a first start has none.
        let _ = (rm.output(), find.output());
    }

    /// The end of PostgreSQL's own log, as far as it was written since the start `began`.
    fn last_words(&self, began: SystemTime) -> String {
        let log = newest_file(&self.directory.join("log"), began);
        let words = fs::read(log.unwrap_or_else(|| self.directory.join(START_LOG))).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let lines: Vec<&str> = words.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

fn newest_file(directory: &Path, since: SystemTime) -> Option<PathBuf> {
    let written = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    let newest = directory.read_dir().ok()?.flatten().filter_map(written).max()?;
    (newest.0 >= since).then_some(newest.1)
}
