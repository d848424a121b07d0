//! The table `session_days`: how many sessions a client has, by what most filters ask for.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use diesel::{prelude::*, upsert::excluded};

use crate::{ids::ClientId, schema::session_days, sessions::record::SessionRecord};

/// How the numbers of a client's days change in a transaction.
#[derive(Default)]
pub(crate) struct DailyCounts(BTreeMap<DayKey, i64>);

/// The day of `createdAt` in UTC, the status and the channel.
type DayKey = (NaiveDate, String, String);

fn day_of(record: &SessionRecord) -> DayKey {
    (record.created_at.date_naive(), record.status.clone(), record.channel.clone())
}

impl DailyCounts {
    /// There is one session more like this.
    pub(crate) fn add(&mut self, record: &SessionRecord) {
        *self.0.entry(day_of(record)).or_default() += 1;
    }

    /// A session that was like the first is like the second now.
    pub(crate) fn change(&mut self, before: &SessionRecord, after: &SessionRecord) {
        *self.0.entry(day_of(before)).or_default() -= 1;
        self.add(after);
    }

    /// Stores what changed. Whoever calls this holds the lock of the client's counter.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn store(self, connection: &mut PgConnection, client: &ClientId) -> QueryResult<()> {
        let (more, fewer): (Vec<_>, Vec<_>) =
            self.0.into_iter().filter(|(_, change)| *change != 0).partition(|(_, change)| *change > 0);
        for ((day, status, channel), change) in fewer {
            diesel::update(session_days::table.find((client.as_str(), day, status, channel)))
                .set(session_days::sessions.eq(session_days::sessions + change))
                .execute(connection)?;
        }
        let row = |((day, status, channel), change)| {
            (
                session_days::client_id.eq(client.as_str()),
                session_days::day.eq(day),
                session_days::status.eq(status),
                session_days::channel.eq(channel),
                session_days::sessions.eq(change),
            )
        };
        // A statement has at most 65,535 parameters.
        let rows: Vec<_> = more.into_iter().map(row).collect();
        for rows in rows.chunks(5000) {
            diesel::insert_into(session_days::table)
                .values(rows)
                .on_conflict(session_days::table.primary_key())
                .do_update()
                .set(session_days::sessions.eq(session_days::sessions + excluded(session_days::sessions)))
                .execute(connection)?;
        }
        Ok(())
    }
}
