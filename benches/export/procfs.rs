//! What processes use, where there is `/proc`.

use std::{fs, process::Command};

/// The memory of a process.
pub(crate) struct Memory {
    /// In RAM now, in MiB.
    pub(crate) now: f64,
}

pub(crate) fn memory_of(pid: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
    };
    Some(Memory { now: mebibytes("VmRSS:")? })
}

/// CPU time of the server and of PostgreSQL since they started, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
}

/// Reads the CPU time of two processes.
#[derive(Clone, Copy)]
pub(crate) struct Meter {
    pub(crate) server: u32,
    /// The postmaster: its backends are its children.
    pub(crate) postgres: u32,
    ticks_per_second: f64,
}

impl Meter {
    /// `None` where there is no `/proc`.
    pub(crate) fn of(server: u32, postgres: u32) -> Option<Self> {
        let ticks = Command::new("getconf").arg("CLK_TCK").output().ok()?.stdout;
        let meter =
            Self { server, postgres, ticks_per_second: String::from_utf8(ticks).ok()?.trim().parse().ok()? };
        meter.read().map(|_cpu| meter)
    }

    pub(crate) fn read(self) -> Option<Cpu> {
        let seconds = |ticks| ticks / self.ticks_per_second;
        let server = Times::of(&self.server.to_string())?.own;
        Some(Cpu { server: seconds(server), postgres: seconds(self.postgres_ticks()?) })
    }

    /// Of the postmaster, of its children, and of those that have ended.
    fn postgres_ticks(self) -> Option<f64> {
        let mut postmaster = Times::of(&self.postgres.to_string())?;
        loop {
            let processes = fs::read_dir("/proc").ok()?.flatten();
            let living: f64 = processes
                .filter_map(|entry| Times::of(entry.file_name().to_str()?))
                .filter(|times| times.parent == self.postgres)
                .map(|times| times.own)
                .sum();
            let before = std::mem::replace(&mut postmaster, Times::of(&self.postgres.to_string())?);
            // A child that ended while we looked would count twice or not at all.
            if before.of_ended_children.total_cmp(&postmaster.of_ended_children).is_eq() {
                return Some(postmaster.own + postmaster.of_ended_children + living);
            }
        }
    }
}

/// From `/proc/<pid>/stat`, in clock ticks.
struct Times {
    parent: u32,
    own: f64,
    of_ended_children: f64,
}

impl Times {
    fn of(pid: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // 4711 (name) S parent … utime stime cutime cstime …: the name may hold anything, so count after it.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let sum = |from: usize| {
            Some(fields.get(from)?.parse::<f64>().ok()? + fields.get(from + 1)?.parse::<f64>().ok()?)
        };
        Some(Self { parent: fields.get(1)?.parse().ok()?, own: sum(11)?, of_ended_children: sum(13)? })
    }
}
