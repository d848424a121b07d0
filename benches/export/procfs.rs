//! Memory and CPU time of processes, from `/proc`. Values are `None` on systems without it.

use std::{fs, process::Command};

/// Returns the resident set size of the process `pid` in MiB.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    read_mib(pid, "VmRSS:")
}

/// Returns the largest resident set size that the process `pid` ever had, in MiB.
pub(crate) fn peak_resident_mib(pid: u32) -> Option<f64> {
    read_mib(pid, "VmHWM:")
}

/// Reads a field of `/proc/<pid>/status` (see proc(5)), which is in KiB.
fn read_mib(pid: u32, field: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// CPU time of the server and of PostgreSQL: in seconds from [`CpuSampler::sample`], in µs once divided by a number of
/// requests or transactions.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
}

/// Reads the CPU time of the server and of PostgreSQL.
#[derive(Clone, Copy)]
pub(crate) struct CpuSampler {
    pub(crate) server: u32,
    /// Process ID of the postmaster. The backends are its children.
    pub(crate) postgres: u32,
    ticks_per_second: f64,
}

impl CpuSampler {
    /// `server` and `postgres` are process IDs. Returns `None` if `/proc` is missing.
    pub(crate) fn new(server: u32, postgres: u32) -> Option<Self> {
        let ticks = Command::new("getconf").arg("CLK_TCK").output().ok()?.stdout;
        let sampler =
            Self { server, postgres, ticks_per_second: String::from_utf8(ticks).ok()?.trim().parse().ok()? };
        sampler.sample().map(|_cpu| sampler)
    }

    pub(crate) fn sample(self) -> Option<CpuTime> {
        let seconds = |ticks| ticks / self.ticks_per_second;
        let server = ProcessTimes::read(&self.server.to_string())?.own;
        Some(CpuTime { server: seconds(server), postgres: seconds(self.postgres_ticks()?) })
    }

    /// Returns the CPU time of the postmaster and of all its children, including those that have exited, in clock ticks.
    fn postgres_ticks(self) -> Option<f64> {
        let mut postmaster = ProcessTimes::read(&self.postgres.to_string())?;
        loop {
            let processes = fs::read_dir("/proc").ok()?.flatten();
            let running_children: f64 = processes
                .filter_map(|entry| ProcessTimes::read(entry.file_name().to_str()?))
                .filter(|times| times.parent == self.postgres)
                .map(|times| times.own)
                .sum();
            let before = std::mem::replace(&mut postmaster, ProcessTimes::read(&self.postgres.to_string())?);
            // Retry if a child was reaped in the meantime, because it may have been counted twice or not at all.
            if before.reaped_children.total_cmp(&postmaster.reaped_children).is_eq() {
                return Some(postmaster.own + postmaster.reaped_children + running_children);
            }
        }
    }
}

/// Fields of `/proc/<pid>/stat` (see proc(5)). Times are in clock ticks.
struct ProcessTimes {
    parent: u32,
    own: f64,
    reaped_children: f64,
}

impl ProcessTimes {
    fn read(pid: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Format: 4711 (name) S parent … utime stime cutime cstime … The name may contain spaces and parentheses, so
        // split after the last one.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let sum = |from: usize| {
            Some(fields.get(from)?.parse::<f64>().ok()? + fields.get(from + 1)?.parse::<f64>().ok()?)
        };
        Some(Self { parent: fields.get(1)?.parse().ok()?, own: sum(11)?, reaped_children: sum(13)? })
    }
}
