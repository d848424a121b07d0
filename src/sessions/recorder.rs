//! Writing the tables `sessions` and `session_counters`.

use std::collections::HashMap;

use diesel::{dsl::now, prelude::*};
use uuid::Uuid;

use super::record::Record;
use crate::{
    accounts::ClientId,
    schema::{session_counters, sessions},
};

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
