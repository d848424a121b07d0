//! Writing the tables `sessions`, `session_counters` and, in `days`, `session_days`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, prelude::*, result::Error::QueryBuilderError};
use uuid::Uuid;

use super::{
    daily_counts::DailyCounts,
    new_row::{PendingRow, copy_rows},
};
use crate::{
    ids::ClientId,
    schema::{session_counters, sessions},
    sessions::record::{IncomingSession, SessionRecord},
};

/// So many records at most are stored in one go.
pub const BATCH_MAX: usize = 1000;

/// What became of a recorded session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is new.
    Created,
    /// It was there and is changed.
    Updated,
    /// It was there and is the same, or was newer.
    Unchanged,
}

/// A session that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSession {
    /// Our id of it.
    pub session_id: Uuid,
    /// What became of it.
    pub outcome: RecordOutcome,
}

/// Stores records in their order, all or none: known by `externalId`, or else by our own id, they update
/// what is there unless that is newer.
/// Up to [`BATCH_MAX`] at a time.
///
/// The counter of the client stays locked until commit, so sequences are dense and in the order of commits.
///
/// # Errors
/// Those of the database; `NotFound` when there is no such client.
pub fn record_all(
    connection: &mut PgConnection,
    client: &ClientId,
    given: &[IncomingSession],
) -> QueryResult<Vec<RecordedSession>> {
    connection.transaction(|connection| {
        let counter = session_counters::table.find(client.as_str());
        let recorded = counter.select(session_counters::recorded).for_update().first::<i64>(connection)?;
        let known = if recorded == 0 { KnownSessions::default() } else { known(connection, client, given)? };
        let mut batch = PendingChanges {
            client,
            next: recorded + 1,
            known,
            new: Vec::new(),
            days: DailyCounts::default(),
        };
        let outcomes: Vec<RecordedSession> =
            given.iter().map(|given| batch.take(connection, given)).collect::<QueryResult<_>>()?;
        // What changes nothing leaves the revision as it is: what was answered at it still holds.
        if outcomes.iter().any(|it| it.outcome != RecordOutcome::Unchanged) {
            batch.store(connection)?;
        }
        Ok(outcomes)
    })
}

/// A stored session as far as a record of the same `externalId` is compared with it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
pub(crate) struct StoredSession {
    sequence: i64,
    pub(crate) session_id: Uuid,
    recorded_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    sender_updated_at: Option<DateTime<Utc>>,
    pub(crate) erased_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    pub(crate) record: SessionRecord,
}

impl StoredSession {
    /// Whether this record is what an export gave of the session, so that its time is ours.
    pub(crate) fn was_exported_as(&self, given: &IncomingSession) -> bool {
        given.recorded_at == Some(self.recorded_at)
    }

    /// Until when it holds, by the clock that `given` goes by: as the sender said, or else since we changed it.
    pub(crate) fn as_of(&self, given: &IncomingSession) -> DateTime<Utc> {
        let by_sender = self.sender_updated_at.filter(|_| !self.was_exported_as(given));
        by_sender.unwrap_or(self.updated_at)
    }
}

/// The stored sessions that these records are about.
pub(crate) fn known(
    connection: &mut PgConnection,
    client: &ClientId,
    given: &[IncomingSession],
) -> QueryResult<KnownSessions> {
    let external_ids: Vec<&str> =
        given.iter().filter_map(|given| given.record.external_id.as_deref()).collect();
    let session_ids: Vec<Uuid> = given.iter().filter_map(|given| given.session_id).collect();
    let mine =
        sessions::table.filter(sessions::client_id.eq(client.as_str())).select(StoredSession::as_select());
    let mut places = KnownSessions::default();
    if !external_ids.is_empty() {
        for stored in mine.filter(sessions::external_id.eq_any(external_ids)).load(connection)? {
            places.add_external(stored);
        }
    }
    if !session_ids.is_empty() {
        for stored in mine.filter(sessions::session_id.eq_any(session_ids)).load(connection)? {
            places.add_ours(stored);
        }
    }
    Ok(places)
}

