//! The one way from a presented key to a client, whatever carried the key.

use diesel::prelude::*;
use quick_cache::sync::Cache;

use super::{ClientKey, KeyHasher, PublicKey, Scope, store};
use crate::{accounts::ClientId, error::AppError};

/// So many public keys are remembered with their client.
const REMEMBERED_MAX: usize = 10_000;

/// What a statement asks for to let a key in, with [`super::admits`].
///
/// Having credentials proves nothing yet. Every statement that serves them compares them with `api_keys`, so that a key
/// deleted a moment ago finds nothing.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The client the public key belongs to.
    pub client: ClientId,
    /// The public key.
    pub public_key: PublicKey,
    /// The keyed hash of what was presented.
    pub secret_hash: Vec<u8>,
    /// What the caller is about to do.
    pub scope: Scope,
}

impl Credentials {
    /// Why a statement that asked [`super::admits`] found nothing.
    ///
    /// # Errors
    /// Always: [`AppError::MissingScope`] when the key lives but may not do this, else [`AppError::UnknownKey`]; or those
    /// of the database.
    pub fn refusal<T>(&self, connection: &mut PgConnection) -> Result<T, AppError> {
        if store::is_living(connection, self)? {
            return Err(AppError::MissingScope(self.scope.as_str()));
        }
        Err(AppError::UnknownKey)
    }
}

/// Turns presented keys into credentials.
///
/// It remembers which client a public key belongs to: that never changes, and is not what lets anybody in.
pub struct Gate {
    hasher: KeyHasher,
    clients: Cache<PublicKey, ClientId>,
}

impl Gate {
    /// The gate of this installation.
    #[must_use]
    pub fn new(hasher: KeyHasher) -> Self {
        Self { hasher, clients: Cache::new(REMEMBERED_MAX) }
    }

    /// What is stored of keys.
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The credentials of `key`, for doing what `scope` names: there is no way in without naming one.
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] when no client ever had this public key; those of the database.
    pub fn credentials(
        &self,
        connection: &mut PgConnection,
        key: &ClientKey,
        scope: Scope,
    ) -> Result<Credentials, AppError> {
        let client = self.client_of(connection, key.public())?;
        let secret_hash = self.hasher.hash(key, &client);
        Ok(Credentials { client, public_key: key.public().clone(), secret_hash, scope })
    }

    fn client_of(&self, connection: &mut PgConnection, key: &PublicKey) -> Result<ClientId, AppError> {
        if let Some(client) = self.clients.get(key) {
            return Ok(client);
        }
        let client = store::client_of(connection, key)?.ok_or(AppError::UnknownKey)?;
        self.clients.insert(key.clone(), client.clone());
        Ok(client)
    }
}

impl TryFrom<&str> for ClientKey {
    type Error = AppError;

    /// A malformed key is refused like an unknown one, before the database is asked.
    fn try_from(text: &str) -> Result<Self, AppError> {
        text.parse().map_err(|_malformed| AppError::UnknownKey)
    }
}
