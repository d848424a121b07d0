//! Making, changing, replacing and deleting keys: the one layer below the pages, the API and the command line.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{count_star, exists, now},
    prelude::*,
};

use super::{
    audit_events,
    error::KeyChangeError,
    key::{ApiKey, ChangedKey, DeletedKey, KeyStatus, LIVING_MAX, ReplacedKey},
    lifetime::{GracePeriod, KeyLifetime},
    new_key::{KeyName, KeyRequest, NewKey},
    rights::{KeyRights, Scope},
    store::{find, find_ever},
};
use crate::{
    audit::{self, AuditContext},
    db::sql::database_now,
    ids::{ClientId, PublicKey},
    schema::{api_key_directory, api_keys, clients},
};

/// Who changes the keys of a client.
#[derive(Clone, Debug)]
pub struct KeyActor {
    /// The client that owns the keys.
    pub client: ClientId,
    /// Who acts for it: a user who is owner or admin, a key that may manage keys and gives no more than it has, or
    /// whoever may run the command line.
    pub trail: AuditContext,
}

/// Stores a key.
///
/// # Errors
/// [`KeyChangeError`]: every one but `Gone`, `ReplacedKey` and `StrongerThanActor`.
pub fn create(
    connection: &mut PgConnection,
    manager: &KeyActor,
    plan: &KeyRequest,
    key: &NewKey,
) -> Result<ApiKey, KeyChangeError> {
    connection.transaction(|connection| {
        let turn = take_turn(connection, manager)?;
        refuse_used_form(connection, manager, key)?;
        turn.refuse_beyond(&plan.rights)?;
        refuse_taken_name(connection, &manager.client, &plan.name)?;
        refuse_full(connection, &manager.client)?;
        let end = turn.end_of(plan.lifetime)?;
        insert(connection, manager, key, &NewKeyRow { name: plan.name.as_str(), rights: &plan.rights, end })?;
        let key = find(connection, &manager.client, &key.public_key)?;
        audit::record(connection, &manager.client, &manager.trail, &audit_events::created(&key))?;
        Ok(key)
    })
}

/// Gives a key other rights; they hold from its next request on.
///
/// # Errors
/// [`KeyChangeError`]: `NotFound`, `BeyondActor`, `OutlivesActor`, `ActorGone`, or those of the database.
pub fn change(
    connection: &mut PgConnection,
    manager: &KeyActor,
    key: &PublicKey,
    rights: &KeyRights,
) -> Result<ChangedKey, KeyChangeError> {
    connection.transaction(|connection| {
        let turn = take_turn(connection, manager)?;
        let before = find(connection, &manager.client, key)?;
        // To take something away gives nothing, whatever is left.
        if rights.within(&before.rights()).is_err() {
            turn.refuse_beyond(rights)?;
            // What it gets it keeps when the key that acts is over.
            turn.refuse_outliving(before.expires_at)?;
        }
        diesel::update(api_keys::table.find((manager.client.as_str(), key.as_str())))
            .set((
                api_keys::scopes.eq(scopes_of(rights)),
                api_keys::requests_per_minute.eq(rights.requests_per_minute.get()),
                api_keys::allowed_networks.eq(rights.networks.as_slice()),
            ))
            .execute(connection)?;
        let changed = ChangedKey { before, after: find(connection, &manager.client, key)? };
        if let Some(act) = audit_events::changed(&changed) {
            audit::record(connection, &manager.client, &manager.trail, &act)?;
        }
        Ok(changed)
    })
}

/// Stores a key with the name and rights of `old`, to live as long as `old` was made for. `old` lives on for the grace, or
/// until its own end if that is sooner.
///
/// # Errors
/// [`KeyChangeError`]: every one but those about the name.
pub fn replace(
    connection: &mut PgConnection,
    manager: &KeyActor,
    old: &PublicKey,
    grace: GracePeriod,
    key: &NewKey,
) -> Result<ReplacedKey, KeyChangeError> {
    connection.transaction(|connection| {
        let turn = take_turn(connection, manager)?;
        refuse_used_form(connection, manager, key)?;
        let before = find_ever(connection, &manager.client, old)?;
        if before.deleted_at.is_some() {
            return Err(KeyChangeError::Gone);
        }
        if let Some(by) = before.replaced_by {
            return Err(KeyChangeError::Replaced(by));
        }
        let rights = before.rights();
        turn.refuse_beyond(&rights).map_err(|_field| KeyChangeError::StrongerThanActor)?;
        let end_of_old =
            (turn.time + grace.span()).min(before.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC));
        retire(connection, &manager.client, old, &key.public_key, end_of_old)?;
        if end_of_old <= turn.time {
            shred(connection, manager, old)?;
        }
        refuse_full(connection, &manager.client)?;
        let end = turn.not_longer(before.span().map(|span| turn.time + span));
        if end.is_some_and(|end| before.expires_at.is_none_or(|end_of_old| end < end_of_old)) {
            // It would be over before the old one was to be.
            turn.refuse_outliving(before.expires_at)?;
        }
        insert(connection, manager, key, &NewKeyRow { name: &before.name, rights: &rights, end })?;
        let replaced = ReplacedKey {
            old: find_ever(connection, &manager.client, old)?,
            new: find(connection, &manager.client, &key.public_key)?,
        };
        audit::record(connection, &manager.client, &manager.trail, &audit_events::replaced(&replaced))?;
        Ok(replaced)
    })
}

