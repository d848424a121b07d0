//! `uptok client`: lists, adds and renames clients, and sets whether members need a second factor.

use anyhow::Context as _;
use clap::Subcommand;

use super::command_context::{DatabaseHandle, audit_context, print_line};
use crate::{
    accounts::{self, DisplayName, EmailAddress},
    clients,
    config::Settings,
    ids::ClientId,
};

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// List clients: Client ID and name
    List,
    /// Add a client that a user owns, and print its Client ID. For a new user, see `uptok user add --company`
    Add {
        /// The name of the client
        #[arg(long, value_parser = |text: &str| text.parse::<DisplayName>())]
        company: DisplayName,
        /// The email of the user who becomes its owner
        #[arg(long, value_name = "EMAIL", value_parser = |text: &str| text.parse::<EmailAddress>().map_err(str::to_owned))]
        owner: EmailAddress,
    },
    /// Give a client another name
    Rename {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// The new name
        #[arg(long, value_parser = |text: &str| text.parse::<DisplayName>())]
        company: DisplayName,
    },
    /// Require a second factor of the members of a client: those without one can only set one up
    RequireSecondFactor {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// No longer require one
        #[arg(long)]
        off: bool,
    },
}

pub(super) fn run(settings: &Settings, command: ClientCommand) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    match command {
        ClientCommand::List => {
            let clients = clients::list_clients(&mut connection)?;
            clients.iter().try_for_each(|(client, name)| print_line(&format!("{client}\t{name}")))
        }
        ClientCommand::Add { company, owner } => {
            let user_id = accounts::find_user_id(&mut connection, &owner)?;
            let user_id = user_id.with_context(|| format!("there is no user {owner}"))?;
            let client = clients::create(&mut connection, &audit_context(settings)?, user_id, &company)?;
            print_line(&format!("{owner} is owner of {client}"))
        }
        ClientCommand::Rename { client, company } => {
            accounts::require_client(&mut connection, &client)?;
            clients::rename(&mut connection, &audit_context(settings)?, &client, &company)?;
            print_line(&format!("{client} is now called {}", company.as_str()))
        }
        ClientCommand::RequireSecondFactor { client, off } => {
            accounts::require_client(&mut connection, &client)?;
            clients::require_second_factor(&mut connection, &audit_context(settings)?, &client, !off)?;
            let verb = if off { "no longer need" } else { "need" };
            print_line(&format!("Members of {client} {verb} a second factor"))
        }
    }
}
