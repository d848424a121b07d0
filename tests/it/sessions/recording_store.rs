//! What is counted of sessions is what there is.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uptok::{
    ids::ClientId,
    sessions::{IncomingSession, RecordOutcome, SessionRecord, record_all},
};

use crate::support::TestDb;

const CLIENTS: [&str; 2] = ["cl_0000000001", "cl_0000000002"];

/// A database with two clients.
fn clients() -> TestDb {
    let db = TestDb::new();
    for client in CLIENTS {
        db.execute(&format!("insert into clients (client_id, name) values ('{client}', 'Ada')"));
        db.execute(&format!("insert into session_counters (client_id) values ('{client}')"));
    }
    db
}

/// One record: whose it is by its id, and what is counted of it.
#[derive(Clone, Debug)]
struct Drawn {
    id: u8,
    status: &'static str,
    channel: &'static str,
    hour: u8,
    rating: u8,
}

impl Drawn {
    fn given(&self) -> IncomingSession {
        let now: DateTime<Utc> = "2026-11-23T00:00:00Z".parse().unwrap();
        // Three days, by hours on both sides of midnight in UTC.
        let time = format!("2026-01-{:02}T{:02}:30:00+02:00", 1 + self.hour / 24, self.hour % 24);
        let (id, rating) = (format!("id-{}", self.id), self.rating.to_string());
        SessionRecord::parse(now, |name| match name {
            // Every tenth has no name and is always new.
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

fn drawn() -> impl Strategy<Value = Drawn> {
    let status = prop::sample::select(vec!["completed", "missed", "failed"]);
    let channel = prop::sample::select(vec!["video", "chat"]);
    (0_u8..40, status, channel, 0_u8..72, 1_u8..3).prop_map(|(id, status, channel, hour, rating)| Drawn {
        id,
        status,
        channel,
        hour,
        rating,
    })
}

/// Days whose number is not that of the sessions, and clients whose counter is not.
fn wrong(db: &TestDb) -> String {
    db.ask(
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

fn revision(db: &TestDb, client: &ClientId) -> i64 {
    db.ask(&format!("select revision::text as answer from session_counters where client_id = '{client}'"))
        .parse()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn after_any_history_the_days_are_those_of_the_sessions(
        history in prop::collection::vec((0_usize..2, prop::collection::vec(drawn(), 0..30)), 1..12)
    ) {
        let db = clients();
        for (client, batch) in history {
            let client: ClientId = CLIENTS[client].parse().unwrap();
            let batch: Vec<IncomingSession> = batch.iter().map(Drawn::given).collect();
            let before = revision(&db, &client);

            let recorded = record_all(&mut db.connect(), &client, &batch).unwrap();

            let changes = recorded.iter().any(|it| it.outcome != RecordOutcome::Unchanged);
            prop_assert_eq!(revision(&db, &client) - before, i64::from(changes));
            prop_assert_eq!(wrong(&db), "");
        }
    }
}

#[test]
fn what_changes_nothing_leaves_the_revision() {
    let db = clients();
    let client: ClientId = CLIENTS[0].parse().unwrap();
    let one = Drawn { id: 1, status: "missed", channel: "chat", hour: 0, rating: 1 }.given();
    let mut later = one.clone();
    later.updated_at = Some("2026-11-22T00:00:00Z".parse().unwrap());
    let outcome = |given: &IncomingSession| {
        record_all(&mut db.connect(), &client, std::slice::from_ref(given)).unwrap()[0].outcome
    };

    assert_eq!((outcome(&one), revision(&db, &client)), (RecordOutcome::Created, 1));
    assert_eq!((outcome(&one), revision(&db, &client)), (RecordOutcome::Unchanged, 1));
    assert_eq!((outcome(&later), revision(&db, &client)), (RecordOutcome::Unchanged, 1));
    record_all(&mut db.connect(), &client, &[]).unwrap();
    assert_eq!(revision(&db, &client), 1);
}