/// Deletes a key: the hash is shredded, so nothing brings the key back. Again changes nothing.
///
/// # Errors
/// [`KeyChangeError`]: `NotFound` when the client never had it, `ActorGone`, or those of the database.
pub fn delete(
    connection: &mut PgConnection,
    manager: &KeyActor,
    key: &PublicKey,
) -> Result<DeletedKey, KeyChangeError> {
    connection.transaction(|connection| {
        take_turn(connection, manager)?;
        let deleted = shred(connection, manager, key)?;
        tell(connection, manager, &deleted).map(|()| deleted)
    })
}

/// Deletes all of these keys, or none: a key that the client never had is `NotFound`.
///
/// # Errors
/// As [`delete`].
pub fn delete_all(
    connection: &mut PgConnection,
    manager: &KeyActor,
    keys: &[PublicKey],
) -> Result<Vec<DeletedKey>, KeyChangeError> {
    connection.transaction(|connection| {
        take_turn(connection, manager)?;
        let deleted: Vec<DeletedKey> =
            keys.iter().map(|key| shred(connection, manager, key)).collect::<Result<_, _>>()?;
        deleted.iter().try_for_each(|deleted| tell(connection, manager, deleted))?;
        Ok(deleted)
    })
}

/// Tells of a key that was deleted just now, and no second time.
fn tell(
    connection: &mut PgConnection,
    manager: &KeyActor,
    deleted: &DeletedKey,
) -> Result<(), KeyChangeError> {
    let DeletedKey::Now(key) = deleted else { return Ok(()) };
    Ok(audit::record(
        connection,
        &manager.client,
        &manager.trail,
        &audit_events::deleted(key, &manager.trail),
    )?)
}

/// The turn of whoever changes the keys of a client: its time, and what bounds it.
struct KeyChange {
    time: DateTime<Utc>,
    /// The key that acts, if it is one.
    actor: Option<ApiKey>,
}

impl KeyChange {
    fn refuse_beyond(&self, rights: &KeyRights) -> Result<(), KeyChangeError> {
        let Some(actor) = &self.actor else { return Ok(()) };
        rights.within(&actor.rights()).map_err(KeyChangeError::BeyondActor)
    }

    /// When a key that is made for so long ends.
    fn end_of(&self, lifetime: KeyLifetime) -> Result<Option<DateTime<Utc>>, KeyChangeError> {
        let end = lifetime.end(self.time)?;
        if matches!(lifetime, KeyLifetime::AtMost(_)) {
            return Ok(self.not_longer(end));
        }
        self.refuse_outliving(end)?;
        Ok(end)
    }

    fn refuse_outliving(&self, end: Option<DateTime<Utc>>) -> Result<(), KeyChangeError> {
        match self.not_longer(end) {
            Some(own_end) if end != Some(own_end) => Err(KeyChangeError::OutlivesActor(own_end)),
            _ => Ok(()),
        }
    }

    /// A key makes none that outlives it.
    fn not_longer(&self, end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let own_end = self.actor.as_ref().and_then(|actor| actor.expires_at);
        match (end, own_end) {
            (Some(end), Some(own_end)) => Some(end.min(own_end)),
            (end, own_end) => end.or(own_end),
        }
    }
}

/// One change of a client's keys at a time: two at once could both pass the checks. A key that acts must live when it
/// is its turn.
fn take_turn(connection: &mut PgConnection, manager: &KeyActor) -> Result<KeyChange, KeyChangeError> {
    let time = lock(connection, &manager.client)?;
    let Some(key) = manager.trail.public_key() else { return Ok(KeyChange { time, actor: None }) };
    let actor = find(connection, &manager.client, key).optional()?;
    let living = actor.filter(|actor| actor.status() != KeyStatus::Expired);
    Ok(KeyChange { time, actor: Some(living.ok_or(KeyChangeError::ActorGone)?) })
}

