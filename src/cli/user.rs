//! `uptok user`: manages users, their roles, names, emails, passwords and sign-ins.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail, ensure};
use clap::{
    Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use diesel::Connection as _;

use super::{
    command_context::{DatabaseHandle, audit_context, load_secret, print_line},
    keys, user_sign_ins,
};
use crate::{
    accounts::{
        self, ClientToJoin, DisplayName, EmailAddress, NewPassword, NewUser, PasswordHasher, Role,
        SecondFactors,
    },
    config::Settings,
    ids::ClientId,
    mail::Outbox,
};

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Add a user to a client, or to a new client; the password is read from standard input
    Add {
        /// What the user signs in with
        #[arg(long, value_parser = parse_new_email)]
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
        /// What the user may do there: owners and admins create keys, members only read. The default is owner for a new
        /// client and member for an existing one
        #[arg(long, value_parser = role_parser())]
        role: Option<Role>,
    },
    /// Set a user's password, read from standard input, and end the user's sign-ins
    Password {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Give a user another name
    Rename {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
        /// The new name
        #[arg(long, value_parser = |text: &str| text.parse::<DisplayName>())]
        name: DisplayName,
    },
    /// Give a user another email, at once and without a link; the old address is notified by mail
    ChangeEmail {
        /// What the user signs in with now
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
        /// What the user signs in with from now on
        #[arg(long, value_name = "EMAIL", value_parser = parse_new_email)]
        new_email: EmailAddress,
    },
    /// List a user's sign-ins, one per line: ID, first seen, last seen, address and device
    SignIns {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// End one of a user's sign-ins, or all
    EndSignIns {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
        /// Only the sign-in with this ID
        #[arg(long, conflicts_with = "all", required_unless_present = "all")]
        id: Option<String>,
        /// All sign-ins of the user
        #[arg(long)]
        all: bool,
    },
    /// Print a link with which a user sets a new password; it works once within an hour
    ResetLink {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Remove a user's second factor, because the user has lost it; the user is notified by mail
    ResetSecondFactor {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Delete a user's account, unless the user is the only owner of a client. The user's API keys stay
    Delete {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Give a user a role in a client. A user who is not a member becomes one
    Role {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// What the user may do there: owners and admins create keys, members only read
        #[arg(long, value_parser = role_parser())]
        role: Role,
    },
    /// Remove a member from a client, and list the active keys that the member created there: they stay
    Remove {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
    },
    /// Stop a user from logging in, end the user's sign-ins, and list the active keys that the user created: they stay
    Disable {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// Let a disabled user log in again
    Enable {
        /// What the user signs in with
        #[arg(long, value_parser = parse_email)]
        email: EmailAddress,
    },
    /// List users with their roles and clients
    List,
}

pub(super) fn run(settings: &Settings, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { email, name, client, company, role } => {
            let client_choice = match (&client, &company) {
                (Some(client), _) => ClientToJoin::Client(client),
                (None, Some(company)) => ClientToJoin::Company(company),
                (None, None) => bail!("name a client or a new company"),
            };
            let role = role.unwrap_or(if company.is_some() { Role::Owner } else { Role::Member });
            let password = read_password(&[email.as_str(), name.as_str()])?;
            let user = NewUser { email, name, password_hash: PasswordHasher::hash_now(&password)? };
            let (_database, db) = DatabaseHandle::connect(settings)?;
            let client = accounts::add_user(
                &mut *db.connect()?,
                &audit_context(settings)?,
                &user,
                client_choice,
                role,
            )?;
            print_line(&format!("{} is {role} of {client}", user.email))
        }
        UserCommand::Password { email } => set_password(settings, &email),
        UserCommand::Rename { email, name } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_name(&mut *db.connect()?, &audit_context(settings)?, &email, &name)?;
            print_line(&format!("{email} is now called {}", name.as_str()))
        }
        UserCommand::ChangeEmail { email, new_email } => change_email(settings, &email, &new_email),
        UserCommand::SignIns { email } => user_sign_ins::list(settings, &email),
        UserCommand::EndSignIns { email, id, all: _ } => user_sign_ins::end(settings, &email, id.as_deref()),
        UserCommand::ResetLink { email } => print_reset_link(settings, &email),
        UserCommand::ResetSecondFactor { email } => reset_second_factor(settings, &email),
        UserCommand::Delete { email } => delete(settings, &email),
        UserCommand::Role { email, client, role } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_role(&mut *db.connect()?, &audit_context(settings)?, &client, &email, role)?;
            print_line(&format!("{email} is {role} of {client}"))
        }
        UserCommand::Remove { email, client } => remove(settings, &client, &email),
        UserCommand::Disable { email } => disable(settings, &email),
        UserCommand::Enable { email } => {
            let (_database, db) = DatabaseHandle::connect(settings)?;
            accounts::set_enabled(&mut *db.connect()?, &audit_context(settings)?, &email, true)?;
            print_line(&format!("{email} can log in"))
        }
        UserCommand::List => list(settings),
    }
}

fn set_password(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let hash = PasswordHasher::hash_now(&read_password(&[email.as_str()])?)?;
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let (context, outbox) = (audit_context(settings)?, Outbox::new(settings, &load_secret(settings)?));
    let is_set = db.connect()?.transaction(|connection| {
        let is_set = accounts::set_password(connection, &context, email, &hash)?;
        if is_set {
            accounts::report_new_password(connection, &outbox, email)?;
        }
        Ok::<_, anyhow::Error>(is_set)
    })?;
    ensure!(is_set, "there is no user {email}");
    print_line(&format!("The password of {email} is set, and all the user's sign-ins have ended"))
}

fn change_email(settings: &Settings, email: &EmailAddress, new_email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let (context, outbox) = (audit_context(settings)?, Outbox::new(settings, &load_secret(settings)?));
    accounts::set_email(&mut *db.connect()?, &context, &outbox, email, new_email)?;
    print_line(&format!("{email} now logs in as {new_email}"))
}

fn print_reset_link(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let path = accounts::create_reset_link(&mut *db.connect()?, &audit_context(settings)?, email)?;
    let path = path.with_context(|| format!("there is no user {email}, or the user is disabled"))?;
    print_line(&format!("{}{path}", settings.public_url.origin()))
}

fn reset_second_factor(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let secret = load_secret(settings)?;
    let factors = SecondFactors::new(&secret, Outbox::new(settings, &secret));
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    ensure!(accounts::find_user_id(&mut connection, email)?.is_some(), "there is no user {email}");
    let was_on = factors.reset(&mut connection, &audit_context(settings)?, email)?;
    ensure!(was_on, "{email} has no second factor");
    print_line(&format!("The second factor of {email} is removed; the password is enough to log in"))
}

fn delete(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    let user_id = accounts::find_user_id(&mut connection, email)?;
    let user_id = user_id.with_context(|| format!("there is no user {email}"))?;
    match accounts::delete_account(&mut connection, &audit_context(settings)?, user_id)? {
        Ok(()) => print_line(&format!("{email} is deleted")),
        Err(names) => {
            bail!("{email} is the only owner of {}; make someone else an owner first", names.join(", "))
        }
    }
}

fn remove(settings: &Settings, client: &ClientId, email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    let context = audit_context(settings)?;
    let user_id = accounts::remove_member(&mut connection, &context, client, email)?;
    print_line(&format!("{email} is no longer a member of {client}"))?;
    keys::print_active_keys(&mut connection, client, user_id)
}

fn disable(settings: &Settings, email: &EmailAddress) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    accounts::set_enabled(&mut connection, &audit_context(settings)?, email, false)?;
    print_line(&format!("{email} can no longer log in, and all the user's sign-ins have ended"))?;
    let Some(user_id) = accounts::find_user_id(&mut connection, email)? else { return Ok(()) };
    for client in accounts::list_clients(&mut connection, user_id)? {
        keys::print_active_keys(&mut connection, &client, user_id)?;
    }
    Ok(())
}

fn list(settings: &Settings) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    for user in accounts::list_users(&mut *db.connect()?)? {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let disabled = if user.is_enabled { "" } else { "\tdisabled" };
        print_line(&format!(
            "{}\t{}\t{}{disabled}",
            user.email,
            or_none(user.role.map(|role| role.to_string())),
            or_none(user.client_id.map(|client| client.to_string()))
        ))?;
    }
    Ok(())
}

/// Lists the roles in the help text.
fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::NAMES).try_map(|text| text.parse::<Role>())
}

/// Of an account that exists.
fn parse_email(text: &str) -> Result<EmailAddress, String> {
    text.parse::<EmailAddress>().map_err(str::to_owned)
}

fn parse_new_email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse_deliverable(text).map_err(str::to_owned)
}

/// Reads the first line of standard input, because an argument would be visible in the list of processes. Refuses
/// `personal_data`, such as the user's email, as a password: it is easy to guess.
fn read_password(personal_data: &[&str]) -> anyhow::Result<NewPassword> {
    if io::stdin().is_terminal() {
        let _ignored = write!(io::stderr(), "Password: ");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']);
    NewPassword::parse(line, personal_data)
        .map_err(|error| anyhow::anyhow!("the password on standard input: {error}"))
}
