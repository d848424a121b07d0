//! `uptok keys`: lists, creates, changes, replaces and deletes the keys of a client.

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use diesel::{OptionalExtension as _, PgConnection};
use uuid::Uuid;

use super::command_context::{DatabaseHandle, audit_context, load_secret, print_line};
use crate::{
    accounts::{self, EmailAddress},
    api_keys::{
        self, AllowedNetworks, ApiKey, GracePeriod, HashedKey, KeyChangeActor, KeyDeletion, KeyHasher,
        KeyLifetime, KeyListQuery, KeyName, KeyRights, KeySort, KeySpec, KeyStatus, RequestsPerMinute, Scope,
    },
    config::Settings,
    ids::{ClientId, PublicKey},
    web::format::time::rfc3339,
};

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the keys of a client: public key, status, end, scopes and name
    List {
        /// The client that owns the keys
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// Only keys that the user with this email created
        #[arg(long, value_name = "EMAIL", value_parser = |text: &str| text.parse::<EmailAddress>().map_err(str::to_owned))]
        created_by: Option<EmailAddress>,
    },
    /// Create a key and print it whole, once
    Create {
        /// The client that owns the key
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// What the key is for, 1 to 64 characters
        #[arg(long, value_parser = |text: &str| text.parse::<KeyName>())]
        name: KeyName,
        /// A scope of the key; may be given several times
        #[arg(long = "scope", default_value = "sessions:read", value_parser = parse_scope)]
        scopes: Vec<Scope>,
        /// When it expires: a number of days, a day like 2027-01-31 (until its end, UTC), or never
        #[arg(long, default_value = "90", value_parser = |text: &str| text.parse::<KeyLifetime>())]
        expires: KeyLifetime,
        /// Maximum number of requests per minute, 0 to 1000000; 0 means no limit
        #[arg(long, default_value_t, value_parser = |text: &str| text.parse::<RequestsPerMinute>())]
        requests_per_minute: RequestsPerMinute,
        /// An address or network from which the key may be used; may be given several times. By default it may be used
        /// from everywhere
        #[arg(long)]
        allow: Vec<String>,
    },
    /// Change what a key may do. Anything you leave out stays as it is
    Change {
        /// The client that owns the key
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// The part of the key that is shown in lists: uptok_ and 12 characters
        public_key: String,
        #[command(flatten)]
        rights: NewRights,
    },
    /// Replace a key by a new one with the same name, rights and lifetime, and print the new one whole, once
    Replace {
        /// The client that owns the key
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// The part of the key that is shown in lists: uptok_ and 12 characters
        public_key: String,
        /// How long the old key stays valid, in seconds: 0, 3600, 86400 or 604800
        #[arg(long, default_value = "0", value_parser = |text: &str| text.parse::<GracePeriod>())]
        grace_seconds: GracePeriod,
    },
    /// Delete a key for good
    Delete {
        /// The client that owns the key
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
        /// The part of the key that is shown in lists: uptok_ and 12 characters
        public_key: String,
    },
}

/// The rights to change.
#[derive(Args)]
pub(super) struct NewRights {
    /// A scope of the key, instead of those it has; may be given several times
    #[arg(long = "scope", value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// Maximum number of requests per minute, 0 to 1000000; 0 means no limit
    #[arg(long, value_parser = |text: &str| text.parse::<RequestsPerMinute>())]
    requests_per_minute: Option<RequestsPerMinute>,
    /// An address or network from which the key may be used, instead of those it has; may be given several times
    #[arg(long)]
    allow: Vec<String>,
    /// Allow the key to be used from everywhere
    #[arg(long, conflicts_with = "allow")]
    allow_all: bool,
}

impl NewRights {
    /// Whether no option was given.
    fn is_empty(&self) -> bool {
        self.scopes.is_empty()
            && self.requests_per_minute.is_none()
            && self.allow.is_empty()
            && !self.allow_all
    }

    /// The rights of a key that has these.
    fn apply(self, before: KeyRights) -> anyhow::Result<KeyRights> {
        let networks = match (self.allow.is_empty(), self.allow_all) {
            (true, false) => before.networks,
            _ => AllowedNetworks::new(self.allow.iter().map(String::as_str))?,
        };
        Ok(KeyRights {
            scopes: if self.scopes.is_empty() { before.scopes } else { self.scopes },
            requests_per_minute: self.requests_per_minute.unwrap_or(before.requests_per_minute),
            networks,
        })
    }
}

pub(super) fn run(settings: &Settings, command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::List { client, created_by } => list(settings, &client, created_by.as_ref()),
        KeysCommand::Create { client, name, scopes, expires, requests_per_minute, allow } => {
            let networks = AllowedNetworks::new(allow.iter().map(String::as_str))?;
            let rights = KeyRights { scopes, requests_per_minute, networks };
            create(settings, client, &KeySpec { name, lifetime: expires, rights })
        }
        KeysCommand::Change { client, public_key, rights } => {
            change(settings, client, &parse_public_key(&public_key)?, rights)
        }
        KeysCommand::Replace { client, public_key, grace_seconds } => {
            replace(settings, client, &parse_public_key(&public_key)?, grace_seconds)
        }
        KeysCommand::Delete { client, public_key } => {
            delete(settings, client, &parse_public_key(&public_key)?)
        }
    }
}

