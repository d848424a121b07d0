//! `uptok mail`: shows and retries what is in the outbox, and tests the SMTP server. It prints no content of a mail.

use anyhow::bail;
use clap::Subcommand;
use uuid::Uuid;

use super::command_context::{DatabaseHandle, print_line};
use crate::{
    accounts::EmailAddress,
    config::Settings,
    mail::{self, MailListing, MailMessage, RetryOutcome},
    web::format::time::rfc3339,
};

#[derive(Subcommand)]
pub(super) enum MailCommand {
    /// List the latest mail: ID, state, when it was stored, kind, recipient, attempts, and why the last one failed
    List {
        /// How many at most, 1 to 1000
        #[arg(long, default_value = "100", value_parser = clap::value_parser!(i64).range(1..=1000))]
        last: i64,
    },
    /// Send a mail again that was given up or is waiting; it is tried for another day
    Retry {
        /// The ID in the list
        id: String,
    },
    /// Send a test mail at once, and print why if that fails
    Test {
        /// The recipient
        #[arg(long, value_parser = |text: &str| EmailAddress::parse_deliverable(text).map_err(str::to_owned))]
        to: EmailAddress,
    },
}

pub(super) fn run(settings: &Settings, command: MailCommand) -> anyhow::Result<()> {
    match command {
        MailCommand::List { last } => list(settings, last),
        // Not parsed by clap: its error message would repeat the text.
        MailCommand::Retry { id } => match id.parse() {
            Ok(mail_id) => retry(settings, mail_id),
            Err(_not_an_id) => bail!("this is no ID; `uptok mail list` prints them"),
        },
        MailCommand::Test { to } => test(settings, &to),
    }
}

fn list(settings: &Settings, last: i64) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let listings = mail::list(&mut *db.connect()?, last)?;
    listings.iter().try_for_each(|listing| print_line(&format_listing(listing)))
}

/// The error is the last field because it may contain spaces.
fn format_listing(listing: &MailListing) -> String {
    let state = match (listing.sent_at, listing.failed_at) {
        (Some(at), _) => format!("sent {}", rfc3339(at)),
        (None, Some(at)) => format!("failed {}", rfc3339(at)),
        (None, None) => format!("next {}", rfc3339(listing.next_attempt_at)),
    };
    let MailListing { mail_id, kind, recipient, attempts, created_at, .. } = listing;
    let error = listing.last_error.as_deref().unwrap_or("-");
    format!("{mail_id}\t{state}\t{}\t{kind}\t{recipient}\t{attempts}\t{error}", rfc3339(*created_at))
}

fn retry(settings: &Settings, mail_id: Uuid) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    match mail::retry(&mut *db.connect()?, mail_id)? {
        RetryOutcome::Due => print_line(&format!("{mail_id} is sent by the next running node")),
        RetryOutcome::Sent => bail!("{mail_id} was sent already"),
        RetryOutcome::Expired => bail!("the link in {mail_id} has expired; it needs a new mail"),
        RetryOutcome::Unknown => bail!("there is no mail {mail_id}"),
    }
}

fn test(settings: &Settings, to: &EmailAddress) -> anyhow::Result<()> {
    let message = MailMessage::new("Test mail from Uptok").text("Uptok can send mail with these settings.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(mail::send_test(settings, to.as_str(), &message))?;
    print_line(&format!("The SMTP server has accepted a mail to {to}"))
}
