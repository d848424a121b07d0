//! `uptok erase`: erases the personal data of a shopper.

use std::io::{self, Write as _};

use clap::{ArgGroup, Args};
use diesel::PgConnection;

use crate::{
    accounts,
    audit::AuditContext,
    ids::ClientId,
    sessions::{self, ShopperIdentifier},
    web::format::plural,
};

#[derive(Args)]
#[command(group = ArgGroup::new("shopper").required(true).args(["shopper_id", "email"]))]
pub(super) struct EraseCommand {
    /// The client that owns the sessions
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// The sender's ID for the shopper, exactly as sent
    #[arg(long)]
    shopper_id: Option<String>,
    /// The shopper's email; case does not matter
    #[arg(long)]
    email: Option<String>,
    /// Only count the sessions
    #[arg(long)]
    dry_run: bool,
}

impl EraseCommand {
    pub(super) fn run(self, connection: &mut PgConnection, context: &AuditContext) -> anyhow::Result<()> {
        let (id, email) = (self.shopper_id.unwrap_or_default(), self.email.unwrap_or_default());
        let shopper =
            ShopperIdentifier::parse(&id, &email).map_err(|error| anyhow::anyhow!("{}", error.message))?;
        accounts::require_client(connection, &self.client)?;
        let message = if self.dry_run {
            let count = sessions::count_sessions(connection, &self.client, &shopper)?;
            format!("Found {count} {} of this shopper. Nothing was erased.", plural(count, "session"))
        } else {
            let count = i64::try_from(sessions::erase(connection, context, &self.client, &shopper)?)?;
            format!("Erased this shopper from {count} {}.", plural(count, "session"))
        };
        Ok(writeln!(io::stdout(), "{message}")?)
    }
}
