//! `uptok audit`: whether the audit log is as it was written.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use super::environment::{DatabaseHandle, say, secret};
use crate::{
    accounts,
    audit::{self, ChainKey, Checkpoint},
    config::Settings,
    ids::ClientId,
};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Check that every record of the audit log is as it was written, and print the last one of each client; the exit
    /// status is 1 if one is not
    Verify {
        /// Check this client alone
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: Option<ClientId>,
        /// What an earlier check printed, kept elsewhere: its records must still be there
        #[arg(long)]
        checkpoint: Option<PathBuf>,
    },
}

pub(super) fn run(settings: &Settings, command: AuditCommand) -> anyhow::Result<ExitCode> {
    let AuditCommand::Verify { client, checkpoint } = command;
    let earlier = checkpoint.as_deref().map(read).transpose()?.unwrap_or_default();
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let chain = ChainKey::new(&secret(settings)?);
    let mut connection = db.connect()?;
    let clients = match client {
        Some(client) => {
            ensure!(accounts::client_exists(&mut connection, &client)?, "there is no client {client}");
            vec![client]
        }
        None => audit::clients(&mut connection)?,
    };
    let mut records = 0;
    let mut touched = 0;
    for client in &clients {
        match audit::verify(&mut connection, &chain, client, earlier.get(client.as_str()))? {
            Ok(last) => {
                say(&last.to_string())?;
                records += last.sequence;
            }
            Err(found) => {
                say(&format!("{client}: {found}."))?;
                touched += 1;
            }
        }
    }
    if touched > 0 {
        say(&format!("{touched} of {} clients are not as they were written.", clients.len()))?;
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("{records} records of {} clients are as they were written.", clients.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// The checkpoints in what an earlier check printed.
fn read(path: &Path) -> anyhow::Result<HashMap<String, Checkpoint>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut found = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("cl_")) {
        let checkpoint: Checkpoint =
            line.parse().map_err(|error: &str| anyhow::anyhow!("{}: “{line}”: {error}", path.display()))?;
        found.insert(checkpoint.client.to_string(), checkpoint);
    }
    ensure!(!found.is_empty(), "{} holds no checkpoint", path.display());
    Ok(found)
}
