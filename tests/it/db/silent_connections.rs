//! Faults of PostgreSQL and of the network in between.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use diesel::{PgConnection, QueryResult, RunQueryDsl as _, connection::SimpleConnection as _, sql_query};
use futures_util::future::{join, join_all};
use reqwest::{Method, multipart};
use uptok::{
    db::{DatabaseTimeouts, Db},
    error::AppError,
};

use crate::{
    support::{PostgresProxy, Reply, TestApp, TestDb, Visitor, test_app::SECRET},
    usage::wait_until,
};

/// Longest time from the moment when connections go silent to the first success.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// Whether a statement waits for a lock.
const IS_WAITING: &str = "select (count(*) > 0)::text as answer from pg_stat_activity \
                          where datname = current_database() and wait_event_type = 'Lock'";

/// Repeats a request until it succeeds. Every other answer must be 503 with `Retry-After`.
async fn repeat_until_success(silent_since: Instant, mut send: impl AsyncFnMut() -> Reply) {
    loop {
        let reply = send().await;
        assert!(silent_since.elapsed() < RECOVERY_MAX, "{}", reply.body);
        if reply.status == 200 {
            return;
        }
        assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{}", reply.body);
    }
}

async fn record(visitor: &Visitor, key: &str) -> Reply {
    let now = uptok::web::format::time::rfc3339(uptok::web::format::time::now());
    let session =
        serde_json::json!({"status": "missed", "channel": "chat", "createdAt": now, "endedAt": now});
    let request = visitor.request(Method::POST, "/api/sessions").bearer_auth(key).json(&session);
    Reply::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn idle_connections_that_went_silent_are_replaced() {
    let (app, proxy) = TestApp::start_behind_proxy(&[]).await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate_recorder("recorder").await;
    let export = [("clientKey", key.as_str())];
    let pipelines = "select (count(*) > 0)::text as answer from pg_stat_activity \
                     where datname = current_database() and application_name = 'uptok pipeline'";
    while app.db.query_text(pipelines) != "true" {
        assert_eq!(app.export(&export).await.status, 200);
    }
    assert!(join_all((0..8).map(|_| ada.get("/sessions"))).await.iter().all(|it| it.status == 200));
    let before = app.db.query_text("select now()::text as answer");

    proxy.silence();
    let since = Instant::now();
    let page = repeat_until_success(since, async || ada.get("/sessions").await);
    let pipelined = repeat_until_success(since, async || app.export(&export).await);
    let recording = repeat_until_success(since, async || record(&ada, &key).await);
    let probe = repeat_until_success(since, async || app.visitor().get("/readyz").await);
    join(join(page, pipelined), join(recording, probe)).await;

    let is_counted =
        format!("select coalesce(max(used_at) > '{before}', false)::text as answer from key_last_uses");
    wait_until(&app.db, &is_counted, "true").await;
    assert!(since.elapsed() < RECOVERY_MAX);
}

#[actix_web::test]
async fn work_of_several_statements_may_take_longer_than_each_of_them() {
    let db = TestDb::new();
    let timeouts = DatabaseTimeouts { wait: Duration::from_secs(5), statement: Duration::from_secs(1) };
    let limited = Db::new(&db.url, 1, timeouts).unwrap();
    let slow = limited.run(|connection| {
        (0..13).try_for_each(|_| sql_query("select pg_sleep(0.2)").execute(connection).map(|_row| ()))
    });

    assert!(slow.await.is_ok());
}

/// A database that is reached through a proxy, with one connection.
fn connect_through_proxy(db: &TestDb) -> (Db, Arc<PostgresProxy>) {
    let proxy = Arc::new(PostgresProxy::start(&db.url));
    let timeouts = DatabaseTimeouts { wait: Duration::from_secs(5), statement: Duration::from_millis(100) };
    (Db::new(&proxy.url, 1, timeouts).unwrap(), proxy)
}

/// Work during which the connection goes silent.
fn go_silent(
    proxy: Arc<PostgresProxy>,
) -> impl FnOnce(&mut PgConnection) -> QueryResult<usize> + Send + 'static {
    move |connection| {
        proxy.silence();
        sql_query("select 1").execute(connection)
    }
}

#[actix_web::test]
async fn statement_without_an_answer_frees_its_permit_every_time() {
    let db = TestDb::new();
    let (limited, proxy) = connect_through_proxy(&db);
    for _ in 0..3 {
        let silent = limited.run(go_silent(Arc::clone(&proxy))).await;
        assert!(matches!(silent, Err(AppError::Busy)), "{silent:?}");

        assert_eq!(limited.run(|connection| sql_query("select 1").execute(connection)).await.unwrap(), 1);
    }
}

#[actix_web::test]
async fn permit_is_freed_although_the_caller_is_gone() {
    let db = TestDb::new();
    let (limited, proxy) = connect_through_proxy(&db);
    let cancelled =
        tokio::time::timeout(Duration::from_millis(50), limited.run(go_silent(Arc::clone(&proxy)))).await;
    assert!(cancelled.is_err());

    assert_eq!(limited.run(|connection| sql_query("select 1").execute(connection)).await.unwrap(), 1);
}

