//! Child processes that never outlive the benchmark.

use std::{fs::File, path::Path, process::Stdio, thread, time::Duration};

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// Killed on drop.
pub(crate) struct ChildProcess(Child);

impl ChildProcess {
    /// Starts `command` in `directory`. Its standard output and error go to the file `log` there.
    pub(crate) fn start(command: &mut Command, directory: &Path, log: &str) -> anyhow::Result<Self> {
        let log = File::create(directory.join(log))?;
        command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let program = command.as_std().get_program().display().to_string();
        Ok(Self(command.spawn().with_context(|| format!("Cannot run {program}"))?))
    }

    /// Waits for the process to exit and returns whether its exit status is 0.
    pub(crate) async fn wait_for_success(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.wait().await?.success())
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.0.id().context("the process has exited")
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Ignore the error if it has already exited. Reap it within a second, because in a container without an init
        // process it would remain a zombie.
        let _ignored = self.0.start_kill();
        for _ in 0..100 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
