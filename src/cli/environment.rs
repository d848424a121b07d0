//! What commands work with: the database, the secret and standard output.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::bail;
use secrecy::ExposeSecret as _;

use crate::{
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    db::Db,
    private_postgres::{PrivatePostgres, Tuning},
    secret::InstallationSecret,
};

/// Prints a line that the user asked for.
pub(super) fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// The database of the settings, and the private PostgreSQL for as long as it is needed.
pub(super) struct DatabaseHandle {
    pub(super) url: String,
    _private: Option<PrivatePostgres>,
}

impl DatabaseHandle {
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = settings.database_url() {
            return Ok(Self { url: url.expose_secret().to_owned(), _private: None });
        }
        let private = PrivatePostgres::start(&settings.data_dir, Tuning::Durable)?;
        Ok(Self { url: private.url().to_owned(), _private: Some(private) })
    }

    pub(super) fn connect(settings: &Settings) -> anyhow::Result<(Self, Db)> {
        let database = Self::open(settings)?;
        Db::migrate(&database.url)?;
        let db = Db::new(&database.url, 1, Duration::from_secs(settings.database_wait_seconds))?;
        Ok((database, db))
    }
}

pub(super) fn secret(settings: &Settings) -> anyhow::Result<InstallationSecret> {
    match &settings.secret {
        Some(secret) => Ok(InstallationSecret::new(secret.clone())),
        None if settings.database_url().is_some() => bail!(
            "with DATABASE_URL, set UPTOK_SECRET too (the same on every node); for example to `openssl rand -hex 32`"
        ),
        None => InstallationSecret::read_or_create(&settings.data_dir),
    }
}

/// What the command line leaves in the audit log.
pub(super) fn trail(settings: &Settings) -> anyhow::Result<AuditContext> {
    Ok(AuditContext::new(&ChainKey::new(&secret(settings)?), Actor::CommandLine))
}
