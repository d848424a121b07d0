//! Corrects `session_days`, the number of sessions by day, status and channel.

use chrono::NaiveDate;
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Date, Text},
};

use super::runner::MigrationRunner;
use crate::schema::{session_counters, session_days};

/// Counts all sessions and compares, in one snapshot. It scans an index only and blocks nothing.
const DIFFERENCES: &str = "\
    select client_id, day, status, channel, coalesce(actual.sessions, 0) - coalesce(counted.sessions, 0) as uncounted \
    from ( \
        select client_id, (created_at at time zone 'UTC')::date as day, status, channel, count(*) as sessions \
        from sessions group by 1, 2, 3, 4 \
    ) actual full join session_days counted using (client_id, day, status, channel) \
    where coalesce(actual.sessions, 0) <> coalesce(counted.sessions, 0) \
    order by client_id, day, status, channel";

/// Sessions of a client, day, status and channel that are not counted; negative if too many are.
#[derive(QueryableByName)]
struct Difference {
    #[diesel(sql_type = Text)]
    client_id: String,
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = BigInt)]
    uncounted: i64,
}

/// Adds the sessions that are not counted: those that a version without counts recorded while the migration that
/// introduced them counted the others.
///
/// A node that records a session meanwhile also counts it, so a difference stays the same until it is added.
pub(super) fn correct_daily_counts(runner: &mut MigrationRunner) -> anyhow::Result<()> {
    let differences: Vec<Difference> = runner.read(|connection| sql_query(DIFFERENCES).load(connection))?;
    for of_client in differences.chunk_by(|a, b| a.client_id == b.client_id) {
        runner.run_in_transaction(|connection| add_differences(connection, of_client))?;
        tracing::info!(client = of_client[0].client_id, rows = of_client.len(), "Corrected the daily counts");
    }
    Ok(())
}

/// Adds the differences of one client.
fn add_differences(connection: &mut PgConnection, differences: &[Difference]) -> QueryResult<()> {
    // Locks the counter, as everyone does who changes counts, and makes cached totals invalid.
    diesel::update(session_counters::table.find(&differences[0].client_id))
        .set(session_counters::revision.eq(session_counters::revision + 1))
        .execute(connection)?;
    for Difference { client_id, day, status, channel, uncounted } in differences {
        diesel::insert_into(session_days::table)
            .values((
                session_days::client_id.eq(client_id),
                session_days::day.eq(day),
                session_days::status.eq(status),
                session_days::channel.eq(channel),
                session_days::sessions.eq(0_i64),
            ))
            .on_conflict_do_nothing()
            .execute(connection)?;
        diesel::update(session_days::table.find((client_id, day, status, channel)))
            .set(session_days::sessions.eq(session_days::sessions + *uncounted))
            .execute(connection)?;
    }
    Ok(())
}
