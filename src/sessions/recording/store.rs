//! Writes the tables `sessions` and `session_counters`; [`DailyCountChanges`] writes `session_days`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, prelude::*, result::Error::QueryBuilderError};
use uuid::Uuid;

use super::{
    daily_counts::DailyCountChanges,
    new_row::{NewSessionRow, copy_rows},
};
use crate::{
    ids::ClientId,
    schema::{session_counters, sessions},
    sessions::record::{IncomingSession, SessionRecord},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// The session was not stored before.
    Created,
    /// A stored session was changed.
    Updated,
    /// The stored session is equal or newer.
    Unchanged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedSession {
    /// The session’s ID in Uptok.
    pub session_id: Uuid,
    /// What happened to the record.
    pub outcome: RecordOutcome,
}

/// Stores the records in their order, all or none. A record whose `externalId`, or else our id, is known updates that
/// session unless the stored one is newer.
///
/// The counter of the client stays locked until commit, so sequences are dense and in the order of commits.
///
/// # Errors
/// `NotFound` if there is no such client.
pub fn record_all(
    connection: &mut PgConnection,
    client: &ClientId,
    incoming: &[IncomingSession],
) -> QueryResult<Vec<RecordedSession>> {
    connection.transaction(|connection| {
        let counter = session_counters::table.find(client);
        let recorded = counter.select(session_counters::recorded).for_update().first::<i64>(connection)?;
        let known =
            if recorded == 0 { KnownSessions::default() } else { find_known(connection, client, incoming)? };
        let mut batch = RecordingState {
            client,
            next: recorded + 1,
            known,
            new: Vec::new(),
            days: DailyCountChanges::default(),
        };
        let outcomes: Vec<RecordedSession> =
            incoming.iter().map(|incoming| batch.apply(connection, incoming)).collect::<QueryResult<_>>()?;
        // Cached pages hold for a revision, so a batch that changes nothing leaves it as it is.
        if outcomes.iter().any(|it| it.outcome != RecordOutcome::Unchanged) {
            batch.store(connection)?;
        }
        Ok(outcomes)
    })
}

/// The columns of a stored session that an incoming record is compared with.
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
    /// Whether the record comes from an export of this session, so that its `updatedAt` is by our clock.
    pub(crate) fn was_exported_as(&self, incoming: &IncomingSession) -> bool {
        incoming.recorded_at == Some(self.recorded_at)
    }

    /// The time to compare `incoming` with: the sender's if known, otherwise that of our last change.
    pub(crate) fn as_of(&self, incoming: &IncomingSession) -> DateTime<Utc> {
        let by_sender = self.sender_updated_at.filter(|_| !self.was_exported_as(incoming));
        by_sender.unwrap_or(self.updated_at)
    }
}

/// Loads the stored sessions that these records match.
pub(crate) fn find_known(
    connection: &mut PgConnection,
    client: &ClientId,
    incoming: &[IncomingSession],
) -> QueryResult<KnownSessions> {
    let external_ids: Vec<&str> =
        incoming.iter().filter_map(|incoming| incoming.record.external_id.as_deref()).collect();
    let session_ids: Vec<Uuid> = incoming.iter().filter_map(|incoming| incoming.session_id).collect();
    let mine = sessions::table.filter(sessions::client_id.eq(client)).select(StoredSession::as_select());
    let mut known = KnownSessions::default();
    if !external_ids.is_empty() {
        for stored in mine.filter(sessions::external_id.eq_any(external_ids)).load(connection)? {
            known.add_external(stored);
        }
    }
    if !session_ids.is_empty() {
        for stored in mine.filter(sessions::session_id.eq_any(session_ids)).load(connection)? {
            known.add_ours(stored);
        }
    }
    Ok(known)
}

/// The identity of a record: its `externalId`, or without one our id of the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SessionMatchKey {
    External(String),
    Ours(Uuid),
}

impl SessionMatchKey {
    pub(crate) fn from_record(incoming: &IncomingSession) -> Option<Self> {
        match &incoming.record.external_id {
            Some(id) => Some(Self::External(id.clone())),
            None => incoming.session_id.map(Self::Ours),
        }
    }
}

