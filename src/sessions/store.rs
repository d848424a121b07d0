//! The tables `sessions` and `session_counters`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{dsl::now, pg::Pg, prelude::*, query_builder::QueryFragment, query_dsl::methods::LoadQuery};
use uuid::Uuid;

use super::{
    page_request::{Filter, Order, PageRequest},
    record::Record,
    session::Session,
};
use crate::{
    accounts::ClientId,
    api_keys::Credentials,
    schema::{api_keys, session_counters, sessions},
};

/// A page of sessions and how many there are in all, from one snapshot.
#[derive(Debug, PartialEq)]
pub(super) struct PageOf {
    /// The sessions of the page, in the order asked for.
    pub(super) sessions: Vec<Session>,
    /// How many sessions there are, after the filter.
    pub(super) total: i64,
}

/// What became of a recorded session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and is changed.
    Updated,
    /// It was there and is the same.
    Unchanged,
}

/// A page of everything, for whoever presents these credentials; `None`: the key does not live.
///
/// One statement checks the key, takes the total from the counter and reads the page by its sequences, so the three
/// agree, and the last page costs what the first does.
///
/// # Errors
/// Those of the database.
pub(super) fn page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<PageOf>> {
    let rows: QueryResult<Vec<Row>> = match request.order {
        Order::Ascending => ascending_page(credentials, request).internal_load(connection)?.collect(),
        Order::Descending => descending_page(credentials, request).internal_load(connection)?.collect(),
    };
    rows.map(gathered)
}

/// The statement of [`page_of`] with its numbered parameters, for measuring it without us.
#[must_use]
pub fn page_statement(credentials: &Credentials, request: &PageRequest) -> String {
    diesel::debug_query::<Pg, _>(&ascending_page(credentials, request)).to_string()
}

/// No row: the key does not live. A row without a session: the page is empty.
fn gathered(rows: Vec<Row>) -> Option<PageOf> {
    let total = rows.first()?.0;
    Some(PageOf { sessions: rows.into_iter().filter_map(|(_, session)| session).collect(), total })
}

type Row = (i64, Option<Session>);

fn ascending_page<'a>(
    credentials: &'a Credentials,
    request: &PageRequest,
) -> impl LoadQuery<'a, PgConnection, Row> + QueryFragment<Pg> {
    let before = request.skipped();
    let last = before.saturating_add(request.per_page);
    let of_page = sessions::client_id
        .eq(api_keys::client_id)
        .and(sessions::sequence.gt(before))
        .and(sessions::sequence.le(last));
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(sessions::table.on(of_page))
        .filter(lives(credentials))
        .order(sessions::sequence.asc())
        .select((session_counters::recorded, Option::<Session>::as_select()))
}

fn descending_page<'a>(
    credentials: &'a Credentials,
    request: &PageRequest,
) -> impl LoadQuery<'a, PgConnection, Row> + QueryFragment<Pg> {
    let after = request.skipped();
    let last = after.saturating_add(request.per_page);
    let of_page = sessions::client_id
        .eq(api_keys::client_id)
        .and(sessions::sequence.le(session_counters::recorded - after))
        .and(sessions::sequence.gt(session_counters::recorded - last));
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(sessions::table.on(of_page))
        .filter(lives(credentials))
        .order(sessions::sequence.desc())
        .select((session_counters::recorded, Option::<Session>::as_select()))
}

/// The key lives: the client has it, its hash is that of what was presented, and it was not deleted.
#[diesel::dsl::auto_type(no_type_alias)]
fn lives<'a>(credentials: &'a Credentials) -> _ {
    let client: &'a str = credentials.client.as_str();
    let public_key: &'a str = credentials.public_key.as_str();
    let secret_hash: &'a [u8] = credentials.secret_hash.as_slice();
    api_keys::client_id
        .eq(client)
        .and(api_keys::public_key.eq(public_key))
        .and(api_keys::secret_hash.eq(secret_hash))
        .and(api_keys::deleted_at.is_null())
}