/// Makes whoever else changes keys of the client wait; returns the time of the transaction.
pub(crate) fn lock(connection: &mut PgConnection, client: &ClientId) -> QueryResult<DateTime<Utc>> {
    clients::table.find(client.as_str()).select(database_now()).for_update().first(connection)
}

fn refuse_used_form(
    connection: &mut PgConnection,
    manager: &KeyActor,
    key: &NewKey,
) -> Result<(), KeyChangeError> {
    let Some(nonce) = &key.form_nonce else { return Ok(()) };
    let of_client = api_keys::client_id.eq(manager.client.as_str());
    let made = api_keys::table.filter(of_client.and(api_keys::form_nonce.eq(nonce)));
    let is_used = diesel::select(exists(made)).get_result::<bool>(connection)?;
    if is_used { Err(KeyChangeError::FormUsed) } else { Ok(()) }
}

/// An expired key keeps its name until it is deleted or replaced: it says in the list why a program has stopped.
fn refuse_taken_name(
    connection: &mut PgConnection,
    client: &ClientId,
    name: &KeyName,
) -> Result<(), KeyChangeError> {
    let is_living = api_keys::table
        .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::name.eq(name.as_str())))
        .filter(api_keys::deleted_at.is_null().and(api_keys::replaced_by.is_null()))
        .select(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .first::<Option<bool>>(connection)
        .optional()?;
    match is_living {
        None => Ok(()),
        Some(Some(false)) => Err(KeyChangeError::NameOfExpired),
        Some(_) => Err(KeyChangeError::NameTaken),
    }
}

fn refuse_full(connection: &mut PgConnection, client: &ClientId) -> Result<(), KeyChangeError> {
    let living = api_keys::table
        .filter(api_keys::client_id.eq(client.as_str()).and(api_keys::deleted_at.is_null()))
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now)))
        .select(count_star())
        .first::<i64>(connection)?;
    if living < LIVING_MAX { Ok(()) } else { Err(KeyChangeError::Full) }
}

/// Says when a key that is being replaced ends, and by what it is replaced.
fn retire(
    connection: &mut PgConnection,
    client: &ClientId,
    old: &PublicKey,
    by: &PublicKey,
    end: DateTime<Utc>,
) -> QueryResult<()> {
    diesel::update(api_keys::table.find((client.as_str(), old.as_str())))
        .set((api_keys::replaced_by.eq(by.as_str()), api_keys::expires_at.eq(end)))
        .execute(connection)
        .map(|_rows| ())
}

fn shred(
    connection: &mut PgConnection,
    manager: &KeyActor,
    key: &PublicKey,
) -> Result<DeletedKey, KeyChangeError> {
    let before = find_ever(connection, &manager.client, key)?;
    if before.deleted_at.is_some() {
        return Ok(DeletedKey::Before(before));
    }
    diesel::update(api_keys::table.find((manager.client.as_str(), key.as_str())))
        .set((
            api_keys::deleted_at.eq(now),
            api_keys::deleted_by.eq(manager.trail.user_id()),
            api_keys::deleted_by_key.eq(manager.trail.public_key().map(PublicKey::as_str)),
            api_keys::secret_hash.eq(None::<Vec<u8>>),
        ))
        .execute(connection)?;
    Ok(DeletedKey::Now(before))
}

/// What of a row does not come from the key itself.
struct NewKeyRow<'a> {
    name: &'a str,
    rights: &'a KeyRights,
    end: Option<DateTime<Utc>>,
}

fn insert(
    connection: &mut PgConnection,
    manager: &KeyActor,
    key: &NewKey,
    row: &NewKeyRow<'_>,
) -> Result<(), KeyChangeError> {
    diesel::insert_into(api_key_directory::table)
        .values((
            api_key_directory::public_key.eq(key.public_key.as_str()),
            api_key_directory::client_id.eq(manager.client.as_str()),
        ))
        .execute(connection)?;
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::client_id.eq(manager.client.as_str()),
            api_keys::public_key.eq(key.public_key.as_str()),
            api_keys::name.eq(row.name),
            api_keys::secret_hash.eq(&key.secret_hash),
            api_keys::form_nonce.eq(&key.form_nonce),
            api_keys::scopes.eq(scopes_of(row.rights)),
            api_keys::requests_per_minute.eq(row.rights.requests_per_minute.get()),
            api_keys::allowed_networks.eq(row.rights.networks.as_slice()),
            api_keys::expires_at.eq(row.end),
            api_keys::created_by.eq(manager.trail.user_id()),
            api_keys::created_by_key.eq(manager.trail.public_key().map(PublicKey::as_str)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Each once, always in the same order: another order is no change.
fn scopes_of(rights: &KeyRights) -> Vec<&'static str> {
    Scope::ALL.into_iter().filter(|scope| rights.scopes.contains(scope)).map(Scope::as_str).collect()
}
