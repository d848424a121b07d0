//! The main process of a running server, which PostgreSQL calls the postmaster.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::system_account::SystemAccount;

/// Name of the file in a cluster that starts with the process ID of its server.
pub(super) const PID_FILE: &str = "postmaster.pid";

/// Time limit for an immediate shutdown, after which the process is killed. PostgreSQL itself kills its children after
/// 5 seconds.
const QUIT_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A process, identified by its start time as well, because process IDs are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Postmaster {
    pid: Pid,
    /// In clock ticks since the machine started.
    start_time: u64,
}

impl Postmaster {
    /// The server that runs in `cluster`. Returns `None` if there is none, or if the system has no `/proc`.
    pub(super) fn find(cluster: &Path, account: SystemAccount) -> Option<Self> {
        let contents = fs::read_to_string(cluster.join(PID_FILE)).ok()?;
        let pid = contents.lines().next()?.trim();
        if works_in(pid, cluster, account)? { Self::from_pid(pid.parse().ok()?) } else { None }
    }

    fn from_pid(pid: i32) -> Option<Self> {
        let start_time = ProcessStat::read(&pid.to_string())?.start_time?;
        // Process ID 0 and negative ones address process groups.
        (pid > 0).then_some(Self { pid: Pid::from_raw(pid), start_time })
    }

    pub(super) fn has_pid(self, pid: &str) -> bool {
        pid.parse() == Ok(self.pid.as_raw())
    }

    pub(super) fn is_running(self) -> bool {
        ProcessStat::read(&self.pid.to_string())
            .is_some_and(|stat| !stat.is_dead && stat.start_time == Some(self.start_time))
    }

    /// Ends the server without a checkpoint, like `pg_ctl stop -m immediate`. Nothing that was committed is lost: the
    /// next start recovers it.
    ///
    /// # Errors
    /// If the process cannot be signalled, or survives.
    pub(super) fn quit(self) -> anyhow::Result<()> {
        for signal in [Signal::SIGQUIT, Signal::SIGKILL] {
            self.send(signal)?;
            if self.wait_for_end() {
                return Ok(());
            }
        }
        bail!("PostgreSQL (process {}) does not end", self.pid)
    }

    fn send(self, signal: Signal) -> anyhow::Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        match kill(self.pid, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("Cannot stop PostgreSQL (process {})", self.pid))
            }
        }
    }

    fn wait_for_end(self) -> bool {
        let deadline = Instant::now() + QUIT_TIMEOUT;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }
}

/// Whether `cluster` is the working directory of process `pid`, as it is of its server.
///
/// Returns `None` if `/proc` has no answer, for instance because the process is gone.
pub(super) fn works_in(pid: &str, cluster: &Path, account: SystemAccount) -> Option<bool> {
    if ProcessStat::read(pid)?.is_dead {
        return Some(false);
    }
    // Run as the owner: in a container even root may lack permission to read another user's /proc/<pid>/cwd.
    let mut readlink = account.command("readlink", cluster);
    let output = readlink.args(["-n", &format!("/proc/{pid}/cwd")]).output().ok()?;
    output.status.success().then(|| output.stdout == cluster.as_os_str().as_encoded_bytes())
}

/// What `/proc/<pid>/stat` says about a process.
struct ProcessStat {
    /// In containers without an init process, dead processes are not reaped and keep their process ID.
    is_dead: bool,
    start_time: Option<u64>,
}

impl ProcessStat {
    fn read(pid: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Format: `4711 (postgres) S …`. The state is field 3 and the start time field 22; the name may contain anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let start_time = fields.split(' ').nth(19).and_then(|field| field.parse().ok());
        Some(Self { is_dead: fields.starts_with(['Z', 'X']), start_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_and_the_start_time_are_read_after_any_process_name() {
        let stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 217055232 5301";
        let dead = "4711 (postgres) Z 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 0 0";

        let (stat, dead) = (ProcessStat::parse(stat).unwrap(), ProcessStat::parse(dead).unwrap());

        assert_eq!((stat.is_dead, stat.start_time), (false, Some(98765)));
        assert!(dead.is_dead);
        assert!(ProcessStat::parse("cpu 1 2 3").is_none());
    }

    #[test]
    fn a_process_with_a_reused_id_is_another_one() {
        let own = i32::try_from(std::process::id()).unwrap();

        let this = Postmaster::from_pid(own).unwrap();
        let earlier = Postmaster { start_time: this.start_time - 1, ..this };

        assert!(this.is_running() && !earlier.is_running());
    }
}
