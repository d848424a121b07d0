//! Creating, changing, replacing and deleting keys, for the pages, the API and the command line.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{count_star, exists, now},
    prelude::*,
};

use super::{
    audit_events,
    error::KeyChangeError,
    key::{ApiKey, KeyDeletion, KeyReplacement, KeyRightsChange, KeyStatus, LIVE_KEYS_MAX},
    lifetime::{GracePeriod, KeyLifetime},
    new_key::{HashedKey, KeyName, KeySpec},
    rights::{KeyRights, Scope},
    store::{find, find_including_deleted},
};
use crate::{
    audit::{self, AuditContext},
    db::sql::database_now,
    ids::{ClientId, PublicKey},
    schema::{api_key_directory, api_keys, clients},
};

/// The user, key or command line that changes the keys of a client.
#[derive(Clone, Debug)]
pub struct KeyChangeActor {
    /// The client that owns the keys.
    pub client: ClientId,
    /// An owner or admin, the command line, or a key with `keys:manage`. A key cannot give others more than it has.
    pub context: AuditContext,
}

/// Creates a key.
///
/// # Errors
/// Every [`KeyChangeError`] but `Gone`, `KeyReplacement` and `StrongerThanActor`.
pub fn create(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    request: &KeySpec,
    key: &HashedKey,
) -> Result<ApiKey, KeyChangeError> {
    connection.transaction(|connection| {
        let change = lock_keys(connection, actor)?;
        refuse_reused_form(connection, actor, key)?;
        change.refuse_broader_rights(&request.rights)?;
        refuse_taken_name(connection, &actor.client, &request.name)?;
        refuse_too_many_keys(connection, &actor.client)?;
        let end = change.end_for(request.lifetime)?;
        let attributes =
            KeyAttributes { name: &request.name, rights: &request.rights, created_at: change.time, end };
        insert(connection, actor, key, &attributes)?;
        let key = find(connection, &actor.client, &key.public_key)?;
        audit::record(connection, &actor.client, &actor.context, &audit_events::key_created(&key))?;
        Ok(key)
    })
}

/// Changes the rights of a key, from its next request on.
///
/// # Errors
/// `NotFound`, `BeyondActor`, `OutlivesActor`, `ActorGone`, `Database`.
pub fn change(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    key: &PublicKey,
    rights: &KeyRights,
) -> Result<KeyRightsChange, KeyChangeError> {
    connection.transaction(|connection| {
        let change = lock_keys(connection, actor)?;
        let before = find(connection, &actor.client, key)?;
        // Taking rights away is always allowed, even if the key keeps more than the acting key has.
        if rights.check_within(&before.rights()).is_err() {
            change.refuse_broader_rights(rights)?;
            // The key would keep the new rights after the acting key has ended.
            change.refuse_outliving(before.expires_at)?;
        }
        diesel::update(api_keys::table.find((&actor.client, key)))
            .set((
                api_keys::scopes.eq(distinct_scopes(rights)),
                api_keys::requests_per_minute.eq(rights.requests_per_minute),
                api_keys::allowed_networks.eq(&rights.networks),
            ))
            .execute(connection)?;
        let changed = KeyRightsChange { before, after: find(connection, &actor.client, key)? };
        if let Some(event) = audit_events::key_changed(&changed) {
            audit::record(connection, &actor.client, &actor.context, &event)?;
        }
        Ok(changed)
    })
}

/// Creates a key with the name, rights and lifetime of `old`. `old` stays valid for the grace period, but not beyond its
/// own end.
///
/// # Errors
/// Every [`KeyChangeError`] but those about the name.
pub fn replace(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    old: &PublicKey,
    grace: GracePeriod,
    key: &HashedKey,
) -> Result<KeyReplacement, KeyChangeError> {
    connection.transaction(|connection| {
        let change = lock_keys(connection, actor)?;
        refuse_reused_form(connection, actor, key)?;
        let before = find_including_deleted(connection, &actor.client, old)?;
        if before.deleted_at.is_some() {
            return Err(KeyChangeError::Gone);
        }
        if let Some(successor) = before.replaced_by {
            return Err(KeyChangeError::Replaced(successor));
        }
        let rights = before.rights();
        change.refuse_broader_rights(&rights).map_err(|_field| KeyChangeError::StrongerThanActor)?;
        let old_end =
            (change.time + grace.duration()).min(before.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC));
        schedule_end(connection, &actor.client, old, &key.public_key, old_end)?;
        if old_end <= change.time {
            wipe(connection, actor, old)?;
        }
        refuse_too_many_keys(connection, &actor.client)?;
        let end = change.cap_end(before.lifetime().map(|lifetime| change.time + lifetime));
        if end.is_some_and(|end| before.expires_at.is_none_or(|old_end| end < old_end)) {
            // The acting key ends too soon: the new key would end before the old one was to.
            change.refuse_outliving(before.expires_at)?;
        }
        let attributes = KeyAttributes { name: &before.name, rights: &rights, created_at: change.time, end };
        insert(connection, actor, key, &attributes)?;
        let replaced = KeyReplacement {
            old: find_including_deleted(connection, &actor.client, old)?,
            new: find(connection, &actor.client, &key.public_key)?,
        };
        audit::record(connection, &actor.client, &actor.context, &audit_events::key_replaced(&replaced))?;
        Ok(replaced)
    })
}

