//! Log lines on their way to standard error. They are collected for a moment: a request that is answered waits neither for
//! a disk nor for whoever reads a pipe, and one system call takes many lines.

use std::{
    io::{self, IsTerminal as _, Write},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::config::{LogFormat, Settings};

/// A line waits so long at most, unless it is a warning or worse: that one, and all before it, are written at once.
const MOMENT: Duration = Duration::from_millis(50);
/// So many bytes wait at most; whoever adds more writes them.
const WAITING_MAX: usize = 64 * 1024;

/// Begins to write logs as the settings say.
pub(super) fn begin(settings: &Settings) -> anyhow::Result<LogBuffer> {
    let filter = EnvFilter::try_new(&settings.log).context("UPTOK_LOG is not a log filter")?;
    let lines = LogBuffer::default();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines.clone());
    match settings.log_format {
        LogFormat::Text => logs.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().init(),
    }
    let of_thread = lines.clone();
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        loop {
            thread::sleep(MOMENT);
            of_thread.write();
        }
    })?;
    Ok(lines)
}

/// The lines that wait to be written.
#[derive(Clone, Default)]
pub(super) struct LogBuffer {
    waiting: Arc<Mutex<Vec<u8>>>,
    /// Held by whoever writes, so that lines stay in their order.
    turn: Arc<Mutex<()>>,
}

impl LogBuffer {
    /// Writes what waits.
    pub(super) fn write(&self) {
        let _turn = locked(&self.turn);
        let lines = mem::take(&mut *locked(&self.waiting));
        if !lines.is_empty() {
            // Standard error may be closed; then there is nobody to tell.
            let _ignored = io::stderr().write_all(&lines);
        }
    }
}

/// What is behind a lock here is whole after every line, so a panic elsewhere spoils nothing.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> MakeWriter<'a> for LogBuffer {
    type Writer = LogLineWriter<'a>;

    fn make_writer(&'a self) -> LogLineWriter<'a> {
        LogLineWriter { lines: self, is_urgent: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> LogLineWriter<'a> {
        LogLineWriter { lines: self, is_urgent: *about.level() <= Level::WARN }
    }
}

/// One line.
pub(super) struct LogLineWriter<'a> {
    lines: &'a LogBuffer,
    is_urgent: bool,
}

impl Write for LogLineWriter<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let waiting = {
            let mut lines = locked(&self.lines.waiting);
            lines.extend_from_slice(text);
            lines.len()
        };
        if self.is_urgent || waiting > WAITING_MAX {
            self.lines.write();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