#[derive(Clone, Copy)]
enum BatchSessionIndex {
    /// In the table; the index in [`KnownSessions::stored`].
    Stored(usize),
    /// New in this batch; the index in [`RecordingState::new`].
    New(usize),
}

/// The sessions of a batch by their keys. A session may have two keys.
#[derive(Default)]
pub(crate) struct KnownSessions {
    names: HashMap<SessionMatchKey, BatchSessionIndex>,
    stored: Vec<StoredSession>,
}

impl KnownSessions {
    fn add_external(&mut self, stored: StoredSession) {
        if let Some(id) = &stored.record.external_id {
            self.names
                .insert(SessionMatchKey::External(id.clone()), BatchSessionIndex::Stored(self.stored.len()));
        }
        self.names
            .insert(SessionMatchKey::Ours(stored.session_id), BatchSessionIndex::Stored(self.stored.len()));
        self.stored.push(stored);
    }

    fn add_ours(&mut self, stored: StoredSession) {
        let name = SessionMatchKey::Ours(stored.session_id);
        if !self.names.contains_key(&name) {
            self.names.insert(name, BatchSessionIndex::Stored(self.stored.len()));
            self.stored.push(stored);
        }
    }

    /// The session that the record matches. A stored session without `externalId` also matches by our id, and gets the
    /// `externalId` of the record.
    fn find(&self, incoming: &IncomingSession) -> Option<BatchSessionIndex> {
        let found = self.names.get(&SessionMatchKey::from_record(incoming)?).copied();
        if found.is_some() {
            return found;
        }
        let slot = self.names.get(&SessionMatchKey::Ours(incoming.session_id?)).copied()?;
        matches!(slot, BatchSessionIndex::Stored(index) if self.stored[index].record.external_id.is_none())
            .then_some(slot)
    }

    /// The stored session that the record matches.
    pub(crate) fn stored(&self, incoming: &IncomingSession) -> Option<&StoredSession> {
        match self.find(incoming)? {
            BatchSessionIndex::Stored(index) => Some(&self.stored[index]),
            BatchSessionIndex::New(_) => None,
        }
    }
}

/// The state of [`record_all`] between two records.
struct RecordingState<'a> {
    client: &'a ClientId,
    /// The sequence of the first new row.
    next: i64,
    known: KnownSessions,
    new: Vec<NewSessionRow<'a>>,
    days: DailyCountChanges,
}

impl<'a> RecordingState<'a> {
    fn apply(
        &mut self,
        connection: &mut PgConnection,
        incoming: &'a IncomingSession,
    ) -> QueryResult<RecordedSession> {
        let name = SessionMatchKey::from_record(incoming);
        match self.find_slot(incoming) {
            None => Ok(self.create(name, incoming)),
            Some(BatchSessionIndex::New(index)) => {
                self.known.names.extend(name.map(|name| (name, BatchSessionIndex::New(index))));
                Ok(replace_pending(&mut self.new[index], incoming))
            }
            Some(BatchSessionIndex::Stored(index)) => {
                let stored = &mut self.known.stored[index];
                let (recorded, before) = update(connection, self.client, stored, incoming)?;
                self.known.names.extend(name.map(|name| (name, BatchSessionIndex::Stored(index))));
                if let Some(before) = before {
                    self.days.change(&before, &stored.record);
                }
                Ok(recorded)
            }
        }
    }

    /// The session that the record matches, among the stored ones and those of this batch.
    fn find_slot(&self, incoming: &IncomingSession) -> Option<BatchSessionIndex> {
        let slot = self.known.find(incoming);
        slot.or_else(|| {
            let slot = self.known.names.get(&SessionMatchKey::Ours(incoming.session_id?)).copied()?;
            let lacks_external_id = |index: usize| self.new[index].incoming.record.external_id.is_none();
            matches!(slot, BatchSessionIndex::New(index) if lacks_external_id(index)).then_some(slot)
        })
    }