/// A page of what the filter lets through; `None`: the key does not live.
///
/// Counts and skips what the filter matches, so its cost grows with that; one snapshot for all three questions.
pub(super) fn filtered_page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<PageOf>> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        if !is_living(connection, credentials)? {
            return Ok(None);
        }
        let total = filtered(credentials, &request.filter).count().get_result(connection)?;
        let page = filtered(credentials, &request.filter).offset(request.skipped()).limit(request.per_page);
        let page = page.select(Session::as_select());
        let sessions = match request.order {
            Order::Ascending => page.order(sessions::sequence.asc()).load(connection),
            Order::Descending => page.order(sessions::sequence.desc()).load(connection),
        };
        Ok(Some(PageOf { sessions: sessions?, total }))
    })
}

/// Up to [`super::PER_PAGE_MAX`] sessions beyond `cursor` (a sequence, exclusive) and not above `newest`; `None`: the
/// key does not live (any more).
pub(super) fn chunk_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
    cursor: Option<i64>,
    newest: i64,
) -> QueryResult<Option<Vec<Session>>> {
    if !is_living(connection, credentials)? {
        return Ok(None);
    }
    let chunk = filtered(credentials, &request.filter)
        .filter(sessions::sequence.le(newest))
        .limit(super::PER_PAGE_MAX)
        .select(Session::as_select());
    let sessions = match request.order {
        Order::Ascending => chunk
            .filter(sessions::sequence.gt(cursor.unwrap_or(0)))
            .order(sessions::sequence.asc())
            .load(connection),
        Order::Descending => chunk
            .filter(sessions::sequence.lt(cursor.unwrap_or(i64::MAX)))
            .order(sessions::sequence.desc())
            .load(connection),
    };
    sessions.map(Some)
}

/// How many sessions the client has; `None`: the key does not live.
pub(super) fn newest_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
) -> QueryResult<Option<i64>> {
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .filter(lives(credentials))
        .select(session_counters::recorded)
        .first(connection)
        .optional()
}

fn is_living(connection: &mut PgConnection, credentials: &Credentials) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(api_keys::table.filter(lives(credentials)))).get_result(connection)
}

fn filtered<'a>(credentials: &'a Credentials, filter: &'a Filter) -> sessions::BoxedQuery<'a, Pg> {
    let mut query = sessions::table.into_boxed().filter(sessions::client_id.eq(credentials.client.as_str()));
    if let Some(from) = filter.from {
        query = query.filter(sessions::created_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(sessions::created_at.lt(to));
    }
    if let Some(status) = &filter.status {
        query = query.filter(sessions::status.eq(status));
    }
    query
}

/// Where a list that is ordered by time goes on: at this session, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) created_at: DateTime<Utc>,
    pub(super) sequence: i64,
}

/// In which direction a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    /// From the newest, or from a position on, to older ones.
    Older(Option<Position>),
    /// From a position on to newer ones.
    Newer(Position),
}

/// Up to `limit` sessions of a client, the newest `createdAt` first.
pub(super) fn newest_first(
    connection: &mut PgConnection,
    client: &ClientId,
    status: Option<&str>,
    towards: Towards,
    limit: i64,
) -> QueryResult<Vec<Session>> {
    let mut query = sessions::table.into_boxed().filter(sessions::client_id.eq(client.as_str())).limit(limit);
    if let Some(status) = status {
        query = query.filter(sessions::status.eq(status));
    }
    let at = |position: Position| (position.created_at, position.sequence);
    query = match towards {
        Towards::Older(None) => query,
        Towards::Older(Some(position)) => {
            let (time, sequence) = at(position);
            query
                .filter(sessions::created_at.le(time))
                .filter(sessions::created_at.lt(time).or(sessions::sequence.lt(sequence)))
        }
        Towards::Newer(position) => {
            let (time, sequence) = at(position);
            query
                .filter(sessions::created_at.ge(time))
                .filter(sessions::created_at.gt(time).or(sessions::sequence.gt(sequence)))
        }
    };
    let query = query.select(Session::as_select());
    if let Towards::Newer(_) = towards {
        let mut found =
            query.order((sessions::created_at.asc(), sessions::sequence.asc())).load(connection)?;
        found.reverse();
        return Ok(found);
    }
    query.order((sessions::created_at.desc(), sessions::sequence.desc())).load(connection)
}