/// Deletes a key and wipes its hash, so that it cannot be restored. Does nothing if it is deleted already.
///
/// # Errors
/// `NotFound` if the client never had it, `ActorGone`, `Database`.
pub fn delete(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    key: &PublicKey,
) -> Result<KeyDeletion, KeyChangeError> {
    connection.transaction(|connection| {
        lock_keys(connection, actor)?;
        let deleted = wipe(connection, actor, key)?;
        record_audit_event(connection, actor, &deleted).map(|()| deleted)
    })
}

/// Deletes all of these keys, or none of them.
///
/// # Errors
/// The errors of [`delete`].
pub fn delete_all(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    keys: &[PublicKey],
) -> Result<Vec<KeyDeletion>, KeyChangeError> {
    connection.transaction(|connection| {
        lock_keys(connection, actor)?;
        let deleted: Vec<KeyDeletion> =
            keys.iter().map(|key| wipe(connection, actor, key)).collect::<Result<_, _>>()?;
        deleted.iter().try_for_each(|deleted| record_audit_event(connection, actor, deleted))?;
        Ok(deleted)
    })
}

/// Records the deletion, unless the key was deleted before.
fn record_audit_event(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    deleted: &KeyDeletion,
) -> Result<(), KeyChangeError> {
    let KeyDeletion::Now(key) = deleted else { return Ok(()) };
    Ok(audit::record(
        connection,
        &actor.client,
        &actor.context,
        &audit_events::key_deleted(key, &actor.context),
    )?)
}

/// A change in progress: its time, and the limits of the actor.
struct KeyChangeLock {
    time: DateTime<Utc>,
    /// `None` if a user or the command line acts, without limits.
    acting_key: Option<ApiKey>,
}

impl KeyChangeLock {
    fn refuse_broader_rights(&self, rights: &KeyRights) -> Result<(), KeyChangeError> {
        let Some(acting_key) = &self.acting_key else { return Ok(()) };
        rights.check_within(&acting_key.rights()).map_err(KeyChangeError::BeyondActor)
    }

    /// The end of a new key with this lifetime. Returns `None` if it does not expire.
    fn end_for(&self, lifetime: KeyLifetime) -> Result<Option<DateTime<Utc>>, KeyChangeError> {
        let end = lifetime.end(self.time)?;
        if matches!(lifetime, KeyLifetime::AtMost(_)) {
            return Ok(self.cap_end(end));
        }
        self.refuse_outliving(end)?;
        Ok(end)
    }

    fn refuse_outliving(&self, end: Option<DateTime<Utc>>) -> Result<(), KeyChangeError> {
        match self.cap_end(end) {
            Some(own_end) if end != Some(own_end) => Err(KeyChangeError::OutlivesActor(own_end)),
            _ => Ok(()),
        }
    }

    /// The end, but not beyond that of the acting key: a key must not create one that outlives it.
    fn cap_end(&self, end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let own_end = self.acting_key.as_ref().and_then(|key| key.expires_at);
        match (end, own_end) {
            (Some(end), Some(own_end)) => Some(end.min(own_end)),
            (end, own_end) => end.or(own_end),
        }
    }
}

/// Locks the keys of the client, because two changes at once could both pass the checks. A key that acts must still be
/// valid once it has the lock.
fn lock_keys(connection: &mut PgConnection, actor: &KeyChangeActor) -> Result<KeyChangeLock, KeyChangeError> {
    let time = lock_client(connection, &actor.client)?;
    let Some(key) = actor.context.public_key() else { return Ok(KeyChangeLock { time, acting_key: None }) };
    let acting_key = find(connection, &actor.client, key).optional()?;
    let live_key = acting_key.filter(|key| key.status() != KeyStatus::Expired);
    Ok(KeyChangeLock { time, acting_key: Some(live_key.ok_or(KeyChangeError::ActorGone)?) })
}

