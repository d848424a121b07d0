//! The one way from a presented key to a client, whatever carried the key.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};

use diesel::{
    dsl::now,
    prelude::*,
    sql_types::{Array, Cidr, Inet},
};
use ipnet::IpNet;
use quick_cache::sync::Cache;

use super::rate_limits::KeyRateLimits;
use crate::{
    api_keys::{
        client_key::{ClientKey, KeyHasher},
        rights::Scope,
    },
    error::AppError,
    ids::{ClientId, PublicKey},
    schema::{api_key_directory, api_keys},
};

/// So many public keys are remembered with their client.
const REMEMBERED_MAX: usize = 10_000;

/// What a statement asks for to let a key in, with [`crate::api_keys::admits`].
///
/// Having credentials proves nothing yet. Every statement that serves them compares them with `api_keys`, so that a key
/// deleted a moment ago finds nothing. A statement that found something says so with [`Credentials::let_in`]: without
/// that there is no answer.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client the public key belongs to.
    pub client: ClientId,
    /// The public key.
    pub public_key: PublicKey,
    /// The keyed hash of what was presented.
    pub secret_hash: Vec<u8>,
    /// What the caller is about to do; `None`: what every key may.
    pub scope: Option<Scope>,
    /// Where the caller is.
    pub address: IpAddr,
    /// The requests per minute of the key, once it was let in.
    requests_per_minute: Arc<OnceLock<i32>>,
}

impl Credentials {
    /// Credentials that have yet to be compared.
    #[must_use]
    pub fn new(
        client: ClientId,
        public_key: PublicKey,
        secret_hash: Vec<u8>,
        scope: Option<Scope>,
        address: IpAddr,
    ) -> Self {
        Self { client, public_key, secret_hash, scope, address, requests_per_minute: Arc::default() }
    }

    /// Says that a statement which asked [`crate::api_keys::admits`] let the key in, and found this limit in its row (requests
    /// per minute, 0: none).
    pub fn let_in(&self, requests_per_minute: i32) {
        // The pieces of a stream say it again.
        let _said_before = self.requests_per_minute.set(requests_per_minute);
    }

    /// The limit in the row of the key (requests per minute, 0: none), if a statement let it in.
    pub(crate) fn limit_if_let_in(&self) -> Option<i32> {
        self.requests_per_minute.get().copied()
    }

    /// The key itself, if it lives, whatever it may do.
    pub(crate) fn living(&self, connection: &mut PgConnection) -> QueryResult<Option<LiveKey>> {
        living(connection, self)
    }

    /// Why a key that lives was not let in. Only whoever has the whole of it is told.
    pub(crate) fn refusal(&self, living: &LiveKey) -> AppError {
        if !living.is_allowed_from(self.address) {
            return AppError::AddressNotAllowed(self.address);
        }
        match self.scope {
            Some(scope) if !living.scopes.iter().any(|it| it == scope.as_str()) => {
                AppError::MissingScope(scope.as_str())
            }
            // It may now, and a moment ago it might not: the key changed in between.
            _ => AppError::UnknownKey,
        }
    }
}

/// Turns presented keys into credentials.
///
/// It remembers which client a public key belongs to: that never changes, and is not what lets anybody in. And it counts.
pub struct Authenticator {
    hasher: KeyHasher,
    clients: Cache<PublicKey, ClientId>,
    pub(crate) limits: KeyRateLimits,
}

impl Authenticator {
    /// The gate of this installation. From each address it takes so many bad keys per minute.
    #[must_use]
    pub fn new(hasher: KeyHasher, bad_keys_per_minute: NonZeroU32) -> Self {
        Self { hasher, clients: Cache::new(REMEMBERED_MAX), limits: KeyRateLimits::new(bad_keys_per_minute) }
    }

    /// What is stored of keys.
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The credentials of a client's `key`, for doing what `scope` names.
    pub(crate) fn credentials(
        &self,
        key: &ClientKey,
        client: ClientId,
        scope: Option<Scope>,
        address: IpAddr,
    ) -> Credentials {
        let secret_hash = self.hasher.hash(key, &client);
        Credentials::new(client, key.public().clone(), secret_hash, scope, address)
    }

