//! `uptok user`: who may log in, and as what.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{bail, ensure};
use clap::Subcommand;

use super::environment::{DatabaseHandle, say, trail};
use crate::{
    accounts::{self, ClientChoice, DisplayName, EmailAddress, NewPassword, NewUser, PasswordHasher},
    config::Settings,
    ids::ClientId,
};

const ROLES: [&str; 3] = ["owner", "admin", "member"];

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Add a user to a client, or to a new client; the password is read from standard input
    Add {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
        /// The user's name
        #[arg(long, value_parser = |text: &str| text.parse::<DisplayName>())]
        name: DisplayName,
        /// The Client ID to join
        #[arg(long, conflicts_with = "company", required_unless_present = "company", value_parser = |text: &str| text.parse::<ClientId>())]
        client: Option<ClientId>,
        /// The name of a new client
        #[arg(long, value_parser = |text: &str| text.parse::<DisplayName>())]
        company: Option<DisplayName>,
        /// What the user may do there: owner and admin make keys, member reads. Without it: owner of a new client,
        /// member of one that is there
        #[arg(long, value_parser = ROLES)]
        role: Option<String>,
    },
    /// Set a user's password, read from standard input, and end the user's sign-ins
    Password {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
    },
    /// Give a user a role in a client. Who is no member of it becomes one
    Role {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// What the user may do there: owner and admin make keys, member reads
        #[arg(long, value_parser = ROLES)]
        role: String,
    },
    /// Take a member out of a client. Its keys stay
    Remove {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
    },
    /// Let a user log in no more, and end the user's sign-ins
    Disable {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
    },
    /// Let a user that was disabled log in again
    Enable {
        /// What the user signs in with
        #[arg(long, value_parser = email)]
        email: EmailAddress,
    },
    /// List users with their roles and clients
    List,
}

pub(super) fn run(settings: &Settings, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { email, name, client, company, role } => {
            let home = match (&client, &company) {
                (Some(client), _) => ClientChoice::Client(client),
                (None, Some(company)) => ClientChoice::Company(company),
                (None, None) => bail!("name a client or a new company"),
            };
            let role = role.unwrap_or_else(|| if company.is_some() { "owner" } else { "member" }.to_owned());
            let password = read_password(&[email.as_str(), name.as_str()])?;
            let user = NewUser { email, name, password_hash: PasswordHasher::hash_now(&password)? };
            let (_database, db) = DatabaseHandle::connect(settings)?;
            let client = accounts::add_user(&mut *db.connect()?, &trail(settings)?, &user, home, &role)?;
            say(&format!("{} is {role} of {client}", user.email))
        }
        UserCommand::Password { email } => {
            let hash = PasswordHasher::hash_now(&read_password(&[email.as_str()])?)?;
            let (_database, db) = DatabaseHandle::connect(settings)?;
            let is_set = accounts::set_password(&mut *db.connect()?, &trail(settings)?, &email, &hash)?;
            ensure!(is_set, "there is no user {email}");
            say(&format!("The password of {email} is set, and the user's sign-ins are over"))
        }
        UserCommand::Role { email, client, role } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_role(&mut *db.connect()?, &trail(settings)?, &client, &email, &role)?;
            say(&format!("{email} is {role} of {client}"))
        }
        UserCommand::Remove { email, client } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::remove_member(&mut *db.connect()?, &trail(settings)?, &client, &email)?;
            say(&format!("{email} is no member of {client} any more"))
        }
        UserCommand::Disable { email } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_enabled(&mut *db.connect()?, &trail(settings)?, &email, false)?;
            say(&format!("{email} may not log in any more, and the user's sign-ins are over"))
        }
        UserCommand::Enable { email } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_enabled(&mut *db.connect()?, &trail(settings)?, &email, true)?;
            say(&format!("{email} may log in"))
        }
        UserCommand::List => list(settings),
    }
}

fn list(settings: &Settings) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    for user in accounts::list_users(&mut *db.connect()?)? {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let disabled = if user.is_enabled { "" } else { "\tdisabled" };
        say(&format!("{}\t{}\t{}{disabled}", user.email, or_none(user.role), or_none(user.client_id)))?;
    }
    Ok(())
}

fn email(text: &str) -> Result<EmailAddress, String> {
    text.parse::<EmailAddress>().map_err(str::to_owned)
}

/// The first line of standard input: an argument would be seen in the list of processes.
fn read_password(about: &[&str]) -> anyhow::Result<NewPassword> {
    if io::stdin().is_terminal() {
        let _ignored = write!(io::stderr(), "Password: ");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']);
    NewPassword::parse(line, about)
        .map_err(|error| anyhow::anyhow!("the password on standard input: {error}"))
}
