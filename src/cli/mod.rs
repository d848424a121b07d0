//! The command line: `uptok serve`, `migrate`, `distribute`, `import`, `imports …`, `erase`, `user …`, `client …`, `invitation …`, `keys …`,
//! `audit …`, `mail …`, `questions`, `database-url`, `clusters …`.

mod argument_error;
mod audit;
mod client;
mod clusters;
mod command_context;
mod distribute;
mod erase;
mod import;
mod imports;
mod invitation;
mod keys;
mod log_output;
mod mail;
mod questions;
mod serve;
mod user;
mod user_sign_ins;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::ensure;
use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{config::Settings, private_postgres::PrivatePostgres};
use audit::AuditCommand;
use client::ClientCommand;
use clusters::ClustersCommand;
use command_context::{DatabaseHandle, audit_context, print_line};
use erase::EraseCommand;
use import::ImportCommand;
use imports::ImportsCommand;
use invitation::InvitationCommand;
use keys::KeysCommand;
use mail::MailCommand;
use user::UserCommand;

/// The last line of the help of a command.
const SETTINGS_HINT: &str =
    "The settings, such as DATABASE_URL, are in `uptok --help`. Every command takes them.";

/// API keys for recorded sessions: a dashboard to make them, an endpoint to use them.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Run the dashboard and the API; migrates the database first
    Serve {
        /// On a database without users, create a demo client with sessions and a demo user, and print its password once
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database to this version's schema
    Migrate,
    /// Distribute the tables over the servers of Citus. Running it again does only what is missing
    Distribute,
    /// Import sessions from a CSV or NDJSON file. Importing a file again changes nothing: a line is matched by its
    /// externalId, else by its sessionId, else by its content
    Import(ImportCommand),
    /// List the imports that were uploaded in the browser, and discard those that wait
    Imports {
        #[command(subcommand)]
        command: ImportsCommand,
    },
    /// Erase a shopper's personal data from the sessions of a client. The sessions stay
    Erase(EraseCommand),
    /// Add, list, disable and remove users, set roles, names, emails and passwords, and end sign-ins
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// List, add and rename clients
    Client {
        #[command(subcommand)]
        command: ClientCommand,
    },
    /// Invite people to a client, and list, resend and withdraw invitations
    Invitation {
        #[command(subcommand)]
        command: InvitationCommand,
    },
    /// List, create, change, replace and delete API keys
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Check and export the audit log
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// List and retry the mail in the outbox, and test the SMTP server
    Mail {
        #[command(subcommand)]
        command: MailCommand,
    },
    /// Print the latest questions from the API documentation's form
    Questions {
        /// How many at most, 1 to 1000
        #[arg(long, default_value = "20", value_parser = clap::value_parser!(i64).range(1..=1000))]
        last: i64,
    },
    /// Print the URL of the private PostgreSQL, for psql and other tools
    DatabaseUrl,
    /// List and remove private PostgreSQL databases whose data directory is gone
    Clusters {
        #[command(subcommand)]
        command: ClustersCommand,
    },
}

/// Parses the arguments and runs the command. An error is printed as one line on standard error.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse_arguments() {
        Ok(cli) => cli,
        Err(error) => return argument_error::print(&error),
    };
    let logs = match log_output::start_logging(&cli.settings) {
        Ok(logs) => logs,
        Err(error) => return print_error(&error),
    };
    let outcome = run(cli);
    logs.flush();
    match outcome {
        Ok(code) => code,
        // The reader of our output, such as `head`, has exited: this is not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => print_error(&error),
    }
}

/// The help does not show the values of settings, which may be secret.
fn parse_arguments() -> Result<Cli, clap::Error> {
    let mut command = Cli::command().mut_args(|argument| argument.hide_env_values(true));
    // Passes the settings on to the commands.
    command.build();
    let command = command.mut_subcommands(|command| match command.get_name() {
        // It uses all of them.
        "serve" => command,
        _ => hide_settings(command),
    });
    Cli::from_arg_matches_mut(&mut command.try_get_matches()?)
}

/// Leaves the settings out of the help of a command, where they would hide its own options.
fn hide_settings(command: Command) -> Command {
    let hide = |argument: Arg| {
        let is_setting = argument.is_global_set();
        argument.hide(is_setting)
    };
    command.mut_args(hide).mut_subcommands(hide_settings).after_help(SETTINGS_HINT)
}

fn print_error(error: &anyhow::Error) -> ExitCode {
    // Standard error may be closed; then the error cannot be reported anywhere.
    let _ignored = writeln!(io::stderr(), "uptok: {error:#}");
    ExitCode::FAILURE
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = cli.settings;
    match cli.command {
        CliCommand::Serve { demo } => serve::run(settings, demo)?,
        CliCommand::Migrate => {
            let database = DatabaseHandle::open(&settings)?;
            print_line(&format!("{} migrations were run.", database.set_up(&settings)?))?;
        }
        CliCommand::Distribute => distribute::run(&settings)?,
        CliCommand::Import(import) => {
            let (_database, db) = DatabaseHandle::connect(&settings)?;
            return import.run(&mut *db.connect()?, &audit_context(&settings)?);
        }
        CliCommand::Imports { command } => imports::run(&settings, command)?,
        CliCommand::Erase(erase) => {
            let (_database, db) = DatabaseHandle::connect(&settings)?;
            erase.run(&mut *db.connect()?, &audit_context(&settings)?)?;
        }
        CliCommand::User { command } => user::run(&settings, command)?,
        CliCommand::Client { command } => client::run(&settings, command)?,
        CliCommand::Invitation { command } => invitation::run(&settings, command)?,
        CliCommand::Keys { command } => keys::run(&settings, command)?,
        CliCommand::Audit { command } => return audit::run(&settings, command),
        CliCommand::Mail { command } => mail::run(&settings, command)?,
        CliCommand::Questions { last } => questions::run(&settings, last)?,
        CliCommand::DatabaseUrl => {
            ensure!(
                settings.database_url().is_none(),
                "DATABASE_URL is set, so there is no private PostgreSQL"
            );
            print_line(&PrivatePostgres::find_url(&settings.data_dir)?)?;
        }
        CliCommand::Clusters { command } => clusters::run(command)?,
    }
    Ok(ExitCode::SUCCESS)
}
