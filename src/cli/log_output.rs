//! Writes log lines to standard error through a buffer. Requests do not wait for a disk or for a slow reader of a pipe,
//! and one system call writes many lines.

use std::{
    io::{self, IsTerminal as _, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::anyhow;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::config::{LogFormat, Settings};

/// Longest time a line stays in the buffer. Warnings and errors are written at once, with all lines before them, so that
/// a crash right after does not lose them.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Most bytes in the buffer. The thread that exceeds it writes them itself, so that memory stays bounded.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

const NOT_A_FILTER: &str = "UPTOK_LOG (--log): it is not a log filter; use error, warn, info, debug, or a filter such as \
                            uptok=debug,info";
/// What is not logged unless `UPTOK_LOG` names it. Anyone can cause these lines, by a request that is not HTTP or by a
/// cookie that is not ours, so they could hide real failures and fill a disk.
const QUIET: &str = "actix_http::h1=off,actix_session=error";

/// Installs the log subscriber that the settings describe. The caller flushes the returned buffer before it exits.
pub(super) fn start_logging(settings: &Settings) -> anyhow::Result<LogBuffer> {
    let filter = log_filter(&settings.log)?;
    let buffer = LogBuffer::default();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(buffer.clone());
    match settings.log_format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().init(),
    }
    let buffer_to_flush = buffer.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        loop {
            thread::sleep(FLUSH_INTERVAL);
            buffer_to_flush.flush();
        }
    })?;
    Ok(buffer)
}

fn log_filter(directives: &str) -> anyhow::Result<EnvFilter> {
    // An empty filter means errors only. With something before it, it would mean nothing.
    let directives = if directives.is_empty() { "error" } else { directives };
    // The last of two directives for the same target holds.
    // The cause is dropped, because it repeats parts of the filter.
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|_repeats_value| anyhow!(NOT_A_FILTER))
}

#[derive(Clone, Default)]
pub(super) struct LogBuffer {
    lines: Arc<Mutex<Vec<u8>>>,
    /// Held while writing, so that lines stay in order.
    write_lock: Arc<Mutex<()>>,
}

impl LogBuffer {
    pub(super) fn flush(&self) {
        let _write_guard = lock(&self.write_lock);
        let lines = mem::take(&mut *lock(&self.lines));
        if !lines.is_empty() {
            // If standard error is closed, the error cannot be reported anywhere.
            let _ignored = io::stderr().write_all(&lines);
        }
    }
}

/// Ignores poisoning: the buffer is valid after every line, so a panic elsewhere leaves it intact.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = LogLineWriter<'a>;

    fn make_writer(&'a self) -> LogLineWriter<'a> {
        LogLineWriter { buffer: self, is_urgent: false }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LogLineWriter<'a> {
        LogLineWriter { buffer: self, is_urgent: *metadata.level() <= Level::WARN }
    }
}

/// Writes one line to the buffer.
pub(super) struct LogLineWriter<'a> {
    buffer: &'a LogBuffer,
    is_urgent: bool,
}

impl Write for LogLineWriter<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let buffered_bytes = {
            let mut lines = lock(&self.buffer.lines);
            lines.extend_from_slice(text);
            lines.len()
        };
        if self.is_urgent || buffered_bytes > BUFFER_BYTES_MAX {
            self.buffer.flush();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_anyone_can_cause_are_off_unless_named() {
        for (setting, expected) in [
            ("info", "actix_http::h1=off"),
            ("debug", "actix_http::h1=off"),
            ("", "error"),
            ("info,actix_http::h1=error", "actix_http::h1=error"),
        ] {
            let filter = log_filter(setting).unwrap().to_string();
            assert!(filter.split(',').any(|directive| directive == expected), "{setting}: {filter}");
        }
        assert!(log_filter("=nonsense=").is_err());
    }
}
