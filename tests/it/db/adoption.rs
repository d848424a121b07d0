//! Databases of versions before the first release get the schema of a new one and keep their rows.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use diesel::{PgConnection, connection::SimpleConnection as _, migration::MigrationSource, pg::Pg};
use uptok::db::{Db, migrations::MIGRATIONS};

use crate::support::TestDb;

/// A database with the 16 migrations of commit 993a6a0, and one that has `wrap_up_seconds` too.
const DUMPS: [&str; 2] = [include_str!("dumps/993a6a0.sql"), include_str!("dumps/wrap_up_seconds.sql")];

/// Columns that migrations after the initial ones add. The dumps do not have them.
const LATER_COLUMNS: &str = "{skipped,encoding,requires_second_factor}";

/// Tables that migrations after the initial ones create.
const LATER_TABLES: &str = "{outbox,account_links,invitations,key_rate_limits,attempt_rate_limits,\
    second_factors,recovery_codes,pending_logins,shard_usage_batches}";

/// How many migrations a new database has. An adoption records the initial ones, and the others run.
fn count_migrations() -> usize {
    MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap().len()
}

fn restore(dump: &str) -> TestDb {
    let db = TestDb::empty();
    db.execute_all(dump);
    db
}

/// The rows of the tables that the dumps have, as JSON, without columns that are null or newer.
fn load_rows(db: &TestDb) -> String {
    let tables = db.query_text(&format!(
        "select string_agg(relname, ' ' order by relname) as answer from pg_class \
         where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not like '\\_\\_%' \
         and relname <> all ('{LATER_TABLES}')",
    ));
    let rows_of = |table: &str| {
        let rows = db.query_text(&format!(
            "select coalesce(string_agg(line, E'\\n' order by line), '') as answer \
             from (select (jsonb_strip_nulls(to_jsonb(t)) - '{LATER_COLUMNS}'::text[])::text as line from {table} t) lines"
        ));
        assert_ne!(rows, "", "the dump has no row of {table}");
        format!("{table}:\n{rows}\n")
    };
    tables.split(' ').map(rows_of).collect()
}

/// The schema of a database that never had another.
fn dump_new_schema() -> String {
    TestDb::new().dump_schema()
}

/// Days whose count differs from the sessions that there are.
const WRONG_DAYS: &str = "select count(*)::text as answer from ( \
    select client_id, (created_at at time zone 'UTC')::date as day, status, channel, count(*) as sessions \
    from sessions group by 1, 2, 3, 4) actual \
    full join session_days counted using (client_id, day, status, channel) \
    where coalesce(actual.sessions, 0) <> coalesce(counted.sessions, 0)";

/// Records a session as the binary of 993a6a0 does: under the lock of the counter, with the count of its day.
const RECORD: &str = "begin; \
    update session_counters set recorded = recorded + 1, revision = revision + 1; \
    insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at) \
    select client_id, recorded, gen_random_uuid(), 'missed', 'audio', timestamptz '2026-11-01 12:00Z', '2026-11-01 12:05Z' \
    from session_counters; \
    insert into session_days select client_id, '2026-11-01', 'missed', 'audio', 1 from session_counters \
    on conflict (client_id, day, status, channel) do update set sessions = session_days.sessions + 1; \
    commit;";

#[test]
fn adopted_database_has_the_schema_of_a_new_one_and_its_rows() {
    let expected = dump_new_schema();
    for dump in DUMPS {
        let db = restore(dump);
        let rows = load_rows(&db);

        assert_eq!(Db::migrate(&db.url).unwrap(), count_migrations());

        assert_eq!(db.dump_schema(), expected);
        assert_eq!(load_rows(&db), rows);
        assert_eq!(Db::migrate(&db.url).unwrap(), 0, "it is adopted once");
    }
}

#[test]
fn previous_binary_finds_its_migrations_after_an_adoption() {
    for (dump, count) in DUMPS.into_iter().zip(["16", "17"]) {
        let db = restore(dump);
        let former = "select count(*)::text as answer from __diesel_schema_migrations where version like '2026112%' \
             and version < '20261126001'";

        Db::migrate(&db.url).unwrap();

        assert_eq!(db.query_text(former), count);
    }
}

#[test]
fn older_database_is_refused_unchanged() {
    for (missing, count) in [("= '20261125000703'", 15), ("> '20261123000004'", 4), ("< '20261126'", 0)] {
        let db = restore(DUMPS[1]);
        db.execute(&format!("delete from __diesel_schema_migrations where version {missing}"));
        let (schema, rows) = (db.dump_schema(), load_rows(&db));
        let versions =
            "select string_agg(version, ' ' order by version) as answer from __diesel_schema_migrations";
        let applied = db.query_text(versions);

        let output = Command::new(env!("CARGO_BIN_EXE_uptok"))
            .arg("migrate")
            .env_clear()
            .env("DATABASE_URL", &db.url)
            .output()
            .unwrap();

        assert!(!output.status.success());
        let expected = format!(
            "uptok: this database is too old to upgrade directly (it has {count} of 16 migrations): \
             run `uptok migrate` of commit 993a6a0 on it first\n"
        );
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
        assert_eq!((db.dump_schema(), load_rows(&db), db.query_text(versions)), (schema, rows, applied));
    }
}