/// Locks the client until the transaction ends, and returns the time of the transaction.
pub(crate) fn lock_client(connection: &mut PgConnection, client: &ClientId) -> QueryResult<DateTime<Utc>> {
    clients::table.find(client).select(database_now()).for_update().first(connection)
}

fn refuse_reused_form(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    key: &HashedKey,
) -> Result<(), KeyChangeError> {
    let Some(nonce) = &key.form_nonce else { return Ok(()) };
    let of_client = api_keys::client_id.eq(&actor.client);
    let same_form = api_keys::table.filter(of_client.and(api_keys::form_nonce.eq(nonce)));
    let is_used = diesel::select(exists(same_form)).get_result::<bool>(connection)?;
    if is_used { Err(KeyChangeError::FormUsed) } else { Ok(()) }
}

/// An expired key keeps its name until it is deleted or replaced, so that the list shows why a program has stopped.
fn refuse_taken_name(
    connection: &mut PgConnection,
    client: &ClientId,
    name: &KeyName,
) -> Result<(), KeyChangeError> {
    let is_live = api_keys::table
        .filter(api_keys::client_id.eq(client).and(api_keys::name.eq(name)))
        .filter(api_keys::deleted_at.is_null().and(api_keys::replaced_by.is_null()))
        .select(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .first::<Option<bool>>(connection)
        .optional()?;
    match is_live {
        None => Ok(()),
        Some(Some(false)) => Err(KeyChangeError::NameOfExpired),
        Some(_) => Err(KeyChangeError::NameTaken),
    }
}

fn refuse_too_many_keys(connection: &mut PgConnection, client: &ClientId) -> Result<(), KeyChangeError> {
    let live = api_keys::table
        .filter(api_keys::client_id.eq(client).and(api_keys::deleted_at.is_null()))
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .select(count_star())
        .first::<i64>(connection)?;
    if live < LIVE_KEYS_MAX { Ok(()) } else { Err(KeyChangeError::Full) }
}

fn schedule_end(
    connection: &mut PgConnection,
    client: &ClientId,
    old: &PublicKey,
    successor: &PublicKey,
    end: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(api_keys::table.find((client, old)))
        .set((api_keys::replaced_by.eq(successor), api_keys::expires_at.eq(end)))
        .execute(connection)
        .map(|_rows| ())
}

fn wipe(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    key: &PublicKey,
) -> Result<KeyDeletion, KeyChangeError> {
    let before = find_including_deleted(connection, &actor.client, key)?;
    if before.deleted_at.is_some() {
        return Ok(KeyDeletion::Before(before));
    }
    diesel::update(api_keys::table.find((&actor.client, key)))
        .set((
            api_keys::deleted_at.eq(now),
            api_keys::deleted_by.eq(actor.context.user_id()),
            api_keys::deleted_by_key.eq(actor.context.public_key()),
            api_keys::secret_hash.eq(None::<Vec<u8>>),
        ))
        .execute(connection)?;
    Ok(KeyDeletion::Now(before))
}

/// The columns of a new row that [`HashedKey`] does not have.
struct KeyAttributes<'a> {
    name: &'a KeyName,
    rights: &'a KeyRights,
    /// The time that `end` was computed from. The default of the column may be by the clock of another server.
    created_at: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
}

fn insert(
    connection: &mut PgConnection,
    actor: &KeyChangeActor,
    key: &HashedKey,
    row: &KeyAttributes<'_>,
) -> Result<(), KeyChangeError> {
    diesel::insert_into(api_key_directory::table)
        .values((
            api_key_directory::public_key.eq(&key.public_key),
            api_key_directory::client_id.eq(&actor.client),
        ))
        .execute(connection)?;
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::client_id.eq(&actor.client),
            api_keys::public_key.eq(&key.public_key),
            api_keys::name.eq(row.name),
            api_keys::secret_hash.eq(&key.secret_hash),
            api_keys::form_nonce.eq(&key.form_nonce),
            api_keys::scopes.eq(distinct_scopes(row.rights)),
            api_keys::requests_per_minute.eq(row.rights.requests_per_minute),
            api_keys::allowed_networks.eq(&row.rights.networks),
            api_keys::created_at.eq(row.created_at),
            api_keys::expires_at.eq(row.end),
            api_keys::created_by.eq(actor.context.user_id()),
            api_keys::created_by_key.eq(actor.context.public_key()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Each scope once and in a fixed order, so that another order in the form is not a change.
fn distinct_scopes(rights: &KeyRights) -> Vec<Scope> {
    Scope::ALL.into_iter().filter(|scope| rights.scopes.contains(scope)).collect()
}
