//! The table `session_days`: the number of sessions by day, status and channel, the most common filters.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use diesel::{prelude::*, upsert::excluded};

use crate::{
    ids::ClientId,
    schema::session_days,
    sessions::{
        fields::{Channel, SessionStatus},
        record::SessionRecord,
    },
};

/// By how much a transaction changes the counts of a client.
#[derive(Default)]
pub(crate) struct DailyCountChanges(BTreeMap<DailyCountKey, i64>);

/// The day of `createdAt` in UTC, the status and the channel.
type DailyCountKey = (NaiveDate, SessionStatus, Channel);

fn day_key(record: &SessionRecord) -> DailyCountKey {
    (record.created_at.date_naive(), record.status, record.channel)
}

impl DailyCountChanges {
    /// Counts a new session.
    pub(crate) fn add(&mut self, record: &SessionRecord) {
        *self.0.entry(day_key(record)).or_default() += 1;
    }

    /// Moves a changed session from one count to another.
    pub(crate) fn change(&mut self, before: &SessionRecord, after: &SessionRecord) {
        *self.0.entry(day_key(before)).or_default() -= 1;
        self.add(after);
    }

    /// Stores the changes. The caller holds the lock of the client's counter, so no other transaction writes these rows.
    pub(crate) fn store(self, connection: &mut PgConnection, client: &ClientId) -> QueryResult<()> {
        let (more, fewer): (Vec<_>, Vec<_>) =
            self.0.into_iter().filter(|(_, change)| *change != 0).partition(|(_, change)| *change > 0);
        for ((day, status, channel), change) in fewer {
            diesel::update(session_days::table.find((client, day, status, channel)))
                .set(session_days::sessions.eq(session_days::sessions + change))
                .execute(connection)?;
        }
        let row = |((day, status, channel), change)| {
            (
                session_days::client_id.eq(client),
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