/// Fails the n-th change of the schema of each run, and lets one more pass in the next run. Comments are not counted.
const INTERRUPT: &str = "create sequence interruptions; create sequence changes; \
    create function interrupt() returns event_trigger language plpgsql as $$ begin \
        if nextval('public.changes') > (select last_value from public.interruptions) then \
            perform setval('public.changes', 1, false), nextval('public.interruptions'); \
            raise exception 'interrupted' using errcode = 'unique_violation'; \
        end if; \
    end $$; \
    select nextval('interruptions'); \
    create event trigger interrupt on ddl_command_end \
        when tag in ('ALTER TABLE', 'CREATE INDEX', 'DROP INDEX', 'CREATE FUNCTION') execute function interrupt();";

#[test]
fn interrupted_adoption_is_completed_by_the_next_run() {
    let expected = dump_new_schema();
    let db = restore(DUMPS[0]);
    let rows = load_rows(&db);
    db.execute_all(INTERRUPT);

    let mut interruptions = 0;
    while let Err(error) = Db::migrate(&db.url) {
        assert!(format!("{error:#}").contains("interrupted"), "{error:#}");
        interruptions += 1;
    }

    assert!(interruptions > 3, "it was interrupted {interruptions} times");
    db.execute_all(
        "drop event trigger interrupt; drop function interrupt; drop sequence changes; drop sequence interruptions",
    );
    assert_eq!(db.dump_schema(), expected);
    assert_eq!(load_rows(&db), rows);
}

#[test]
fn index_of_an_interrupted_build_is_built_again() {
    let db = restore(DUMPS[0]);
    // It fails because a client has several sessions, and leaves an invalid index.
    let build = "create unique index concurrently sessions_pkey_covering on sessions (client_id)";
    db.connect().batch_execute(build).unwrap_err();

    Db::migrate(&db.url).unwrap();

    assert_eq!(db.dump_schema(), dump_new_schema());
}

#[test]
fn several_nodes_adopt_a_database_at_once() {
    let db = restore(DUMPS[0]);
    let rows = load_rows(&db);

    let recorded: Vec<usize> = thread::scope(|scope| {
        let nodes: Vec<_> = (0..4).map(|_| scope.spawn(|| Db::migrate(&db.url).unwrap())).collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });

    assert_eq!(recorded.iter().sum::<usize>(), count_migrations());
    assert_eq!(db.dump_schema(), dump_new_schema());
    assert_eq!(load_rows(&db), rows);
}

#[test]
fn sessions_recorded_during_an_adoption_are_kept_and_counted() {
    let db = restore(DUMPS[0]);
    let is_adopted = AtomicBool::new(false);
    let mut recorded = 5;

    thread::scope(|scope| {
        let node = scope.spawn(|| {
            let mut recorded = 0;
            let mut connection: PgConnection = db.connect();
            while recorded == 0 || !is_adopted.load(Ordering::Acquire) {
                connection.batch_execute(RECORD).unwrap();
                recorded += 1;
            }
            recorded
        });
        let outcome = Db::migrate(&db.url);
        is_adopted.store(true, Ordering::Release);
        recorded += node.join().unwrap();
        outcome.unwrap();
    });

    assert_eq!(db.query_text("select recorded::text as answer from session_counters"), recorded.to_string());
    assert_eq!(db.query_text("select count(*)::text as answer from sessions"), recorded.to_string());
    assert_eq!(db.query_text(WRONG_DAYS), "0");
    assert_eq!(db.dump_schema(), dump_new_schema());
}

#[test]
fn daily_counts_that_a_migration_once_missed_are_corrected() {
    let db = restore(DUMPS[0]);
    db.execute("delete from session_days where day = '2026-11-03'");
    db.execute(
        "update session_days set sessions = sessions + 2 where day = '2026-11-02' and channel = 'chat'",
    );
    db.execute("insert into session_days select client_id, '2026-11-09', 'failed', 'chat', 3 from clients");
    assert_eq!(db.query_text(WRONG_DAYS), "3");
    let revision = "select revision::text as answer from session_counters";
    let before: i64 = db.query_text(revision).parse().unwrap();

    Db::migrate(&db.url).unwrap();

    assert_eq!(db.query_text(WRONG_DAYS), "0");
    assert_eq!(db.query_text(revision), (before + 1).to_string(), "cached totals are invalid");
}
