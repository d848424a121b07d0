//! Writing the tables `sessions`, `session_counters` and, in `days`, `session_days`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, prelude::*};
use uuid::Uuid;

use super::{
    days::Days,
    record::{Given, Record},
};
use crate::{
    accounts::ClientId,
    schema::{session_counters, sessions},
};

/// So many records at most are stored in one go.
pub const BATCH_MAX: usize = 1000;

/// What became of a recorded session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and is changed.
    Updated,
    /// It was there and is the same, or was newer.
    Unchanged,
}

/// A session that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Our id of it.
    pub session_id: Uuid,
    /// What became of it.
    pub outcome: Outcome,
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
    given: &[Given],
) -> QueryResult<Vec<Recorded>> {
    connection.transaction(|connection| {
        let counter = session_counters::table.find(client.as_str());
        let recorded = counter.select(session_counters::recorded).for_update().first::<i64>(connection)?;
        let known = known(connection, client, given)?;
        let mut batch = Batch { client, next: recorded + 1, known, new: Vec::new(), days: Days::default() };
        let outcomes: Vec<Recorded> =
            given.iter().map(|given| batch.take(connection, given)).collect::<QueryResult<_>>()?;
        // What changes nothing leaves the revision as it is: what was answered at it still holds.
        if outcomes.iter().any(|it| it.outcome != Outcome::Unchanged) {
            batch.store(connection)?;
        }
        Ok(outcomes)
    })
}

/// A stored session as far as a record of the same `externalId` is compared with it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions, check_for_backend(diesel::pg::Pg))]
struct Stored {
    sequence: i64,
    session_id: Uuid,
    updated_at: DateTime<Utc>,
    sender_updated_at: Option<DateTime<Utc>>,
    erased_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    record: Record,
}

impl Stored {
    /// Whether what is stored is newer than a record that its sender last changed at `updated_at`.
    fn is_newer_than(&self, updated_at: Option<DateTime<Utc>>) -> bool {
        updated_at.is_some_and(|given| given < self.sender_updated_at.unwrap_or(self.updated_at))
    }
}

/// The stored sessions that these records are about.
fn known(connection: &mut PgConnection, client: &ClientId, given: &[Given]) -> QueryResult<Places> {
    let external_ids: Vec<&str> =
        given.iter().filter_map(|given| given.record.external_id.as_deref()).collect();
    let nameless = given.iter().filter(|given| given.record.external_id.is_none());
    let session_ids: Vec<Uuid> = nameless.filter_map(|given| given.session_id).collect();
    let mine = sessions::table.filter(sessions::client_id.eq(client.as_str())).select(Stored::as_select());
    let mut places = Places::default();
    for stored in mine.filter(sessions::external_id.eq_any(external_ids)).load(connection)? {
        places.add(stored);
    }
    if !session_ids.is_empty() {
        for stored in mine.filter(sessions::session_id.eq_any(session_ids)).load(connection)? {
            places.add(stored);
        }
    }
    Ok(places)
}

/// What a record is known by: its `externalId`, or where the sender has none, our own id of the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    External(String),
    Ours(Uuid),
}

impl Name {
    fn of(given: &Given) -> Option<Self> {
        match &given.record.external_id {
            Some(id) => Some(Self::External(id.clone())),
            None => given.session_id.map(Self::Ours),
        }
    }
}

/// Where the session of a name is.
enum Place {
    /// In the table.
    Stored(Box<Stored>),
    /// Among the new rows of this batch, at this index.
    New(usize),
}

/// The place of every name in a batch.
#[derive(Default)]
struct Places(HashMap<Name, Place>);

impl Places {
    fn add(&mut self, stored: Stored) {
        let name = match &stored.record.external_id {
            Some(id) => Name::External(id.clone()),
            None => Name::Ours(stored.session_id),
        };
        self.0.insert(name, Place::Stored(Box::new(stored)));
    }
}

#[derive(Insertable)]
#[diesel(table_name = sessions)]
struct NewRow {
    client_id: String,
    sequence: i64,
    session_id: Uuid,
    sender_updated_at: Option<DateTime<Utc>>,
    #[diesel(embed)]
    record: Record,
}

