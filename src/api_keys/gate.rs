//! The one way from a presented key to a client, whatever carried the key.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, OnceLock},
};

use diesel::prelude::*;
use quick_cache::sync::Cache;

use super::{
    client_key::{ClientKey, KeyHasher},
    limits::Limits,
    scope::Scope,
    store::{self, Living},
};
use crate::{
    error::AppError,
    ids::{ClientId, PublicKey},
};

/// So many public keys are remembered with their client.
const REMEMBERED_MAX: usize = 10_000;

/// What a statement asks for to let a key in, with [`super::admits`].
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

    /// Says that a statement which asked [`super::admits`] let the key in, and found this limit in its row (requests
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
    pub(crate) fn living(&self, connection: &mut PgConnection) -> QueryResult<Option<Living>> {
        store::living(connection, self)
    }

    /// Why a key that lives was not let in. Only whoever has the whole of it is told.
    pub(crate) fn refusal(&self, living: &Living) -> AppError {
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
pub struct Gate {
    hasher: KeyHasher,
    clients: Cache<PublicKey, ClientId>,
    pub(crate) limits: Limits,
}

impl Gate {
    /// The gate of this installation. From each address it takes so many bad keys per minute.
    #[must_use]
    pub fn new(hasher: KeyHasher, bad_keys_per_minute: NonZeroU32) -> Self {
        Self { hasher, clients: Cache::new(REMEMBERED_MAX), limits: Limits::new(bad_keys_per_minute) }
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
        let client = store::client_of(connection, key)?;
        if let Some(client) = &client {
            self.clients.insert(key.clone(), client.clone());
        }
        Ok(client)
    }
}
