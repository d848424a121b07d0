//! What processes use, where there is `/proc`.

use std::{fs, process::Command};

/// The memory that the process `pid` has in RAM, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// CPU time of the server and of PostgreSQL since they started, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
}

/// Reads the CPU time of two processes.
#[derive(Clone, Copy)]
pub(crate) struct CpuSampler {
    pub(crate) server: u32,
    /// The postmaster: its backends are its children.
    pub(crate) postgres: u32,
    ticks_per_second: f64,
}

impl CpuSampler {
    /// `None` where there is no `/proc`.
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

    /// Of the postmaster, of its children, and of those that have ended.
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
            // A child that ended while we looked would count twice or not at all.
            if before.reaped_children.total_cmp(&postmaster.reaped_children).is_eq() {
                return Some(postmaster.own + postmaster.reaped_children + running_children);
            }
        }
    }
}

/// From `/proc/<pid>/stat`, in clock ticks.
struct ProcessTimes {
    parent: u32,
    own: f64,
    reaped_children: f64,
}

impl ProcessTimes {
    fn read(pid: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // 4711 (name) S parent … utime stime cutime cstime …: the name may hold anything, so count after it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let sum = |from: usize| {
            Some(fields.get(from)?.parse::<f64>().ok()? + fields.get(from + 1)?.parse::<f64>().ok()?)
        };
        Some(Self { parent: fields.get(1)?.parse().ok()?, own: sum(11)?, reaped_children: sum(13)? })
    }
}