/// What a record is known by: its `externalId`, or where the sender has none, our own id of the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SessionKey {
    External(String),
    Ours(Uuid),
}

impl SessionKey {
    pub(crate) fn of(given: &IncomingSession) -> Option<Self> {
        match &given.record.external_id {
            Some(id) => Some(Self::External(id.clone())),
            None => given.session_id.map(Self::Ours),
        }
    }
}

/// Where the session of a name is.
#[derive(Clone, Copy)]
enum SessionSlot {
    /// In the table; at this index of those that were read.
    Stored(usize),
    /// Among the new rows of this batch, at this index.
    New(usize),
}

/// The place of every name in a batch. A session that two names lead to is there once.
#[derive(Default)]
pub(crate) struct KnownSessions {
    names: HashMap<SessionKey, SessionSlot>,
    stored: Vec<StoredSession>,
}

impl KnownSessions {
    fn add_external(&mut self, stored: StoredSession) {
        if let Some(id) = &stored.record.external_id {
            self.names.insert(SessionKey::External(id.clone()), SessionSlot::Stored(self.stored.len()));
        }
        self.names.insert(SessionKey::Ours(stored.session_id), SessionSlot::Stored(self.stored.len()));
        self.stored.push(stored);
    }

    fn add_ours(&mut self, stored: StoredSession) {
        let name = SessionKey::Ours(stored.session_id);
        if !self.names.contains_key(&name) {
            self.names.insert(name, SessionSlot::Stored(self.stored.len()));
            self.stored.push(stored);
        }
    }

    /// Where the session is that the record is about. One that had no `externalId` gets it where an export says its id.
    fn of(&self, given: &IncomingSession) -> Option<SessionSlot> {
        let found = self.names.get(&SessionKey::of(given)?).copied();
        if found.is_some() {
            return found;
        }
        let place = self.names.get(&SessionKey::Ours(given.session_id?)).copied()?;
        matches!(place, SessionSlot::Stored(index) if self.stored[index].record.external_id.is_none())
            .then_some(place)
    }

    /// The stored session that the record is about.
    pub(crate) fn stored(&self, given: &IncomingSession) -> Option<&StoredSession> {
        match self.of(given)? {
            SessionSlot::Stored(index) => Some(&self.stored[index]),
            SessionSlot::New(_) => None,
        }
    }
}

/// The state of [`record_all`] between two records.
struct PendingChanges<'a> {
    client: &'a ClientId,
    /// The sequence of the first new row.
    next: i64,
    known: KnownSessions,
    new: Vec<PendingRow<'a>>,
    days: DailyCounts,
}

impl<'a> PendingChanges<'a> {
    fn take(
        &mut self,
        connection: &mut PgConnection,
        given: &'a IncomingSession,
    ) -> QueryResult<RecordedSession> {
        let name = SessionKey::of(given);
        match self.place_of(given) {
            None => Ok(self.create(name, given)),
            Some(SessionSlot::New(index)) => {
                self.known.names.extend(name.map(|name| (name, SessionSlot::New(index))));
                Ok(amend(&mut self.new[index], given))
            }
            Some(SessionSlot::Stored(index)) => {
                let stored = &mut self.known.stored[index];
                let (recorded, before) = update(connection, self.client, stored, given)?;
                self.known.names.extend(name.map(|name| (name, SessionSlot::Stored(index))));
                if let Some(before) = before {
                    self.days.change(&before, &stored.record);
                }
                Ok(recorded)
            }
        }
    }

    /// Where the session is that the record is about, also if it is as new as that.
    fn place_of(&self, given: &IncomingSession) -> Option<SessionSlot> {
        let place = self.known.of(given);
        place.or_else(|| {
            let place = self.known.names.get(&SessionKey::Ours(given.session_id?)).copied()?;
            let is_nameless = |index: usize| self.new[index].given.record.external_id.is_none();
            matches!(place, SessionSlot::New(index) if is_nameless(index)).then_some(place)
        })
    }

