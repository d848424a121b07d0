//! `uptok imports`: lists the imports that were uploaded in the browser, and discards those that wait.

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use diesel::{OptionalExtension as _, PgConnection};
use uuid::Uuid;

use super::command_context::{DatabaseHandle, print_line};
use crate::{accounts, config::Settings, ids::ClientId, sessions, web::format::time::rfc3339};

#[derive(Subcommand)]
pub(super) enum ImportsCommand {
    /// List the latest imports of a client: ID, state, when and by whom the file was uploaded, and its name
    List {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
    },
    /// Discard an import that is being checked or waits for a user. Its file is deleted and nothing of it is stored
    Discard {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// Its ID in the list
        import_id: Uuid,
    },
}

pub(super) fn run(settings: &Settings, command: ImportsCommand) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    match command {
        ImportsCommand::List { client } => list(&mut connection, &client),
        ImportsCommand::Discard { client, import_id } => discard(&mut connection, &client, import_id),
    }
}

/// The name of the file is the last field because it may contain spaces.
fn list(connection: &mut PgConnection, client: &ClientId) -> anyhow::Result<()> {
    accounts::require_client(connection, client)?;
    sessions::list_imports(connection, client)?.iter().try_for_each(|(import, uploader)| {
        let (state, begun) = (import.state.label(), rfc3339(import.created_at));
        let uploader = uploader.as_deref().unwrap_or("-");
        print_line(&format!("{}\t{state}\t{begun}\t{uploader}\t{}", import.import_id, import.file_name))
    })
}

fn discard(connection: &mut PgConnection, client: &ClientId, import_id: Uuid) -> anyhow::Result<()> {
    accounts::require_client(connection, client)?;
    let discarded = sessions::discard_import(connection, client, import_id).optional()?;
    let is_discarded = discarded.with_context(|| format!("{client} has no import {import_id}"))?;
    ensure!(is_discarded, "{import_id} does not wait any more: it is being stored or has ended");
    print_line(&format!("{import_id} is discarded"))
}
