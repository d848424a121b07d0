//! What may be changed about a run, from the environment. The server reads its own settings from there too.

use anyhow::{Context as _, ensure};

use super::PER_PAGE;

/// How large and how long.
pub(crate) struct BenchSettings {
    /// `UPTOK_BENCH_SESSIONS`: sessions of the measured client, at least two pages.
    pub(crate) sessions: u32,
    /// `UPTOK_BENCH_SECONDS`: how long each of the measurements takes, of which every figure has six.
    pub(crate) seconds: u32,
}

impl BenchSettings {
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let settings = Self {
            sessions: read_number("UPTOK_BENCH_SESSIONS", 1_000_000)?,
            seconds: read_number("UPTOK_BENCH_SECONDS", 5)?,
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
