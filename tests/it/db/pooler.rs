//! A node and commands that reach PostgreSQL through PgBouncer.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use diesel::{
    Connection as _, PgConnection, RunQueryDsl as _, connection::SimpleConnection as _, sql_query,
    sql_types::Text,
};
use reqwest::Method;

use crate::{
    serve::{Node, SECRET, uptok_command},
    support::{
        PgBouncer, PgBouncerProgram, Reply, TestDb, Visitor, export_at, later_migration::LaterMigration,
        pgbouncer::READER, test_app::PASSWORD,
    },
};

/// Settings that would reach other clients of PgBouncer if they were settings of the session.
const SETTINGS: [&str; 5] = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "default_transaction_read_only",
    "plan_cache_mode",
];

/// The defaults of PostgreSQL for [`SETTINGS`].
const DEFAULTS: &str = "0 0 0 off auto";

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = uptok_command(arguments);
    command
        .env("DATABASE_URL", url)
        .env("UPTOK_SECRET", SECRET)
        .env("UPTOK_DATABASE_STATEMENT_SECONDS", "20");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Standard output of a command that succeeded.
fn read_output(output: &Output) -> &str {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    str::from_utf8(&output.stdout).unwrap()
}

/// Runs `uptok migrate` in several processes at once, and returns how many migrations they ran in all.
fn migrate_at_once(url: &str) -> usize {
    let processes: Vec<_> = (0..3).map(|_| command(url, &["migrate"]).spawn().unwrap()).collect();
    let outputs = processes.into_iter().map(|process| process.wait_with_output().unwrap());
    let count = |output: Output| read_output(&output).split(' ').next().unwrap().parse::<usize>().unwrap();
    outputs.map(count).sum()
}

/// The answers of every connection that PgBouncer has to PostgreSQL, through clients of `url`.
fn query_each(url: &str, sql: &str) -> Vec<String> {
    let mut clients: Vec<_> = (0..4).map(|_| PgConnection::establish(url).unwrap()).collect();
    for client in &mut clients {
        // Keeps others from getting the same connection.
        client.batch_execute("begin").unwrap();
    }
    let answer = |client: &mut PgConnection| sql_query(sql).get_result::<Row>(client).unwrap().answer;
    let answers = clients.iter_mut().map(answer).collect();
    for client in &mut clients {
        // Otherwise PgBouncer would close the connection.
        client.batch_execute("commit").unwrap();
    }
    answers
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    answer: String,
}

fn list_settings(url: &str) -> Vec<String> {
    query_each(url, &select_settings())
}

fn select_settings() -> String {
    let values = SETTINGS.map(|name| format!("current_setting('{name}')")).join(", ");
    format!("select concat_ws(' ', {values}) as answer")
}

/// How often plain exports had a plan of their own, and whether they had a generic one.
const EXPORT_PLANS: &str = "select concat_ws(' ', sum(custom_plans), sum(generic_plans) > 0) as answer \
     from pg_prepared_statements where statement like 'select sessions.session_id%'";

async fn record(visitor: &Visitor, key: &str, count: usize) -> Reply {
    let sessions: Vec<_> = (0..count)
        .map(|number| {
            let status = if number % 2 == 0 { "missed" } else { "completed" };
            serde_json::json!({"externalId": number.to_string(), "status": status, "channel": "chat",
                "createdAt": "2026-01-01T10:00:00Z", "endedAt": "2026-01-01T10:00:30Z"})
        })
        .collect();
    let request = visitor.request(Method::POST, "/api/sessions").bearer_auth(key).json(&sessions);
    Reply::read(request.send().await.unwrap()).await
}

