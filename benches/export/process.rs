//! Programs that end with whoever started them.

use std::{fs::File, path::Path, process::Stdio, thread, time::Duration};

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// A running program. Dropping it kills it.
pub(crate) struct ChildProcess(Child);

impl ChildProcess {
    /// Starts `command` in `directory`; what it prints goes to the file `log` there.
    pub(crate) fn start(command: &mut Command, directory: &Path, log: &str) -> anyhow::Result<Self> {
        let log = File::create(directory.join(log))?;
        command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let program = command.as_std().get_program().display().to_string();
        Ok(Self(command.spawn().with_context(|| format!("Cannot run {program}"))?))
    }

    /// Waits until it ends, and tells whether it says that all went well.
    pub(crate) async fn wait_for_success(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.wait().await?.success())
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.0.id().context("it has ended")
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // It may have ended; and it is waited for, because without an init nobody else collects it.
        let _ignored = self.0.start_kill();
        for _ in 0..100 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}
