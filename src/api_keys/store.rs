//! The tables `api_keys` and `api_key_directory`.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::{
    dsl::now,
    prelude::*,
    sql_types::{Array, Cidr, Inet},
};
use ipnet::IpNet;
use uuid::Uuid;

use super::{Credentials, KeyName, PublicKey, Scope};
use crate::{
    accounts::ClientId,
    schema::{api_key_directory, api_keys, clients},
};

/// So many living keys a client may have.
pub(super) const LIVING_MAX: i64 = 500;

/// A key about to be stored.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The part that may be shown.
    pub public_key: PublicKey,
    /// The keyed hash.
    pub secret_hash: Vec<u8>,
    /// The form it came from; a second key of the same form is not made.
    pub form_nonce: Option<String>,
    /// What it may do: at least one. A replacement has those of the key it replaces.
    pub scopes: Vec<Scope>,
    /// Who makes it; `None`: the command line.
    pub created_by: Option<Uuid>,
}

/// A living key as the list shows it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub(super) struct KeyRow {
    pub(super) public_key: String,
    pub(super) name: String,
    pub(super) client_id: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) scopes: Vec<String>,
}

/// Why a key was not made.
#[derive(Debug, PartialEq)]
pub enum CreateError {
    /// The form has made its key already.
    FormUsed,
    /// A living key of the client has this name.
    NameTaken,
    /// The client has [`LIVING_MAX`] living keys.
    Full,
    /// The key to replace is not the client's.
    NotFound,
    /// The key to replace is deleted.
    Gone,
    /// Something unexpected.
    Database(diesel::result::Error),
}

impl From<diesel::result::Error> for CreateError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

/// What became of a key to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    /// It lived, under this name and with these scopes.
    Now { name: String, scopes: Vec<String> },
    /// It was deleted before, under this name.
    Before(String),
}

define_sql_function!(
    /// With an operator before it: whether that holds for one of them.
    fn any(networks: Array<Cidr>) -> Inet
);
define_sql_function!(fn cardinality(networks: Array<Cidr>) -> Integer);

/// The key is let in: it lives, the scope is among its own, and the caller is in one of its networks, if it has any. The
/// one condition by which keys are let in; it is decided by the clock of the database.
#[must_use]
#[diesel::dsl::auto_type(no_type_alias)]
pub fn admits<'a>(credentials: &'a Credentials) -> _ {
    let scopes: Vec<&'static str> = credentials.scope.map(Scope::as_str).into_iter().collect();
    let address: IpNet = credentials.address.into();
    let living: lives<'a> = lives(credentials);
    living.and(api_keys::scopes.contains(scopes)).and(
        cardinality(api_keys::allowed_networks)
            .eq(0_i32)
            .or(address.into_sql::<Inet>().is_contained_by_or_eq(any(api_keys::allowed_networks))),
    )
}

#[diesel::dsl::auto_type]
fn lives<'a>(credentials: &'a Credentials) -> _ {
    let client: &'a str = credentials.client.as_str();
    let public_key: &'a str = credentials.public_key.as_str();
    let secret_hash: &'a [u8] = credentials.secret_hash.as_slice();
    api_keys::client_id
        .eq(client)
        .and(api_keys::public_key.eq(public_key))
        .and(api_keys::secret_hash.eq(secret_hash))
        .and(api_keys::deleted_at.is_null())
        .and(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
}

/// Whether the key is let in.
///
/// # Errors
/// Those of the database.
pub fn is_admitted(connection: &mut PgConnection, credentials: &Credentials) -> QueryResult<bool> {
    let row = api_keys::table.filter(admits(credentials)).select(api_keys::requests_per_minute);
    let limit: Option<i32> = row.first(connection).optional()?;
    if let Some(limit) = limit {
        credentials.let_in(limit);
    }
    Ok(limit.is_some())
}

/// What a living key may do, and from where.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub(super) struct Living {
    pub(super) scopes: Vec<String>,
    allowed_networks: Vec<IpNet>,
}

impl Living {
    pub(super) fn is_allowed_from(&self, address: IpAddr) -> bool {
        self.allowed_networks.is_empty() || self.allowed_networks.iter().any(|it| it.contains(&address))
    }
}

/// The key, if it lives, whatever it may do.
pub(super) fn living(
    connection: &mut PgConnection,
    credentials: &Credentials,
) -> QueryResult<Option<Living>> {
    let living = api_keys::table.filter(lives(credentials)).select(Living::as_select());
    living.first(connection).optional()
}

/// The living keys of a client, newest first: at most [`LIVING_MAX`].
pub(super) fn list(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Vec<KeyRow>> {
    api_keys::table
        .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::deleted_at.is_null()))
        .order((api_keys::created_at.desc(), api_keys::public_key))
        .select(KeyRow::as_select())
        .load(connection)
}