    fn create(&mut self, name: Option<SessionKey>, given: &'a IncomingSession) -> RecordedSession {
        // Known by an id of ours, it must be found by it again; so an export may move to another installation.
        let is_free = |id: &Uuid| !self.known.names.contains_key(&SessionKey::Ours(*id));
        let session_id = given.session_id.filter(is_free).unwrap_or_else(Uuid::now_v7);
        for name in name.into_iter().chain([SessionKey::Ours(session_id)]) {
            self.known.names.insert(name, SessionSlot::New(self.new.len()));
        }
        self.new.push(PendingRow { session_id, given });
        RecordedSession { session_id, outcome: RecordOutcome::Created }
    }

    /// Stores what is new, and what is counted.
    fn store(mut self, connection: &mut PgConnection) -> QueryResult<()> {
        copy_rows(connection, self.client, self.next, &self.new)?;
        for new in &self.new {
            self.days.add(&new.given.record);
        }
        self.days.store(connection, self.client)?;
        let created = i64::try_from(self.new.len()).map_err(|error| QueryBuilderError(error.into()))?;
        diesel::update(session_counters::table.find(self.client.as_str()))
            .set((
                session_counters::recorded.eq(session_counters::recorded + created),
                session_counters::revision.eq(session_counters::revision + 1),
            ))
            .execute(connection)
            .map(|_rows| ())
    }
}

/// Updates a stored session, and gives what it was before if it is different now. What was erased is not filled in
/// again.
fn update(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut StoredSession,
    given: &IncomingSession,
) -> QueryResult<(RecordedSession, Option<SessionRecord>)> {
    let session_id = stored.session_id;
    let unchanged = RecordedSession { session_id, outcome: RecordOutcome::Unchanged };
    if given.updated_at.is_some_and(|it| it < stored.as_of(given)) {
        return Ok((unchanged, None));
    }
    let record = match stored.erased_at {
        Some(_) => given.record.clone().without_shopper(),
        None => given.record.clone(),
    };
    if stored.record == record {
        confirm(connection, client, stored, given)?;
        return Ok((unchanged, None));
    }
    let by_sender = given.updated_at.filter(|_| !stored.was_exported_as(given));
    diesel::update(sessions::table.find((client.as_str(), stored.sequence)))
        .set((&record, sessions::updated_at.eq(now), sessions::sender_updated_at.eq(by_sender)))
        .execute(connection)?;
    // Without a time it is as of now: what says that it is older is older.
    stored.sender_updated_at = by_sender.or(Some(DateTime::<Utc>::MAX_UTC));
    let before = std::mem::replace(&mut stored.record, record);
    Ok((RecordedSession { session_id, outcome: RecordOutcome::Updated }, Some(before)))
}

/// The sender says that what is stored was still so at a later time: an older record must not overwrite it. An export
/// says nothing of the sender.
fn confirm(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut StoredSession,
    given: &IncomingSession,
) -> QueryResult<()> {
    let updated_at = given.updated_at.filter(|_| !stored.was_exported_as(given));
    if updated_at.is_some() && updated_at != stored.sender_updated_at {
        diesel::update(sessions::table.find((client.as_str(), stored.sequence)))
            .set(sessions::sender_updated_at.eq(updated_at))
            .execute(connection)?;
        stored.sender_updated_at = updated_at;
    }
    Ok(())
}

/// Changes a row that is not stored yet: the same name twice in one batch.
fn amend<'a>(new: &mut PendingRow<'a>, given: &'a IncomingSession) -> RecordedSession {
    // A record without a time is as of now: what says that it is older is older.
    let is_older = given.updated_at.is_some_and(|it| new.given.updated_at.is_none_or(|stored| it < stored));
    let is_same = new.given.record == given.record;
    if !is_older {
        new.given = given;
    }
    let outcome = if is_older || is_same { RecordOutcome::Unchanged } else { RecordOutcome::Updated };
    RecordedSession { session_id: new.session_id, outcome }
}