fn import(url: &str, client: &str) -> Output {
    let mut process = command(url, &["import", "-", "--client", client]).spawn().unwrap();
    let csv = "externalId,status,channel,createdAt,endedAt\n\
               in-1,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";
    process.stdin.take().unwrap().write_all(csv.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

/// Uses a node as visitors and programs do, with several requests at a time.
async fn use_node(node: &Node, db: &TestDb, pooled_url: &str) {
    let ada = node.visitor();
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    ada.post("/register", &account).await.assert_sent_to("/settings/api-keys");
    let client = ada.client_id().await;
    let key = ada.generate_recorder("recorder").await;
    let url = format!("http://{}", node.address);
    let fields = [("clientKey", key.as_str()), ("perPage", "10")];
    // Diesel writes it in upper case.
    let pipelines = "select count(*)::text as answer from pg_stat_activity where datname = current_database() and query = 'commit'";

    assert_eq!(record(&ada, &key, 100).await.json()["created"], 100);
    while db.query_text(pipelines) == "0" {
        assert_eq!(export_at(&url, &fields).await.status, 200);
    }
    for round in 0..5 {
        let page = (round + 1).to_string();
        let plain = [("clientKey", key.as_str()), ("page", &page), ("order", "desc")];
        let filtered = [("clientKey", key.as_str()), ("status", "missed")];
        let (exported, narrowed, recorded, list, keys, usage, audit) = tokio::join!(
            export_at(&url, &plain),
            export_at(&url, &filtered),
            record(&ada, &key, 100),
            ada.get("/sessions?status=completed"),
            ada.get("/settings/api-keys"),
            ada.get("/settings/usage"),
            ada.get("/settings/audit"),
        );

        assert_eq!((exported.status.as_u16(), &exported.json()["totalSessions"]), (200, &100.into()));
        assert_eq!((narrowed.status.as_u16(), &narrowed.json()["totalSessions"]), (200, &50.into()));
        assert_eq!(recorded.json()["unchanged"], 100);
        for page in [list, keys, usage, audit] {
            assert_eq!(page.status, 200, "{}", page.body);
        }
    }
    assert_eq!(
        read_output(&import(pooled_url, &client)),
        "1 created, 0 updated, 0 unchanged, 0 rejected, 1 skipped\n"
    );
    let file = export_at(&url, &[("clientKey", &key), ("format", "csv")]).await;
    assert_eq!(file.body.lines().count(), 102);
    assert_eq!(ada.post("/api/keys/revoke", &[("clientKey", &key)]).await.status, 204);
    export_at(&url, &fields).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn everything_works_through_a_pooler_and_no_setting_reaches_other_clients() {
    let settings = ["--sign-up", "open", "--database-statement-seconds", "20", "--log", "warn"];
    for program in PgBouncerProgram::all() {
        let db = TestDb::empty();
        db.execute(&format!(
            "do $$ begin create role {READER} login; exception when duplicate_object then null; end $$"
        ));
        let pgbouncer = PgBouncer::start(&program, &db, "");

        let migrated = migrate_at_once(&pgbouncer.url);
        let node = Node::start(&pgbouncer.url, &settings);
        use_node(&node, &db, &pgbouncer.url).await;
        assert_eq!(migrate_at_once(&pgbouncer.url), 0);
        let used = list_settings(&pgbouncer.url);
        if program.pool_mode == "transaction" {
            let plans = query_each(&pgbouncer.url, EXPORT_PLANS);
            assert!(plans.contains(&"0 t".to_owned()), "{plans:?}");
            assert!(plans.iter().all(|it| it.starts_with("0 ") || it.is_empty()), "{plans:?}");
        }
        let new = list_settings(&PgBouncer::start(&program, &db, "").url);
        node.signal("TERM");
        let (code, log) = node.wait_for_exit();

        assert_eq!((code, log.as_str()), (Some(0), ""), "{}", program.pool_mode);
        let recorded = "select count(*)::text as answer from __diesel_schema_migrations";
        assert_eq!(db.query_text(recorded), migrated.to_string());
        // The timeouts are those of the role. PgBouncer may have connected before they were stored.
        let expected = "20s 10s 10s off auto";
        assert!(used.iter().all(|it| it == expected || it == DEFAULTS), "{}: {used:?}", program.pool_mode);
        assert_eq!(new, [expected; 4]);
        assert_eq!(db.query_text(&select_settings()), expected, "without a pooler");
        assert_eq!(list_settings(&pgbouncer.reader_url()), [DEFAULTS; 4]);
    }
}

#[test]
fn timeouts_of_the_role_follow_the_settings_and_do_not_stop_a_build() {
    for program in PgBouncerProgram::all() {
        let db = TestDb::new();
        let pgbouncer = PgBouncer::start(&program, &db, "");
        db.execute("insert into clients (client_id, name) values ('cl_0123456789', 'Ada')");
        db.execute(
            "create function slow(name text) returns text immutable language plpgsql as \
             $$ begin perform pg_sleep(1.5); return name; end $$",
        );
        let migration = LaterMigration::new(
            &format!("index_slowly_{}", program.pool_mode),
            "create index concurrently if not exists clients_slow on clients (slow(name));",
            "run_in_transaction = false",
        );
        let [(_, long), (fresh, short)] = ["30", "1"].map(|seconds| {
            let mut migrate = command(&pgbouncer.url, &["migrate"]);
            migrate.env("UPTOK_DATABASE_STATEMENT_SECONDS", seconds);
            assert_eq!(read_output(&migrate.output().unwrap()), "0 migrations were run.\n");
            let fresh = PgBouncer::start(&program, &db, "");
            let settings = list_settings(&fresh.url);
            (fresh, settings)
        });
        assert_eq!(long, ["30s 15s 15s off auto"; 4]);
        assert_eq!(short, ["1s 500ms 500ms off auto"; 4]);

        assert_eq!(migration.run(&fresh.url), 1);

        let is_valid =
            "select indisvalid::text as answer from pg_index where indexrelid = 'clients_slow'::regclass";
        assert_eq!(db.query_text(is_valid), "true");
        assert_eq!(list_settings(&fresh.url), ["1s 500ms 500ms off auto"; 4], "{}", program.pool_mode);
    }
}

#[test]
fn killed_migration_leaves_no_lock_behind() {
    for program in PgBouncerProgram::all() {
        let db = TestDb::empty();
        let pgbouncer = PgBouncer::start(&program, &db, "");
        // The first migration waits until this ends.
        let mut other = db.connect();
        other.batch_execute("begin; create table clients ()").unwrap();
        let mut killed = command(&pgbouncer.url, &["migrate"]).spawn().unwrap();
        let is_waiting = "select exists (select from pg_stat_activity where datname = current_database() \
             and application_name = 'uptok migrate' and wait_event_type = 'Lock')::text as answer";
        while db.query_text(is_waiting) != "true" {
            assert!(killed.try_wait().unwrap().is_none(), "it ended: {:?}", killed.wait_with_output());
        }

        killed.kill().unwrap();
        killed.wait().unwrap();
        other.batch_execute("rollback").unwrap();

        assert!(migrate_at_once(&pgbouncer.url) > 0, "{}", program.pool_mode);
        let locks = "select count(*)::text as answer from pg_locks join pg_database on pg_database.oid = database \
             where locktype = 'advisory' and datname = current_database()";
        assert_eq!(db.query_text(locks), "0");
    }
}

#[test]
fn role_that_may_not_store_timeouts_is_told_and_works() {
    let db = TestDb::new();
    let pgbouncer = PgBouncer::start(&PgBouncerProgram::installed("session"), &db, "");
    // Also in a transaction of a standby.
    db.execute(
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
    );

    let output = command(&pgbouncer.url, &["migrate"]).output().unwrap();

    assert_eq!(read_output(&output), "0 migrations were run.\n");
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("alter role") && log.contains("statement_timeout=20000"), "{log}");
}

#[test]
fn pooler_that_loses_prepared_statements_ends_the_start() {
    let db = TestDb::new();
    let program = PgBouncerProgram::installed("transaction");
    let settings = if program.knows_prepared_statements() { "max_prepared_statements = 0" } else { "" };
    let pgbouncer = PgBouncer::start(&program, &db, settings);
    for arguments in [["serve"].as_slice(), &["migrate"], &["user", "list"], &["serve", "--demo"]] {
        let output = command(&pgbouncer.url, arguments).env("UPTOK_LISTEN", "127.0.0.1:0").output().unwrap();

        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "uptok: DATABASE_URL: cannot connect to PostgreSQL: the connection pooler loses prepared statements; use \
             PgBouncer 1.21 or newer with max_prepared_statements above 0, or set pool_mode = session\n"
        );
    }
}
