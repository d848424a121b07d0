//! The command line: `uptok serve`, `migrate`, `import`, `erase`, `user …`, `keys …`, `audit …`, `database-url`.

mod audit;
mod keys;
mod logs;
mod user;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::{bail, ensure};
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret as _;

use crate::{
    app::Parts,
    audit::{Actor, Chain, Trail},
    cli::{audit::AuditCommand, keys::KeysCommand, user::UserCommand},
    config::Settings,
    db::Db,
    erase_command::EraseCommand,
    import_command::ImportCommand,
    private_postgres::{PrivatePostgres, Tuning},
    questions,
    secret::InstallationSecret,
    seeds, server,
};

/// API keys for recorded sessions: a dashboard to make them, an endpoint to use them.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
        Command::Serve { demo } => serve(settings, demo)?,
        Command::Migrate => {
            let database = Database::open(&settings)?;
            say(&format!("{} migrations were run.", Db::migrate(&database.url)?))?;
        }
        Command::Import(import) => {
            let (_database, db) = Database::connect(&settings)?;
            return import.run(&mut *db.connect()?, &trail(&settings)?);
        }
        Command::Erase(erase) => {
            let (_database, db) = Database::connect(&settings)?;
            erase.run(&mut *db.connect()?, &trail(&settings)?)?;
        }
        Command::User { command } => user::run(&settings, command)?,
        Command::Keys { command } => keys::run(&settings, command)?,
        Command::Audit { command } => return audit::run(&settings, command),
        Command::Questions { last } => show_questions(&settings, last)?,
        Command::DatabaseUrl => {
            ensure!(
                settings.database_url().is_none(),
                "DATABASE_URL is set, so there is no private PostgreSQL"
            );
            say(&PrivatePostgres::url_of(&settings.data_dir)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a line that the user asked for.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// The database of the settings, and the private PostgreSQL for as long as it is needed.
struct Database {
    url: String,
    _private: Option<PrivatePostgres>,
}

impl Database {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = settings.database_url() {
            return Ok(Self { url: url.expose_secret().to_owned(), _private: None });
        }
        let private = PrivatePostgres::start(&settings.data_dir, Tuning::Durable)?;
        Ok(Self { url: private.url().to_owned(), _private: Some(private) })
    }

    fn connect(settings: &Settings) -> anyhow::Result<(Self, Db)> {
        let database = Self::open(settings)?;
        Db::migrate(&database.url)?;
        let db = Db::new(&database.url, 1, Duration::from_secs(settings.database_wait_seconds))?;
        Ok((database, db))
    }
}

fn secret(settings: &Settings) -> anyhow::Result<InstallationSecret> {
    match &settings.secret {
        Some(secret) => Ok(InstallationSecret::new(secret.clone())),
        None if settings.database_url().is_some() => bail!(
            "with DATABASE_URL, set UPTOK_SECRET too (the same on every node); for example to `openssl rand -hex 32`"
        ),
        None => InstallationSecret::read_or_create(&settings.data_dir),
    }
}

/// What the command line leaves in the audit log.
fn trail(settings: &Settings) -> anyhow::Result<Trail> {
    Ok(Trail::new(&Chain::new(&secret(settings)?), Actor::CommandLine))
}

fn serve(settings: Settings, demo: bool) -> anyhow::Result<()> {
    // Refused before anything is started.
    if settings.database_url().is_some() {
        secret(&settings)?;
    }
    let listener = server::bind(settings.listen)?;
    let database = Database::open(&settings)?;
    Db::migrate(&database.url)?;
    let secret = secret(&settings)?;
    if demo {
        let trail = Trail::new(&Chain::new(&secret), Actor::CommandLine);
        let db = Db::new(&database.url, 1, Duration::from_secs(settings.database_wait_seconds))?;
        if let Some(demo) = seeds::create(&mut *db.connect()?, &trail, crate::web::clock::now())? {
            say(&format!(
                "\n  Demo user   {}\n  Password    {}   (printed this once)\n  Client ID   {}\n",
                demo.email, demo.password, demo.client
            ))?;
        }
    }
    let parts = Parts::new(settings, &database.url, &secret)?;
    actix_web::rt::System::new().block_on(async {
        let signals = server::Signals::new()?;
        let server = server::start(&parts, listener)?;
        tracing::info!(listen = %parts.settings().listen, public_url = parts.settings().public_url.origin(), "Listening");
        say(&format!("Uptok is at {}", parts.settings().public_url.origin()))?;
        server::run_until_stopped(&parts, server, signals).await
    })
}

fn show_questions(settings: &Settings, last: i64) -> anyhow::Result<()> {
    let (_database, db) = Database::connect(settings)?;
    for questions::Question { asked_at, name, email, question } in
        questions::latest(&mut *db.connect()?, last)?
    {
        say(&format!("{} {name} <{email}>\n{question}\n", crate::web::clock::rfc3339(asked_at)))?;
    }
    Ok(())
}