    /// Which client a public key belongs to, if that is remembered.
    pub(crate) fn remembered_client_of(&self, key: &PublicKey) -> Option<ClientId> {
        self.clients.get(key)
    }

    /// Which client a public key belongs to, by the directory.
    pub(crate) fn client_of(
        &self,
        connection: &mut PgConnection,
        key: &PublicKey,
    ) -> QueryResult<Option<ClientId>> {
        let client = client_of(connection, key)?;
        if let Some(client) = &client {
            self.clients.insert(key.clone(), client.clone());
        }
        Ok(client)
    }
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

/// [`admits`] as text, for statements that are pipelined: `$1` to `$5` are the client, the public key, the hash, the scopes
/// that are needed, and the address.
pub const ADMITS: &str = "api_keys.client_id = $1 and api_keys.public_key = $2 and api_keys.secret_hash = $3 \
    and api_keys.deleted_at is null and (api_keys.expires_at is null or api_keys.expires_at > current_timestamp) \
    and api_keys.scopes @> $4 \
    and (cardinality(api_keys.allowed_networks) = 0 or $5::inet <<= any(api_keys.allowed_networks))";

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
pub(crate) struct LiveKey {
    pub(crate) scopes: Vec<String>,
    pub(crate) requests_per_minute: i32,
    allowed_networks: Vec<IpNet>,
}

impl LiveKey {
    pub(crate) fn is_allowed_from(&self, address: IpAddr) -> bool {
        self.allowed_networks.is_empty() || self.allowed_networks.iter().any(|it| it.contains(&address))
    }
}

/// The requests per minute of the key, if it lives, whatever it may do and wherever it is used.
pub(crate) fn limit_of_living(
    connection: &mut PgConnection,
    credentials: &Credentials,
) -> QueryResult<Option<i32>> {
    Ok(living(connection, credentials)?.map(|living| living.requests_per_minute))
}

/// The key, if it lives, whatever it may do.
pub(crate) fn living(
    connection: &mut PgConnection,
    credentials: &Credentials,
) -> QueryResult<Option<LiveKey>> {
    let living = api_keys::table.filter(lives(credentials)).select(LiveKey::as_select());
    living.first(connection).optional()
}

/// Which client a public key belongs to, also after the key was deleted.
pub(crate) fn client_of(connection: &mut PgConnection, key: &PublicKey) -> QueryResult<Option<ClientId>> {
    let client = api_key_directory::table
        .find(key.as_str())
        .select(api_key_directory::client_id)
        .first::<String>(connection)
        .optional()?;
    Ok(client.map(ClientId::from_database))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A condition without what Diesel and people write differently.
    fn plain(condition: &str) -> String {
        condition.to_lowercase().replace("::inet", "").replace(['"', '(', ')', ' '], "")
    }

    #[test]
    fn keys_are_let_in_by_one_condition_however_it_is_written() {
        let credentials = Credentials::new(
            ClientId::generate().unwrap(),
            "uptok_AAAAAAAAAAAA".parse().unwrap(),
            vec![7; 32],
            Some(Scope::SessionsRead),
            IpAddr::from([127, 0, 0, 1]),
        );
        let statement = api_keys::table.filter(admits(&credentials)).select(api_keys::public_key);

        let text = diesel::debug_query::<diesel::pg::Pg, _>(&statement).to_string();

        let (sql, parameters) = text.split_once(" -- binds: ").unwrap();
        // Diesel sends the 0 as a parameter too.
        let condition = sql.split_once(" WHERE ").unwrap().1.replace("$5", "0").replace("$6", "$5");
        assert_eq!(plain(&condition), plain(ADMITS));
        let expected = format!(
            "[\"{}\", \"uptok_AAAAAAAAAAAA\", {:?}, [\"sessions:read\"], 0, {:?}]",
            credentials.client,
            [7; 32],
            IpNet::from(credentials.address)
        );
        assert_eq!(parameters, expected);
    }
}