/// How many sessions a client has.
pub(super) fn total_of(connection: &mut PgConnection, client: &ClientId) -> QueryResult<i64> {
    session_counters::table.find(client.as_str()).select(session_counters::recorded).first(connection)
}

/// Stores records in their order, all or none: known by `externalId`, they update what is there. Up to 1000 at a time.
///
/// The counter of the client stays locked until commit, so sequences are dense and in the order of commits.
///
/// # Errors
/// Those of the database; `NotFound` when there is no such client.
pub fn record_all(
    connection: &mut PgConnection,
    client: &ClientId,
    records: &[Record],
) -> QueryResult<Vec<Outcome>> {
    connection.transaction(|connection| {
        let recorded = session_counters::table
            .find(client.as_str())
            .select(session_counters::recorded)
            .for_update()
            .first::<i64>(connection)?;
        let mut batch =
            Batch { next: recorded + 1, known: known(connection, client, records)?, new: Vec::new() };
        let mut outcomes = Vec::with_capacity(records.len());
        for record in records {
            outcomes.push(batch.take(connection, client, record)?);
        }
        diesel::insert_into(sessions::table).values(&batch.new).execute(connection)?;
        diesel::update(session_counters::table.find(client.as_str()))
            .set(session_counters::recorded.eq(batch.next - 1))
            .execute(connection)?;
        Ok(outcomes)
    })
}

/// The stored records that have an `externalId` of these, by it.
fn known(
    connection: &mut PgConnection,
    client: &ClientId,
    records: &[Record],
) -> QueryResult<HashMap<String, Place>> {
    let ids: Vec<&str> = records.iter().filter_map(|record| record.external_id.as_deref()).collect();
    let rows = sessions::table
        .filter(sessions::client_id.eq(client.as_str()).and(sessions::external_id.eq_any(ids)))
        .select((sessions::sequence, Record::as_select()))
        .load::<(i64, Record)>(connection)?;
    let by_id = |(sequence, record): (i64, Record)| {
        Some((record.external_id.clone()?, Place::Stored(sequence, Box::new(record))))
    };
    Ok(rows.into_iter().filter_map(by_id).collect())
}

/// Where the record of an `externalId` is.
enum Place {
    /// In the table, with this sequence.
    Stored(i64, Box<Record>),
    /// Among the new rows of this batch, at this index.
    New(usize),
}

#[derive(Insertable)]
#[diesel(table_name = sessions)]
struct NewRow {
    client_id: String,
    sequence: i64,
    session_id: Uuid,
    #[diesel(embed)]
    record: Record,
}

/// The state of [`record_all`] between two records.
struct Batch {
    next: i64,
    known: HashMap<String, Place>,
    new: Vec<NewRow>,
}

impl Batch {
    fn take(
        &mut self,
        connection: &mut PgConnection,
        client: &ClientId,
        record: &Record,
    ) -> QueryResult<Outcome> {
        let place = record.external_id.as_ref().and_then(|id| self.known.get_mut(id));
        match place {
            None => {
                self.create(client, record);
                Ok(Outcome::Created)
            }
            Some(Place::Stored(_, stored)) if **stored == *record => Ok(Outcome::Unchanged),
            Some(Place::Stored(sequence, stored)) => {
                update(connection, client, *sequence, record)?;
                **stored = record.clone();
                Ok(Outcome::Updated)
            }
            Some(Place::New(index)) => {
                let row = &mut self.new[*index];
                let is_same = row.record == *record;
                row.record = record.clone();
                Ok(if is_same { Outcome::Unchanged } else { Outcome::Updated })
            }
        }
    }

    fn create(&mut self, client: &ClientId, record: &Record) {
        if let Some(id) = &record.external_id {
            self.known.insert(id.clone(), Place::New(self.new.len()));
        }
        self.new.push(NewRow {
            client_id: client.as_str().to_owned(),
            sequence: self.next,
            session_id: Uuid::now_v7(),
            record: record.clone(),
        });
        self.next += 1;
    }
}

fn update(
    connection: &mut PgConnection,
    client: &ClientId,
    sequence: i64,
    record: &Record,
) -> QueryResult<usize> {
    diesel::update(sessions::table.find((client.as_str(), sequence)))
        .set((record, sessions::updated_at.eq(now)))
        .execute(connection)
}
