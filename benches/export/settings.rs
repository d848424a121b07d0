//! Settings of the benchmark, from the environment. The server inherits the environment, so its settings apply too.

use anyhow::{Context as _, ensure};

use super::PER_PAGE;

pub(crate) struct BenchSettings {
    /// `UPTOK_BENCH_SESSIONS`: number of sessions of the measured client, at least 100 (two pages).
    pub(crate) sessions: u32,
    /// `UPTOK_BENCH_SECONDS`: duration of one measurement, at least 1. Each scenario has six.
    pub(crate) seconds: u32,
    /// Argument `memory`: measure nothing else.
    pub(crate) is_memory_only: bool,
}

impl BenchSettings {
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let settings = Self {
            sessions: read_number("UPTOK_BENCH_SESSIONS", 1_000_000)?,
            seconds: read_number("UPTOK_BENCH_SECONDS", 5)?,
            is_memory_only: std::env::args().any(|argument| argument == "memory"),
        };
        ensure!(settings.sessions >= 2 * PER_PAGE, "UPTOK_BENCH_SESSIONS must be at least {}", 2 * PER_PAGE);
        ensure!(settings.seconds >= 1, "UPTOK_BENCH_SECONDS must be at least 1");
        Ok(settings)
    }
}

#[expect(clippy::disallowed_methods, reason = "these are settings of the benchmark, not of the program")]
fn read_number(name: &str, default: u32) -> anyhow::Result<u32> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} must be a whole number")),
        Err(_unset) => Ok(default),
    }
}
