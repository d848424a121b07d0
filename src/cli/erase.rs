//! `uptok erase`: the terminal of erasing.

use std::io::{self, Write as _};

use anyhow::ensure;
use clap::{ArgGroup, Args};
use diesel::PgConnection;

use crate::{
    accounts,
    audit::AuditContext,
    ids::ClientId,
    sessions::{self, Shopper},
};

/// Whose sessions, and which shopper.
#[derive(Args)]
#[command(group = ArgGroup::new("shopper").required(true).args(["shopper_id", "email"]))]
pub(crate) struct EraseCommand {
    /// The client that owns the sessions
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// The sender's ID of the shopper, exactly
    #[arg(long)]
    shopper_id: Option<String>,
    /// The shopper's e-mail, in capital letters or not
    #[arg(long)]
    email: Option<String>,
    /// Only say how many sessions that would be
    #[arg(long)]
    dry_run: bool,
}

impl EraseCommand {
    /// Erases, or only counts, and says how many sessions that are.
    ///
    /// # Errors
    /// When there is no such client, the shopper is no shopper, or the database fails.
    pub(crate) fn run(self, connection: &mut PgConnection, trail: &AuditContext) -> anyhow::Result<()> {
        let (id, email) = (self.shopper_id.unwrap_or_default(), self.email.unwrap_or_default());
        let shopper = Shopper::parse(&id, &email).map_err(|wrong| anyhow::anyhow!("{}", wrong.message))?;
        ensure!(accounts::client_exists(connection, &self.client)?, "there is no client {}", self.client);
        let said = if self.dry_run {
            let count = sessions::sessions_of(connection, &self.client, &shopper)?;
            format!("{count} sessions tell of this shopper. Nothing was erased.")
        } else {
            let count = sessions::erase(connection, trail, &self.client, &shopper)?;
            format!("{count} sessions were erased of what they told of this shopper.")
        };
        Ok(writeln!(io::stdout(), "{said}")?)
    }
}