#[actix_web::test]
async fn work_that_panics_frees_its_permit() {
    let db = TestDb::new();
    let (limited, _proxy) = connect_through_proxy(&db);
    let panicked = limited.run(|_| -> QueryResult<()> { panic!("as the test wants it") }).await;

    assert!(matches!(panicked, Err(AppError::Broken(_))), "{panicked:?}");
    assert_eq!(limited.run(|connection| sql_query("select 1").execute(connection)).await.unwrap(), 1);
}

/// Starts a node behind a proxy whose statements may take three seconds, and signs up.
async fn start_impatient_node() -> (TestApp, PostgresProxy, Visitor) {
    let arguments = ["--database-wait-seconds", "1", "--database-statement-seconds", "3"];
    let (app, proxy) = TestApp::start_behind_proxy(&arguments).await;
    let ada = app.sign_up("ada").await;
    (app, proxy, ada)
}

/// Locks the table of sessions until the transaction ends.
fn lock_sessions(app: &TestApp) -> PgConnection {
    let mut holder = app.db.connect();
    holder.batch_execute("begin; lock table sessions in access exclusive mode").unwrap();
    holder
}

const CSV: &str = "externalId,status,channel,createdAt,endedAt\n\
                   1,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";

#[actix_web::test]
async fn import_goes_on_after_its_connection_went_silent() {
    let (app, proxy, ada) = start_impatient_node().await;
    let file = multipart::Part::bytes(CSV.as_bytes()).file_name("calls.csv");
    let form = multipart::Form::new().text("clientId", ada.client_id().await).part("file", file);
    let upload = ada.request(Method::POST, "/sessions/import").header("Sec-Fetch-Site", "same-origin");
    let reply = Reply::read(upload.multipart(form).send().await.unwrap()).await;
    let address = reply.header("location").to_owned();
    wait_until(&app.db, "select state as answer from imports", "checked").await;
    let mut holder = lock_sessions(&app);
    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    wait_until(&app.db, IS_WAITING, "true").await;

    proxy.silence();
    let since = Instant::now();
    holder.batch_execute("rollback").unwrap();

    wait_until(&app.db, "select state as answer from imports", "done").await;
    assert!(since.elapsed() < RECOVERY_MAX);
    assert_eq!(app.db.query_text("select concat(count(*)) as answer from sessions"), "1");
}

#[actix_web::test]
async fn command_ends_after_its_connection_went_silent() {
    let (app, proxy, ada) = start_impatient_node().await;
    let client = ada.client_id().await;
    let import = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
        command.args(["import", "-", "--client", &client]).env_clear().env("DATABASE_URL", &proxy.url);
        command.env("UPTOK_SECRET", SECRET).env("UPTOK_DATABASE_STATEMENT_SECONDS", "3");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(CSV.as_bytes()).unwrap();
        process
    };
    let mut holder = lock_sessions(&app);
    let process = import();
    wait_until(&app.db, IS_WAITING, "true").await;

    proxy.silence();
    let since = Instant::now();
    holder.batch_execute("rollback").unwrap();
    let output = process.wait_with_output().unwrap();

    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("PostgreSQL has not answered for 4 seconds"), "{message}");
    let again = import().wait_with_output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(since.elapsed() < RECOVERY_MAX);
}

#[actix_web::test]
async fn shortages_and_rollbacks_of_postgresql_are_answered_with_503() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate_recorder("recorder").await;
    let raise = |code: &str, message: &str| {
        format!("raise exception using errcode = '{code}', message = '{message}'")
    };
    for failure in [
        "copy (select repeat('x', 100000)) to '/dev/full'".to_owned(),
        raise("53100", "could not extend file \"base/1/2\": No space left on device"),
        raise("53200", "out of shared memory"),
        raise("53400", "temporary file size exceeds temp_file_limit (64kB)"),
        raise("57014", "canceling statement due to user request"),
        raise("40P01", "deadlock detected"),
        raise("40001", "could not serialize access due to concurrent update"),
        "perform pg_terminate_backend(pg_backend_pid())".to_owned(),
    ] {
        for table in ["sessions", "api_keys"] {
            app.db.before_inserts(table, &failure);
        }

        let recorded = record(&ada, &key).await;
        let page = ada.post("/settings/api-keys", &[("name", "second")]).await;

        recorded.assert_problem(503, "busy");
        assert_eq!((page.status.as_u16(), page.header("retry-after")), (503, "1"), "{failure}");
        assert_eq!(recorded.header("retry-after"), "1", "{failure}");
    }
    app.db.before_inserts("sessions", &raise("22023", "out of range"));
    record(&ada, &key).await.assert_problem(500, "internal_error");
    assert_eq!(app.db.query_text("select concat(count(*)) as answer from sessions"), "0");
}
