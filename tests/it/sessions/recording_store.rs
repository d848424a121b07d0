//! The counters of sessions always match the sessions.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uptok::{
    ids::ClientId,
    sessions::{IncomingSession, RecordOutcome, SessionRecord, record_all},
};

use crate::support::TestDb;

const CLIENTS: [&str; 2] = ["cl_0000000001", "cl_0000000002"];

/// Creates a database with two clients.
fn create_clients() -> TestDb {
    let db = TestDb::new();
    for client in CLIENTS {
        db.execute(&format!("insert into clients (client_id, name) values ('{client}', 'Ada')"));
        db.execute(&format!("insert into session_counters (client_id) values ('{client}')"));
    }
    db
}

/// A generated record: an id and the values that the daily counts depend on.
#[derive(Clone, Debug)]
struct GeneratedRecord {
    id: u8,
    status: &'static str,
    channel: &'static str,
    hour: u8,
    rating: u8,
}

impl GeneratedRecord {
    fn to_incoming(&self) -> IncomingSession {
        let now: DateTime<Utc> = "2026-11-23T00:00:00Z".parse().unwrap();
        // Three days, with hours on both sides of midnight UTC.
        let time = format!("2026-01-{:02}T{:02}:30:00+02:00", 1 + self.hour / 24, self.hour % 24);
        let (id, rating) = (format!("id-{}", self.id), self.rating.to_string());
        SessionRecord::parse(now, |name| match name {
            // Every tenth record has no external id, so it is always new.
            "externalId" if !self.id.is_multiple_of(10) => &id,
            "status" => self.status,
            "channel" => self.channel,
            "createdAt" | "endedAt" => &time,
            "rating" => &rating,
            _ => "",
        })
        .unwrap()
    }
}

fn any_record() -> impl Strategy<Value = GeneratedRecord> {
    let status = prop::sample::select(vec!["completed", "missed", "failed"]);
    let channel = prop::sample::select(vec!["video", "chat"]);
    (0_u8..40, status, channel, 0_u8..72, 1_u8..3)
        .prop_map(|(id, status, channel, hour, rating)| GeneratedRecord { id, status, channel, hour, rating })
}

/// Returns the daily counts and counters that do not match the sessions.
fn find_mismatches(db: &TestDb) -> String {
    db.query_text(
        "with counted as (\
             select client_id, (created_at at time zone 'UTC')::date as day, status, channel, count(*) as sessions \
             from sessions group by 1, 2, 3, 4), \
         kept as (select * from session_days where sessions > 0) \
         select concat( \
             (select string_agg(wrong::text, ' ') from (table counted except table kept) wrong), \
             (select string_agg(wrong::text, ' ') from (table kept except table counted) wrong), \
             (select string_agg(client_id, ' ') from session_counters counter where recorded <> \
                 (select count(*) from sessions where client_id = counter.client_id))) as answer",
    )
}

fn read_revision(db: &TestDb, client: &ClientId) -> i64 {
    db.query_text(&format!(
        "select revision::text as answer from session_counters where client_id = '{client}'"
    ))
    .parse()
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn daily_counts_match_the_sessions_after_any_history(
        history in prop::collection::vec((0_usize..2, prop::collection::vec(any_record(), 0..30)), 1..12)
    ) {
        let db = create_clients();
        for (client, batch) in history {
            let client: ClientId = CLIENTS[client].parse().unwrap();
            let batch: Vec<IncomingSession> = batch.iter().map(GeneratedRecord::to_incoming).collect();
            let before = read_revision(&db, &client);

            let recorded = record_all(&mut db.connect(), &client, &batch).unwrap();

            let changes = recorded.iter().any(|it| it.outcome != RecordOutcome::Unchanged);
            prop_assert_eq!(read_revision(&db, &client) - before, i64::from(changes));
            prop_assert_eq!(find_mismatches(&db), "");
        }
    }
}

#[test]
fn unchanged_records_keep_the_revision() {
    let db = create_clients();
    let client: ClientId = CLIENTS[0].parse().unwrap();
    let one = GeneratedRecord { id: 1, status: "missed", channel: "chat", hour: 0, rating: 1 }.to_incoming();
    let mut later = one.clone();
    later.updated_at = Some("2026-11-22T00:00:00Z".parse().unwrap());
    let outcome = |given: &IncomingSession| {
        record_all(&mut db.connect(), &client, std::slice::from_ref(given)).unwrap()[0].outcome
    };

    assert_eq!((outcome(&one), read_revision(&db, &client)), (RecordOutcome::Created, 1));
    assert_eq!((outcome(&one), read_revision(&db, &client)), (RecordOutcome::Unchanged, 1));
    assert_eq!((outcome(&later), read_revision(&db, &client)), (RecordOutcome::Unchanged, 1));
    record_all(&mut db.connect(), &client, &[]).unwrap();
    assert_eq!(read_revision(&db, &client), 1);
}
