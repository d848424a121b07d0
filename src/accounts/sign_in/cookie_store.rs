//! Sign-ins in PostgreSQL, behind actix-session.
//!
//! The cookie holds 64 random characters, signed. The table holds their SHA-256, so a copy of the database signs nobody
//! in. A sign-in that has ended cannot come back, because updating a deleted row does nothing.

use std::collections::HashMap;

use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_web::cookie::time::Duration;
use sha2::{Digest as _, Sha256};

use super::{
    extractor::{FLASH, LOST_FORM, ORIGIN, SIGNED_IN, SWITCH_TO, SignInOrigin, SignInRow},
    table::{self, ClientSwitch, NewSignIn},
};
use crate::{
    audit::{Actor, AuditContext, ChainKey},
    db::Db,
    ids::ClientId,
    mail::Outbox,
    random,
};

type SignInState = HashMap<String, String>;

/// Random characters in the cookie: 381 bits.
const ID_LENGTH: usize = 64;

/// The name of the cookie. The `__Host-` prefix (RFC 6265bis) keeps subdomains from setting it, and needs https.
#[must_use]
pub fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-uptok_sign_in" } else { "uptok_sign_in" }
}

/// The table `sign_ins` as a session store.
#[derive(Clone)]
pub struct SignInStore {
    db: Db,
    chain_key: ChainKey,
    outbox: Outbox,
}

impl SignInStore {
    /// A store that also records sign-ins in the audit log, and reports those from new devices by mail.
    #[must_use]
    pub fn new(db: Db, chain_key: ChainKey, outbox: Outbox) -> Self {
        Self { db, chain_key, outbox }
    }
}

fn hash_id(key: &SessionKey) -> Vec<u8> {
    Sha256::digest(key.as_ref().as_bytes()).to_vec()
}

fn read_flash(state: &SignInState) -> Option<String> {
    state.get(FLASH).and_then(|json| serde_json::from_str(json).ok())
}

fn read_origin(state: &SignInState) -> SignInOrigin {
    state.get(ORIGIN).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// The user of a sign-in and the context of its audit records.
fn read_user(state: &SignInState, chain_key: &ChainKey) -> anyhow::Result<(SignInRow, AuditContext)> {
    let json = state.get(SIGNED_IN).ok_or_else(|| anyhow::anyhow!("only a sign-in is stored"))?;
    let row: SignInRow = serde_json::from_str(json)?;
    let origin = read_origin(state);
    let actor = Actor::User(row.user_id);
    let context = AuditContext::new(chain_key, actor).from_place(origin.address, origin.request_id);
    Ok((row, context))
}

/// The change of the active client, if the request asked for one.
fn read_switch(state: &SignInState, chain_key: &ChainKey) -> anyhow::Result<Option<ClientSwitch>> {
    let Some(json) = state.get(SWITCH_TO) else { return Ok(None) };
    let client: ClientId = serde_json::from_str(json)?;
    let (row, context) = read_user(state, chain_key)?;
    Ok(Some(ClientSwitch { user_id: row.user_id, client, context }))
}

fn session_state(row: &SignInRow, flash: Option<String>) -> Result<SignInState, serde_json::Error> {
    let mut state = SignInState::from([(SIGNED_IN.to_owned(), serde_json::to_string(row)?)]);
    if let Some(flash) = flash {
        state.insert(FLASH.to_owned(), serde_json::to_string(&flash)?);
    }
    Ok(state)
}

impl SessionStore for SignInStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<SignInState>, LoadError> {
        let id_hash = hash_id(key);
        let placement = self.db.data_placement();
        let found = self.db.run(move |connection| table::find(connection, &id_hash, placement)).await;
        let found = found.map_err(|error| LoadError::Other(error.into()))?;
        found
            .map(|(row, flash)| session_state(&row, flash))
            .transpose()
            .map_err(|error| LoadError::Other(error.into()))
    }

    async fn save(&self, state: SignInState, _ttl: &Duration) -> Result<SessionKey, SaveError> {
        let (row, context) = read_user(&state, &self.chain_key).map_err(SaveError::Other)?;
        let origin = read_origin(&state);
        let flash = read_flash(&state);
        let lost_form = state.get(LOST_FORM).cloned();
        let outbox = self.outbox.clone();
        let key = SessionKey::try_from(random::alphanumeric(ID_LENGTH))
            .map_err(|error| SaveError::Other(error.into()))?;
        let id_hash = hash_id(&key);
        self.db
            .run(move |connection| {
                let client = row.active.map(|active| active.client_id);
                let new = NewSignIn { id_hash, user_id: row.user_id, client, origin, flash, lost_form };
                table::create(connection, &context, &outbox, &new)
            })
            .await
            .map_err(|error| SaveError::Other(error.into()))?;
        Ok(key)
    }

    async fn update(
        &self,
        key: SessionKey,
        state: SignInState,
        _ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let id_hash = hash_id(&key);
        let flash = read_flash(&state);
        let switch = read_switch(&state, &self.chain_key).map_err(UpdateError::Other)?;
        self.db
            .run(move |connection| table::update(connection, &id_hash, flash.as_deref(), switch.as_ref()))
            .await
            .map_err(|error| UpdateError::Other(error.into()))?;
        Ok(key)
    }

    /// Does nothing: `load` updates the time of the last request.
    async fn update_ttl(&self, _key: &SessionKey, _ttl: &Duration) -> Result<(), anyhow::Error> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let id_hash = hash_id(key);
        let chain_key = self.chain_key.clone();
        Ok(self.db.run(move |connection| table::delete(connection, &chain_key, &id_hash)).await?)
    }
}
