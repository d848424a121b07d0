//! What all commands need: the database, the secret of the installation, the audit context and standard output.

use std::{
    future,
    io::{self, Write as _},
};

use anyhow::bail;
use secrecy::ExposeSecret as _;

use crate::{
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    db::{ConnectError, Db},
    private_postgres::{DurabilityMode, PrivatePostgres, SupervisionTimes},
    secret::InstallationSecret,
};

/// Unlike `println!`, returns an error instead of panicking if standard output is closed.
pub(super) fn print_line(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// URL of the configured database, or of the private PostgreSQL, which runs until this is dropped.
pub(super) struct DatabaseHandle {
    pub(super) url: String,
    private: Option<PrivatePostgres>,
}

impl DatabaseHandle {
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(url) = settings.database_url() {
            return Ok(Self { url: url.expose_secret().to_owned(), private: None });
        }
        let private = PrivatePostgres::start(&settings.data_dir, DurabilityMode::Durable)?;
        Ok(Self { url: private.url().to_owned(), private: Some(private) })
    }

    /// Also migrates the database. The pool has one connection.
    pub(super) fn connect(settings: &Settings) -> anyhow::Result<(Self, Db)> {
        let database = Self::open(settings)?;
        database.migrate()?;
        let db = Db::new(&database.url, 1, settings.database_timeouts())?;
        Ok((database, db))
    }

    /// Migrates the database for a node. Behind a pooler it also stores the timeouts of the settings.
    pub(super) fn set_up(&self, settings: &Settings) -> anyhow::Result<usize> {
        if self.private.is_none() {
            let stored = Db::store_timeouts(&self.url, settings.database_timeouts());
            stored.map_err(|error| self.name_setting(error))?;
        }
        self.migrate()
    }

    /// Returns the number of migrations that were run.
    fn migrate(&self) -> anyhow::Result<usize> {
        Db::migrate(&self.url).map_err(|error| self.name_setting(error))
    }

    fn name_setting(&self, error: anyhow::Error) -> anyhow::Error {
        if self.private.is_none() && error.is::<ConnectError>() {
            return error.context("DATABASE_URL");
        }
        error
    }

    /// Keeps the private PostgreSQL running from now on. The future completes with the reason if that is not possible; with
    /// another database it never does.
    pub(super) fn supervise(&mut self) -> anyhow::Result<impl Future<Output = anyhow::Error> + use<>> {
        let private = self.private.as_mut();
        let failure = private.map(|private| private.supervise(SupervisionTimes::default())).transpose()?;
        Ok(async {
            match failure {
                Some(failure) => match failure.await {
                    Ok(error) => error,
                    Err(_ended_without_failure) => future::pending().await,
                },
                None => future::pending().await,
            }
        })
    }
}

/// Reads the secret from the settings. With the private PostgreSQL it may be missing there; then it is read from the data
/// directory, where the first start creates it.
pub(super) fn load_secret(settings: &Settings) -> anyhow::Result<InstallationSecret> {
    match &settings.secret {
        Some(secret) => Ok(InstallationSecret::new(secret.clone())),
        None if settings.database_url().is_some() => bail!(
            "with DATABASE_URL, set UPTOK_SECRET too (the same on every node); for example to `openssl rand -hex 32`"
        ),
        None => InstallationSecret::read_or_create(&settings.data_dir),
    }
}

pub(super) fn audit_context(settings: &Settings) -> anyhow::Result<AuditContext> {
    Ok(AuditContext::new(&ChainKey::new(&load_secret(settings)?), Actor::CommandLine))
}
