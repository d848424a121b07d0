//! `uptok audit`: exports and verifies the audit log.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use super::command_context::{DatabaseHandle, load_secret, print_line};
use crate::{
    accounts,
    audit::{self, ChainCheckpoint, ChainKey},
    config::Settings,
    ids::ClientId,
    web::format::plural,
};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Print the audit log of a client as CSV, newest record first, like the file of the page
    Export {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
    },
    /// Check that no record of the audit log was changed, and print the last one of each client; the exit status is 1 if
    /// one was
    Verify {
        /// Check only this client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: Option<ClientId>,
        /// The saved output of an earlier check, whose records must still exist unchanged
        #[arg(long)]
        checkpoint: Option<PathBuf>,
    },
}

pub(super) fn run(settings: &Settings, command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Export { client } => export(settings, &client),
        AuditCommand::Verify { client, checkpoint } => verify(settings, client, checkpoint.as_deref()),
    }
}

fn export(settings: &Settings, client: &ClientId) -> anyhow::Result<ExitCode> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, client)?;
    let mut output = io::stdout().lock();
    audit::export(&mut connection, client, |lines| Ok(output.write_all(lines)?))?;
    Ok(ExitCode::SUCCESS)
}

fn verify(
    settings: &Settings,
    client: Option<ClientId>,
    checkpoint: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let earlier = checkpoint.map(read_checkpoints).transpose()?.unwrap_or_default();
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let chain_key = ChainKey::new(&load_secret(settings)?);
    let mut connection = db.connect()?;
    let clients = match client {
        Some(client) => {
            accounts::require_client(&mut connection, &client)?;
            vec![client]
        }
        None => audit::clients(&mut connection)?,
    };
    let mut records = 0;
    let mut tampered_clients = 0;
    for client in &clients {
        match audit::verify(&mut connection, &chain_key, client, earlier.get(client.as_str()))? {
            Ok(last) => {
                print_line(&last.to_string())?;
                records += last.sequence;
            }
            Err(tampering) => {
                print_line(&format!("{client}: {tampering}."))?;
                tampered_clients += 1;
            }
        }
    }
    if tampered_clients > 0 {
        print_line(&format!(
            "The logs of {tampered_clients} of {} clients were tampered with.",
            clients.len()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    let clients = i64::try_from(clients.len())?;
    print_line(&format!("{records} records of {clients} {} are intact.", plural(clients, "client")))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the output of an earlier check and returns its checkpoints by Client ID.
fn read_checkpoints(path: &Path) -> anyhow::Result<HashMap<String, ChainCheckpoint>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut checkpoints = HashMap::new();
    for line in text.lines().filter(|line| line.starts_with("cl_")) {
        let checkpoint: ChainCheckpoint =
            line.parse().map_err(|error: &str| anyhow::anyhow!("{}: “{line}”: {error}", path.display()))?;
        checkpoints.insert(checkpoint.client.to_string(), checkpoint);
    }
    ensure!(!checkpoints.is_empty(), "{} holds no checkpoint", path.display());
    Ok(checkpoints)
}
