//! The command line: `uptok serve`, `migrate`, `import`, `erase`, `user …`, `keys …`, `audit …`, `database-url`.

mod audit;
mod environment;
mod erase;
mod import;
mod keys;
mod logs;
mod questions;
mod serve;
mod user;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::ensure;
use clap::{Parser, Subcommand};

use crate::{config::Settings, db::Db, private_postgres::PrivatePostgres};
use audit::AuditCommand;
use environment::{DatabaseHandle, say, trail};
use erase::EraseCommand;
use import::ImportCommand;
use keys::KeysCommand;
use user::UserCommand;

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
        /// On a database without users: make a demo client with sessions, and a demo user whose password is printed once
        #[arg(long)]
        demo: bool,
    },
    /// Bring the database to this version's schema
    Migrate,
    /// Import sessions from a CSV or NDJSON file. Again changes nothing: a line is known by its externalId, or else by
    /// its sessionId, or else by what it says
    Import(ImportCommand),
    /// Erase what the sessions of a client tell of a shopper. The sessions stay
    Erase(EraseCommand),
    /// Add, list, disable and remove users, set roles and passwords
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// List, make and delete API keys
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Check the audit log
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the last questions from the API documentation's form
    Questions {
        /// How many at most, 1 to 1000
        #[arg(long, default_value = "20", value_parser = clap::value_parser!(i64).range(1..=1000))]
        last: i64,
    },
    /// Print the URL of the private PostgreSQL, for psql or a second node
    DatabaseUrl,
}

/// Runs what the arguments ask for; a failure is one sentence.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let logs = match logs::begin(&cli.settings) {
        Ok(logs) => logs,
        Err(error) => return failed(&error),
    };
    let outcome = run(cli);
    logs.write();
    match outcome {
        Ok(code) => code,
        // Whoever reads what we print has enough, such as `head`.
        Err(error) if is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // Standard error may be closed; then there is nobody to tell.
    let _ignored = writeln!(io::stderr(), "uptok: {error:#}");
    ExitCode::FAILURE
}

fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = cli.settings;
    match cli.command {
        CliCommand::Serve { demo } => serve::run(settings, demo)?,
        CliCommand::Migrate => {
            let database = DatabaseHandle::open(&settings)?;
            say(&format!("{} migrations were run.", Db::migrate(&database.url)?))?;
        }
        CliCommand::Import(import) => {
            let (_database, db) = DatabaseHandle::connect(&settings)?;
            return import.run(&mut *db.connect()?, &trail(&settings)?);
        }
        CliCommand::Erase(erase) => {
            let (_database, db) = DatabaseHandle::connect(&settings)?;
            erase.run(&mut *db.connect()?, &trail(&settings)?)?;
        }
        CliCommand::User { command } => user::run(&settings, command)?,
        CliCommand::Keys { command } => keys::run(&settings, command)?,
        CliCommand::Audit { command } => return audit::run(&settings, command),
        CliCommand::Questions { last } => questions::run(&settings, last)?,
        CliCommand::DatabaseUrl => {
            ensure!(
                settings.database_url().is_none(),
                "DATABASE_URL is set, so there is no private PostgreSQL"
            );
            say(&PrivatePostgres::url_of(&settings.data_dir)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
