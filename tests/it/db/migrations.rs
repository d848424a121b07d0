//! Migrations run while other processes use the database.

use std::thread::{self, ScopedJoinHandle};

use diesel::connection::SimpleConnection as _;
use diesel_migrations::FileBasedMigrations;
use uptok::db::{
    Db,
    migrations::{run_missing, split_statements},
};

use crate::support::{TestDb, later_migration::LaterMigration};

/// Any change of another process on the table `clients`, with a limit for how long a migration may delay it.
const INSERT_CLIENT: &str = "set lock_timeout = '10s'; \
    insert into clients (client_id, name) select 'cl_000000000' || count(*), 'Ada' from clients";

/// Returns once the migration of `node` waits for a lock or a transaction of another process, or has ended.
fn wait_until_blocked(db: &TestDb, node: &ScopedJoinHandle<usize>) {
    let is_blocked = "select exists (select from pg_stat_activity where datname = current_database() \
         and application_name = 'uptok migrate' and wait_event_type = 'Lock')::text as answer";
    while !node.is_finished() && db.query_text(is_blocked) != "true" {}
}

#[test]
fn requests_pass_a_migration_that_waits_for_a_lock() {
    let db = TestDb::new();
    let migration = LaterMigration::new(
        "add_nickname",
        "alter table clients add column nickname text;",
        "run_in_transaction = true",
    );
    let mut backup = db.connect();
    backup.batch_execute("begin; select from clients").unwrap();

    thread::scope(|scope| {
        let node = scope.spawn(|| migration.run(&db.url));
        wait_until_blocked(&db, &node);
        // It queues behind the migration until that gives up its attempt; the backup still holds its lock.
        let inserted = db.connect().batch_execute(INSERT_CLIENT);
        backup.batch_execute("commit").unwrap();
        assert_eq!(node.join().unwrap(), 1);
        inserted.unwrap();
    });

    assert_eq!(db.query_text("select count(nickname)::text as answer from clients"), "0");
}

#[test]
fn index_is_built_outside_a_transaction_while_rows_are_added() {
    let db = TestDb::new();
    let migration = LaterMigration::new(
        "index_names",
        "create index concurrently if not exists clients_name on clients (name);",
        "run_in_transaction = false",
    );
    let mut other = db.connect();
    other.batch_execute(&format!("begin; {INSERT_CLIENT}")).unwrap();

    thread::scope(|scope| {
        let node = scope.spawn(|| migration.run(&db.url));
        wait_until_blocked(&db, &node);
        let inserted = db.connect().batch_execute(&INSERT_CLIENT.replace("cl_0", "cl_1"));
        other.batch_execute("commit").unwrap();
        assert_eq!(node.join().unwrap(), 1);
        inserted.unwrap();
    });

    let is_valid =
        "select indisvalid::text as answer from pg_index where indexrelid = 'clients_name'::regclass";
    assert_eq!(db.query_text(is_valid), "true");
    assert_eq!(migration.run(&db.url), 0, "it is recorded");
}

#[test]
fn failed_migration_names_itself_and_changes_nothing() {
    let db = TestDb::new();
    let schema = db.dump_schema();
    let migration = LaterMigration::new(
        "break",
        "alter table clients add column nickname text; alter table nothing add column a text;",
        "run_in_transaction = true",
    );

    let source = FileBasedMigrations::from_path(&migration.directory).unwrap();
    let error = format!("{:#}", run_missing(&db.url, &source).unwrap_err());

    assert_eq!(error, "migration 2999-01-01-000001_break failed: relation \"nothing\" does not exist");
    assert_eq!(db.dump_schema(), schema);
}

#[test]
fn postgresql_receives_the_statements_of_migrations_one_by_one() {
    let db = TestDb::empty();
    db.execute_all(
        "create table received (sql text); \
         create function note() returns event_trigger language plpgsql as $$ \
         begin insert into public.received values (current_query()); end $$; \
         create event trigger note on ddl_command_end execute function note()",
    );

    Db::migrate(&db.url).unwrap();

    let received = db.query_text("select string_agg(sql, chr(1)) as answer from received");
    assert!(received.contains("create table sessions ("), "{received}");
    for sql in received.split('\u{1}') {
        assert_eq!(split_statements(sql).len(), 1, "{sql}");
    }
}

#[test]
fn filters_scan_the_primary_key_of_sessions_without_reading_rows() {
    let db = TestDb::new();
    db.execute("insert into clients (client_id, name) values ('cl_0000000001', 'Ada')");
    db.execute(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, updated_at, ended_at, notes) \
         select 'cl_0000000001', n, gen_random_uuid(), (array['completed', 'missed'])[1 + n % 2], \
         (array['video', 'audio', 'chat'])[1 + n % 3], time, time, time, repeat('note ', 40) \
         from (select n, timestamptz '2026-01-01' + n * interval '1 minute' as time from generate_series(1, 20000) n) n",
    );
    db.execute("vacuum analyze sessions");
    db.execute(
        "create function explain(query text) returns setof text language plpgsql as $$ \
         begin return query execute 'explain (costs off) ' || query; end $$",
    );
    for filter in [
        "status = 'missed'",
        "status = 'missed' and channel = 'chat'",
        "created_at >= '2026-01-03' and created_at < '2026-01-12'",
        "updated_at >= '2026-01-03'",
    ] {
        for order in ["sequence > 0 order by sequence", "sequence < 20000 order by sequence desc"] {
            let plan = db.query_text(&format!(
                "select string_agg(line, E'\\n') as answer from explain($$ \
                 select sequence from sessions where client_id = 'cl_0000000001' and {filter} and {order} \
                 limit 51 offset 1000 $$) line"
            ));
            let scans: Vec<_> = plan.lines().map(str::trim).filter(|line| line.contains("Scan")).collect();

            assert_eq!(scans.len(), 1, "{filter} {order}: {scans:?}");
            assert!(scans[0].starts_with("->  Index Only Scan"), "{filter} {order}: {scans:?}");
            assert!(scans[0].ends_with("using sessions_pkey on sessions"), "{filter} {order}: {scans:?}");
        }
    }
}