/// The state of [`record_all`] between two records.
struct Batch<'a> {
    client: &'a ClientId,
    next: i64,
    known: Places,
    new: Vec<NewRow>,
    days: Days,
}

impl Batch<'_> {
    fn take(&mut self, connection: &mut PgConnection, given: &Given) -> QueryResult<Recorded> {
        let place = Name::of(given).and_then(|name| self.known.0.get_mut(&name));
        match place {
            None => Ok(self.create(given)),
            Some(Place::Stored(stored)) => {
                let before = stored.record.clone();
                let recorded = update(connection, self.client, stored, given)?;
                self.days.change(&before, &stored.record);
                Ok(recorded)
            }
            Some(Place::New(index)) => Ok(amend(&mut self.new[*index], given)),
        }
    }

    fn create(&mut self, given: &Given) -> Recorded {
        if let Some(name @ Name::External(_)) = Name::of(given) {
            self.known.0.insert(name, Place::New(self.new.len()));
        }
        let session_id = Uuid::now_v7();
        self.new.push(NewRow {
            client_id: self.client.as_str().to_owned(),
            sequence: self.next,
            session_id,
            sender_updated_at: given.updated_at,
            record: given.record.clone(),
        });
        self.next += 1;
        Recorded { session_id, outcome: Outcome::Created }
    }

    /// Stores what is new, and what is counted.
    fn store(mut self, connection: &mut PgConnection) -> QueryResult<()> {
        diesel::insert_into(sessions::table).values(&self.new).execute(connection)?;
        for row in &self.new {
            self.days.add(&row.record);
        }
        self.days.store(connection, self.client)?;
        diesel::update(session_counters::table.find(self.client.as_str()))
            .set((
                session_counters::recorded.eq(self.next - 1),
                session_counters::revision.eq(session_counters::revision + 1),
            ))
            .execute(connection)
            .map(|_rows| ())
    }
}

/// Updates a stored session. What was erased is not filled in again.
fn update(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut Stored,
    given: &Given,
) -> QueryResult<Recorded> {
    let record = match stored.erased_at {
        Some(_) => given.record.clone().without_shopper(),
        None => given.record.clone(),
    };
    let session_id = stored.session_id;
    if stored.is_newer_than(given.updated_at) {
        return Ok(Recorded { session_id, outcome: Outcome::Unchanged });
    }
    if stored.record == record {
        confirm(connection, client, stored, given.updated_at)?;
        return Ok(Recorded { session_id, outcome: Outcome::Unchanged });
    }
    diesel::update(sessions::table.find((client.as_str(), stored.sequence)))
        .set((&record, sessions::updated_at.eq(now), sessions::sender_updated_at.eq(given.updated_at)))
        .execute(connection)?;
    stored.record = record;
    stored.sender_updated_at = given.updated_at;
    Ok(Recorded { session_id, outcome: Outcome::Updated })
}

/// The sender says that what is stored was still so at a later time: an older record must not overwrite it.
fn confirm(
    connection: &mut PgConnection,
    client: &ClientId,
    stored: &mut Stored,
    updated_at: Option<DateTime<Utc>>,
) -> QueryResult<()> {
    if updated_at.is_some() && updated_at != stored.sender_updated_at {
        diesel::update(sessions::table.find((client.as_str(), stored.sequence)))
            .set(sessions::sender_updated_at.eq(updated_at))
            .execute(connection)?;
        stored.sender_updated_at = updated_at;
    }
    Ok(())
}

/// Changes a row that is not stored yet: the same `externalId` twice in one batch.
fn amend(row: &mut NewRow, given: &Given) -> Recorded {
    // A record without a time is as of now: what says that it is older is older.
    let is_older =
        given.updated_at.is_some_and(|given| row.sender_updated_at.is_none_or(|stored| given < stored));
    let outcome = if is_older || row.record == given.record { Outcome::Unchanged } else { Outcome::Updated };
    if !is_older {
        row.record = given.record.clone();
        row.sender_updated_at = given.updated_at;
    }
    Recorded { session_id: row.session_id, outcome }
}