/// Not a parser of clap, whose error message would repeat a complete key that was passed by mistake.
fn parse_public_key(text: &str) -> anyhow::Result<PublicKey> {
    text.parse()
        .map_err(|_malformed| anyhow::anyhow!("a public key is uptok_ and 12 characters of 0-9A-Za-z"))
}

fn list(settings: &Settings, client: &ClientId, creator: Option<&EmailAddress>) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, client)?;
    let find_user = |email| {
        accounts::find_user_id(&mut connection, email)?.with_context(|| format!("there is no user {email}"))
    };
    let created_by = creator.map(find_user).transpose()?;
    let keys = load_keys(&mut connection, client, created_by)?;
    keys.iter().try_for_each(|key| print_line(&format_key(key)))
}

/// Prints the keys of a client that a user created and that stay active when the user goes.
pub(super) fn print_active_keys(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
) -> anyhow::Result<()> {
    let mut keys = load_keys(connection, client, Some(user_id))?;
    keys.retain(|key| key.status() != KeyStatus::Expired);
    if !keys.is_empty() {
        print_line(&format!(
            "Keys of {client} that this user created stay active. Delete those no longer needed:"
        ))?;
    }
    keys.iter().try_for_each(|key| print_line(&format_key(key)))
}

/// All keys of a client, or those that a user created, from the oldest to the newest.
fn load_keys(
    connection: &mut PgConnection,
    client: &ClientId,
    created_by: Option<Uuid>,
) -> anyhow::Result<Vec<ApiKey>> {
    let mut query = KeyListQuery { created_by, sort: KeySort::Oldest, ..KeyListQuery::default() };
    let mut keys = Vec::new();
    loop {
        let page = api_keys::list(connection, client, &query)?;
        keys.extend(page.keys);
        if i64::from(query.page) * i64::from(query.per_page) >= page.total {
            return Ok(keys);
        }
        query.page += 1;
    }
}

/// The name is the last field because it may contain spaces.
fn format_key(key: &ApiKey) -> String {
    let end = key.expires_at.map_or("never".to_owned(), rfc3339);
    let scopes = Scope::join(&key.scopes, ",");
    format!("{}\t{}\t{end}\t{scopes}\t{}", key.public_key, key.status().as_str(), key.name)
}

fn create(settings: &Settings, client: ClientId, request: &KeySpec) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let hasher = KeyHasher::new(&load_secret(settings)?);
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, &client)?;
    let (key, new_key) = HashedKey::generate(&hasher, &client, None);
    let actor = KeyChangeActor { client, context: audit_context(settings)? };
    api_keys::create(&mut connection, &actor, request, &new_key)?;
    print_line(&key.expose())
}

fn change(settings: &Settings, client: ClientId, key: &PublicKey, new: NewRights) -> anyhow::Result<()> {
    ensure!(
        !new.is_empty(),
        "say what to change: --scope, --requests-per-minute, or --allow or --allow-all; nothing is changed"
    );
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, &client)?;
    let before = api_keys::find(&mut connection, &client, key);
    let before = before.optional()?.with_context(|| format!("{client} has no key {key}"))?;
    let rights = new.apply(before.rights())?;
    let actor = KeyChangeActor { client, context: audit_context(settings)? };
    let changed = api_keys::change(&mut connection, &actor, key, &rights)?;
    print_line(&format!("{key} ({}) is changed", changed.after.name))
}

fn replace(settings: &Settings, client: ClientId, old: &PublicKey, grace: GracePeriod) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let hasher = KeyHasher::new(&load_secret(settings)?);
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, &client)?;
    let (key, new_key) = HashedKey::generate(&hasher, &client, None);
    let actor = KeyChangeActor { client, context: audit_context(settings)? };
    match api_keys::replace(&mut connection, &actor, old, grace, &new_key) {
        Ok(_replaced) => print_line(&key.expose()),
        Err(api_keys::KeyChangeError::NotFound) => bail!("{} has no key {old}", actor.client),
        Err(error) => Err(error.into()),
    }
}

fn delete(settings: &Settings, client: ClientId, key: &PublicKey) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    accounts::require_client(&mut connection, &client)?;
    let actor = KeyChangeActor { client, context: audit_context(settings)? };
    match api_keys::delete(&mut connection, &actor, key) {
        Ok(KeyDeletion::Now(deleted)) => print_line(&format!("{key} ({}) is deleted", deleted.name)),
        Ok(KeyDeletion::Before(deleted)) => {
            print_line(&format!("{key} ({}) was already deleted", deleted.name))
        }
        Err(api_keys::KeyChangeError::NotFound) => {
            bail!("{} has no key {key}", actor.client)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(format!("use one of {known}"))
}