    fn create(&mut self, name: Option<SessionMatchKey>, incoming: &'a IncomingSession) -> RecordedSession {
        // Keeps the id of an export, so that sessions keep their ids in another installation.
        let is_free = |id: &Uuid| !self.known.names.contains_key(&SessionMatchKey::Ours(*id));
        let session_id = incoming.session_id.filter(is_free).unwrap_or_else(Uuid::now_v7);
        for name in name.into_iter().chain([SessionMatchKey::Ours(session_id)]) {
            self.known.names.insert(name, BatchSessionIndex::New(self.new.len()));
        }
        self.new.push(NewSessionRow { session_id, incoming });
        RecordedSession { session_id, outcome: RecordOutcome::Created }
    }

    /// Stores the new rows and the counts.
    fn store(mut self, connection: &mut PgConnection) -> QueryResult<()> {
        copy_rows(connection, self.client, self.next, &self.new)?;
        for new in &self.new {
            self.days.add(&new.incoming.record);
        }
        self.days.store(connection, self.client)?;
        let created = i64::try_from(self.new.len()).map_err(|error| QueryBuilderError(error.into()))?;
        diesel::update(session_counters::table.find(self.client))
            .set((
                session_counters::recorded.eq(session_counters::recorded + created),
                session_counters::revision.eq(session_counters::revision + 1),
            ))
            .execute(connection)
            .map(|_rows| ())
    }
}

/// Updates a stored session. Returns the previous record if it changed. Erased fields stay erased.
fn update(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut StoredSession,
    incoming: &IncomingSession,
) -> QueryResult<(RecordedSession, Option<SessionRecord>)> {
    let session_id = stored.session_id;
    let unchanged = RecordedSession { session_id, outcome: RecordOutcome::Unchanged };
    if incoming.updated_at.is_some_and(|it| it < stored.as_of(incoming)) {
        return Ok((unchanged, None));
    }
    let record = match stored.erased_at {
        Some(_) => incoming.record.clone().without_shopper(),
        None => incoming.record.clone(),
    };
    if stored.record == record {
        confirm_time(connection, client, stored, incoming)?;
        return Ok((unchanged, None));
    }
    let by_sender = incoming.updated_at.filter(|_| !stored.was_exported_as(incoming));
    diesel::update(sessions::table.find((client, stored.sequence)))
        .set((&record, sessions::updated_at.eq(now), sessions::sender_updated_at.eq(by_sender)))
        .execute(connection)?;
    // A record without `updatedAt` counts as newest, so any record with a time is older.
    stored.sender_updated_at = by_sender.or(Some(DateTime::<Utc>::MAX_UTC));
    let before = std::mem::replace(&mut stored.record, record);
    Ok((RecordedSession { session_id, outcome: RecordOutcome::Updated }, Some(before)))
}

/// Stores the later time of an equal record, so that a record between the two does not overwrite it. The time of an
/// export is not the sender's and is not stored.
fn confirm_time(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut StoredSession,
    incoming: &IncomingSession,
) -> QueryResult<()> {
    let updated_at = incoming.updated_at.filter(|_| !stored.was_exported_as(incoming));
    if updated_at.is_some() && updated_at != stored.sender_updated_at {
        diesel::update(sessions::table.find((client, stored.sequence)))
            .set(sessions::sender_updated_at.eq(updated_at))
            .execute(connection)?;
        stored.sender_updated_at = updated_at;
    }
    Ok(())
}

/// Replaces a row that is not stored yet: the same session twice in one batch.
fn replace_pending<'a>(new: &mut NewSessionRow<'a>, incoming: &'a IncomingSession) -> RecordedSession {
    // A record without `updatedAt` counts as newest, so any record with a time is older.
    let is_older =
        incoming.updated_at.is_some_and(|it| new.incoming.updated_at.is_none_or(|stored| it < stored));
    let is_same = new.incoming.record == incoming.record;
    if !is_older {
        new.incoming = incoming;
    }
    let outcome = if is_older || is_same { RecordOutcome::Unchanged } else { RecordOutcome::Updated };
    RecordedSession { session_id: new.session_id, outcome }
}