/// One living key of a client.
pub(super) fn find(connection: &mut PgConnection, client: &ClientId, key: &PublicKey) -> QueryResult<KeyRow> {
    api_keys::table
        .find((client.as_str(), key.as_str()))
        .filter(api_keys::deleted_at.is_null())
        .select(KeyRow::as_select())
        .first(connection)
}

/// Which client a public key belongs to, also after the key was deleted.
pub(super) fn client_of(connection: &mut PgConnection, key: &PublicKey) -> QueryResult<Option<ClientId>> {
    let client = api_key_directory::table
        .find(key.as_str())
        .select(api_key_directory::client_id)
        .first::<String>(connection)
        .optional()?;
    Ok(client.map(ClientId::from_database))
}

/// Stores a key.
///
/// # Errors
/// [`CreateError`]: every one but `NotFound` and `Gone`.
pub fn create(
    connection: &mut PgConnection,
    client: &ClientId,
    name: &KeyName,
    key: &NewKey,
) -> Result<(), CreateError> {
    connection.transaction(|connection| {
        lock(connection, client)?;
        refuse_used_form(connection, client, key)?;
        let living = api_keys::table
            .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::deleted_at.is_null()));
        let names = living.select(api_keys::name).load::<String>(connection)?;
        if names.iter().any(|taken| taken == name.as_str()) {
            return Err(CreateError::NameTaken);
        }
        if i64::try_from(names.len()).is_ok_and(|count| count >= LIVING_MAX) {
            return Err(CreateError::Full);
        }
        let scopes: Vec<String> = key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        insert(connection, client, name.as_str(), &scopes, key)
    })
}

/// Stores a key with the name of `old`, which is dead from then on. Returns the name.
pub(super) fn replace(
    connection: &mut PgConnection,
    client: &ClientId,
    old: &PublicKey,
    key: &NewKey,
) -> Result<String, CreateError> {
    connection.transaction(|connection| {
        lock(connection, client)?;
        refuse_used_form(connection, client, key)?;
        match delete(connection, client, old, key.created_by) {
            Ok(Deleted::Now { name, scopes }) => {
                insert(connection, client, &name, &scopes, key).map(|()| name)
            }
            Ok(Deleted::Before(_)) => Err(CreateError::Gone),
            Err(diesel::result::Error::NotFound) => Err(CreateError::NotFound),
            Err(error) => Err(error.into()),
        }
    })
}

/// Deletes a key of the client: the hash is shredded, so nothing brings the key back. `NotFound` when the client never
/// had it.
pub(super) fn delete(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &PublicKey,
    deleted_by: Option<Uuid>,
) -> QueryResult<Deleted> {
    let row = api_keys::table.find((client.as_str(), key.as_str()));
    let deleted = diesel::update(row.filter(api_keys::deleted_at.is_null()))
        .set((
            api_keys::deleted_at.eq(now),
            api_keys::deleted_by.eq(deleted_by),
            api_keys::secret_hash.eq(None::<Vec<u8>>),
        ))
        .returning((api_keys::name, api_keys::scopes))
        .get_result::<(String, Vec<String>)>(connection)
        .optional()?;
    match deleted {
        Some((name, scopes)) => Ok(Deleted::Now { name, scopes }),
        None => row.select(api_keys::name).first(connection).map(Deleted::Before),
    }
}

/// One change of a client's keys at a time: two at once could both pass the checks.
fn lock(connection: &mut PgConnection, client: &ClientId) -> QueryResult<()> {
    clients::table
        .find(client.as_str())
        .select(clients::client_id)
        .for_update()
        .first::<String>(connection)
        .map(|_| ())
}

fn refuse_used_form(
    connection: &mut PgConnection,
    client: &ClientId,
    key: &NewKey,
) -> Result<(), CreateError> {
    let Some(nonce) = &key.form_nonce else { return Ok(()) };
    let made = api_keys::table
        .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::form_nonce.eq(nonce)))
        .count()
        .get_result::<i64>(connection)?;
    if made == 0 { Ok(()) } else { Err(CreateError::FormUsed) }
}

fn insert(
    connection: &mut PgConnection,
    client: &ClientId,
    name: &str,
    scopes: &[String],
    key: &NewKey,
) -> Result<(), CreateError> {
    diesel::insert_into(api_key_directory::table)
        .values((
            api_key_directory::public_key.eq(key.public_key.as_str()),
            api_key_directory::client_id.eq(client.as_str()),
        ))
        .execute(connection)?;
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::client_id.eq(client.as_str()),
            api_keys::public_key.eq(key.public_key.as_str()),
            api_keys::name.eq(name),
            api_keys::secret_hash.eq(&key.secret_hash),
            api_keys::form_nonce.eq(&key.form_nonce),
            api_keys::scopes.eq(scopes),
            api_keys::created_by.eq(key.created_by),
        ))
        .execute(connection)?;
    Ok(())
}
