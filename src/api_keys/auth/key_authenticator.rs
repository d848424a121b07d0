//! What identifies a presented key, and the condition that authorizes it.

use std::{net::IpAddr, sync::Arc};

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
    metrics::RefusalMetrics,
    rate_limits::SharedLimits,
    schema::{api_key_directory, api_keys},
};

/// Maximum number of public keys whose client is cached.
const CACHED_CLIENTS_MAX: usize = 10_000;

/// What a statement compares with `api_keys` to authorize a key. Credentials prove nothing on their own.
#[derive(Clone, Debug)]
pub struct KeyCredentials {
    /// The client that the public key belongs to.
    pub client: ClientId,
    /// The public key.
    pub public_key: PublicKey,
    /// The keyed hash of the presented key.
    pub secret_hash: Vec<u8>,
    /// The scope that the request needs, if any.
    pub scope: Option<Scope>,
    /// The address of the caller.
    pub address: IpAddr,
}

impl KeyCredentials {
    /// Why an active key is not authorized. Only the holder of the whole key may learn this.
    pub(super) fn denial_reason(&self, key: &LiveKey) -> AppError {
        if !key.is_allowed_from(self.address) {
            return AppError::AddressNotAllowed(self.address);
        }
        match self.scope {
            Some(scope) if !key.scopes.contains(&scope) => AppError::MissingScope(scope.as_str()),
            // The rights changed after the statement that denied the key.
            _ => AppError::UnknownKey,
        }
    }
}

/// Turns presented keys into credentials and counts requests.
///
/// It caches which client a public key belongs to. That never changes and authorizes nobody.
pub struct KeyAuthenticator {
    hasher: KeyHasher,
    clients: Cache<PublicKey, ClientId>,
    pub(super) limits: KeyRateLimits,
}

impl KeyAuthenticator {
    #[must_use]
    pub(crate) fn new(hasher: KeyHasher, limits: Arc<SharedLimits>, metrics: &RefusalMetrics) -> Self {
        Self { hasher, clients: Cache::new(CACHED_CLIENTS_MAX), limits: KeyRateLimits::new(limits, metrics) }
    }

    pub(crate) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    pub(super) fn credentials(
        &self,
        key: &ClientKey,
        client: ClientId,
        scope: Option<Scope>,
        address: IpAddr,
    ) -> KeyCredentials {
        let secret_hash = self.hasher.hash(key, &client);
        KeyCredentials { client, public_key: key.public().clone(), secret_hash, scope, address }
    }

    pub(super) fn cached_client(&self, key: &PublicKey) -> Option<ClientId> {
        self.clients.get(key)
    }

    /// Finds the client of a public key in the directory and caches it.
    pub(super) fn find_client(
        &self,
        connection: &mut PgConnection,
        key: &PublicKey,
    ) -> QueryResult<Option<ClientId>> {
        let client = find_client(connection, key)?;
        if let Some(client) = &client {
            self.clients.insert(key.clone(), client.clone());
        }
        Ok(client)
    }
}

define_sql_function!(
    /// The right side of an operator that has to hold for one element.
    fn any(networks: Array<Cidr>) -> Inet
);
define_sql_function!(fn cardinality(networks: Array<Cidr>) -> Integer);

/// The only condition that authorizes a key: it is active, has the scope, and allows the address of the caller.
///
/// PostgreSQL's clock decides, so that all nodes agree.
#[diesel::dsl::auto_type]
pub(super) fn authorizes<'a>(credentials: &'a KeyCredentials) -> _ {
    let scopes: Vec<Scope> = credentials.scope.into_iter().collect();
    let address: IpNet = credentials.address.into();
    let live: is_live<'a> = is_live(credentials);
    live.and(api_keys::scopes.contains(scopes)).and(
        cardinality(api_keys::allowed_networks)
            .eq(0_i32)
            .or(address.into_sql::<Inet>().is_contained_by_or_eq(any(api_keys::allowed_networks))),
    )
}

#[diesel::dsl::auto_type]
fn is_live<'a>(credentials: &'a KeyCredentials) -> _ {
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

/// [`authorizes`] as text for pipelined statements. `$1` to `$5` are client, public key, hash, needed scopes, address.
pub(super) const AUTHORIZED_SQL: &str = "api_keys.client_id = $1 and api_keys.public_key = $2 and api_keys.secret_hash = $3 \
    and api_keys.deleted_at is null and (api_keys.expires_at is null or api_keys.expires_at > current_timestamp) \
    and api_keys.scopes @> $4 \
    and (cardinality(api_keys.allowed_networks) = 0 or $5::inet <<= any(api_keys.allowed_networks))";

/// The rights of an active key.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(diesel::pg::Pg))]
pub(super) struct LiveKey {
    scopes: Vec<Scope>,
    pub(super) requests_per_minute: i32,
    allowed_networks: Vec<IpNet>,
}

impl LiveKey {
    fn is_allowed_from(&self, address: IpAddr) -> bool {
        self.allowed_networks.is_empty() || self.allowed_networks.iter().any(|it| it.contains(&address))
    }
}

/// The key, if it is active, whatever its scopes and networks.
pub(super) fn find_live_key(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
) -> QueryResult<Option<LiveKey>> {
    let key = api_keys::table.filter(is_live(credentials)).select(LiveKey::as_select());
    key.first(connection).optional()
}

/// The client of a public key, even after the key was deleted.
fn find_client(connection: &mut PgConnection, key: &PublicKey) -> QueryResult<Option<ClientId>> {
    let client = api_key_directory::table
        .find(key)
        .select(api_key_directory::client_id)
        .first::<ClientId>(connection)
        .optional()?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A condition without the spelling differences between Diesel and hand-written SQL.
    fn normalized(condition: &str) -> String {
        condition.to_lowercase().replace("::inet", "").replace(['"', '(', ')', ' '], "")
    }

    #[test]
    fn both_spellings_of_the_condition_agree() {
        let credentials = KeyCredentials {
            client: ClientId::generate(),
            public_key: "uptok_AAAAAAAAAAAA".parse().unwrap(),
            secret_hash: vec![7; 32],
            scope: Some(Scope::SessionsRead),
            address: IpAddr::from([127, 0, 0, 1]),
        };
        let statement = api_keys::table.filter(authorizes(&credentials)).select(api_keys::public_key);

        let text = diesel::debug_query::<diesel::pg::Pg, _>(&statement).to_string();

        let (sql, parameters) = text.split_once(" -- binds: ").unwrap();
        // Diesel sends the 0 as a parameter too.
        let condition = sql.split_once(" WHERE ").unwrap().1.replace("$5", "0").replace("$6", "$5");
        assert_eq!(normalized(&condition), normalized(AUTHORIZED_SQL));
        let expected = format!(
            "[\"{}\", \"{}\", {:?}, [{:?}], 0, {:?}]",
            credentials.client,
            credentials.public_key,
            [7; 32],
            Scope::SessionsRead,
            IpNet::from(credentials.address)
        );
        assert_eq!(parameters, expected);
    }
}
