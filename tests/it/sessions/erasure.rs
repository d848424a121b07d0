//! Erasing the personal data of a shopper from recorded sessions.

use std::process::{Command, Output};

use crate::support::{Reply, TestApp, Visitor};

const PERSONAL_DATA: [&str; 8] = [
    "S-77",
    "Nora Lindqvist",
    "Nora@Example.org",
    "+46701234567",
    "<shopper_country>SE",
    "She sent a picture of her sofa",
    "Moves to Lund in May",
    "https://rec.example.org/nora.mp4",
];
const PERSONAL_FIELDS: [&str; 8] = [
    "shopperId",
    "shopperName",
    "shopperEmail",
    "shopperPhone",
    "shopperCountry",
    "ratingComment",
    "notes",
    "recordingUrl",
];

/// Signs up a user with ten sessions, three of which are of the same shopper.
async fn sign_up_with_sessions(app: &TestApp, name: &str) -> Visitor {
    let visitor = app.sign_up(name).await;
    let client = visitor.client_id().await;
    app.record(&client, 10);
    app.db.change_sessions(&format!(
        "update sessions set shopper_id = 'S-77', shopper_name = 'Nora Lindqvist', \
         shopper_email = 'Nora@Example.org', shopper_phone = '+46701234567', shopper_country = 'SE', \
         rating_comment = 'She sent a picture of her sofa', notes = 'Moves to Lund in May', \
         recording_url = 'https://rec.example.org/nora.mp4', agent_email = 'tom@example.com', order_id = 'A-1', \
         updated_at = '2026-01-01' where sequence in (1, 4, 7) and client_id = '{client}'"
    ));
    visitor
}

/// Dumps the contents of every table.
fn dump_tables(app: &TestApp) -> String {
    app.db.query_text(
        "select string_agg(query_to_xml(format('select * from %I', tablename), true, false, '')::text, '') as answer \
         from pg_tables where schemaname = 'public'",
    )
}

fn count_identifiable(app: &TestApp) -> String {
    app.db.query_text("select count(*)::text as answer from sessions where shopper_name = 'Nora Lindqvist'")
}

async fn erase(visitor: &Visitor, field: &str, text: &str) -> Reply {
    visitor.post("/sessions/erase", &[(field, text), ("confirm", "yes")]).await
}

#[actix_web::test]
async fn erasure_removes_personal_data_and_keeps_the_sessions() {
    let app = TestApp::start().await;
    let ada = sign_up_with_sessions(&app, "ada").await;
    let key = ada.generate("reader").await;
    let revision = || app.db.query_text("select revision::text as answer from session_counters");
    let before = revision();

    let confirmation = ada.post("/sessions/erase", &[("shopperId", "S-77")]).await.html();
    assert_eq!(confirmation.texts(".facts dd")[..2], ["S-77", "3"]);
    assert_eq!(
        (count_identifiable(&app).as_str(), revision()),
        ("3", before.clone()),
        "asking erases nothing"
    );
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");

    let remaining = dump_tables(&app);
    assert!(remaining.contains("tom@example.com"));
    for text in PERSONAL_DATA {
        assert!(!remaining.contains(text), "{text}");
    }
    assert_ne!(revision(), before, "a page that was kept does not hold any more");
    let message = ada.get("/sessions").await.html().text("[role=status]");
    assert_eq!(message, "Shopper erased from 3 sessions.");
    let page = app.export(&[("clientKey", &key)]).await.json();
    let sessions = page["data"].as_array().unwrap();
    assert_eq!((sessions.len(), page["totalSessions"].as_i64()), (10, Some(10)));
    for session in sessions {
        let is_erased = [1, 4, 7].contains(&session["sequence"].as_i64().unwrap());
        assert_eq!(!session["erasedAt"].is_null(), is_erased);
        if is_erased {
            assert!(PERSONAL_FIELDS.iter().all(|field| session[field].is_null()), "{session}");
            assert_eq!((&session["orderId"], &session["updatedAt"]), (&"A-1".into(), &session["erasedAt"]));
        }
    }
    let csv = app.export(&[("clientKey", &key), ("format", "csv")]).await.body;
    assert_eq!((csv.lines().count(), csv.contains("Nora")), (11, false));
}

#[actix_web::test]
async fn email_is_matched_ignoring_case_and_repeated_erasure_changes_nothing() {
    let app = TestApp::start().await;
    let ada = sign_up_with_sessions(&app, "ada").await;
    erase(&ada, "email", "nora@EXAMPLE.org").await.assert_sent_to("/sessions");
    assert_eq!(count_identifiable(&app), "0");
    let dump =
        "select string_agg(to_jsonb(s)::text, ' ' order by client_id, sequence) as answer from sessions s";
    let before = app.db.query_text(dump);

    let again = ada.post("/sessions/erase", &[("email", "nora@EXAMPLE.org")]).await;
    erase(&ada, "email", "nora@EXAMPLE.org").await.assert_sent_to("/sessions");

    assert_eq!(again.status, 422);
    assert!(again.html().text(".wrong").starts_with("No session has this shopper."));
    assert_eq!(app.db.query_text(dump), before);
    let counts = "select count(*) || ' ' || max(revision) as answer from session_counters";
    let counted = app.db.query_text(counts);
    erase(&ada, "email", "nora@EXAMPLE.org").await;
    assert_eq!(app.db.query_text(counts), counted);
}

#[actix_web::test]
async fn only_owners_and_admins_erase_and_only_at_their_own_client() {
    let app = TestApp::start().await;
    let ada = sign_up_with_sessions(&app, "ada").await;
    let eve = sign_up_with_sessions(&app, "eve").await;
    let client = ada.client_id().await;

    let other_client = [("shopperId", "S-77"), ("confirm", "yes"), ("clientId", client.as_str())];
    assert_eq!(eve.post("/sessions/erase", &other_client).await.status, 409);
    assert_eq!(count_identifiable(&app), "6");
    erase(&eve, "shopperId", "S-77").await.assert_sent_to("/sessions");
    let count_of_ada =
        format!("select count(shopper_name)::text as answer from sessions where client_id = '{client}'");
    assert_eq!((count_identifiable(&app).as_str(), app.db.query_text(&count_of_ada).as_str()), ("3", "3"));
    let session = ada.get("/sessions?q=S-77").await.html().attribute(".table tbody th a", "href");
    let session = session.rsplit('/').next().unwrap().split('?').next().unwrap();
    assert_eq!(eve.get(&format!("/sessions/erase?session={session}")).await.status, 404);

    app.db.execute("update memberships set role = 'member'");
    assert_eq!(ada.get("/sessions/erase").await.status, 403);
    assert_eq!(erase(&ada, "shopperId", "S-77").await.status, 403);
    assert!(!ada.get("/sessions").await.body.contains("/sessions/erase"));
    app.db.execute("update memberships set role = 'admin'");
    let form = ada.get(&format!("/sessions/erase?session={session}")).await.html();
    assert_eq!(form.attribute("#shopper-id", "value"), "S-77");
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");
    assert_eq!(count_identifiable(&app), "0");
    let recorded = app.db.query_text(
        "select string_agg(distinct users.name || ' ' || host(address), ', ') as answer from audit_log \
         left join users on users.user_id::text = actor where act = 'shopper.erased'",
    );
    assert_eq!(recorded, "ada 127.0.0.1, eve 127.0.0.1", "the log says who did it");
    app.visitor().get("/sessions/erase").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn invalid_shopper_is_refused() {
    let app = TestApp::start().await;
    let ada = sign_up_with_sessions(&app, "ada").await;
    for fields in [vec![], vec![("shopperId", "a"), ("email", "b")], vec![("email", "a\u{7}")]] {
        let fields = [fields, vec![("confirm", "yes")]].concat();
        let reply = ada.post("/sessions/erase", &fields).await;
        assert_eq!((reply.status.as_u16(), reply.html().texts(".wrong").len()), (422, 1), "{fields:?}");
    }
    assert_eq!(count_identifiable(&app), "3");
}

fn run_erase(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("erase").args(arguments).env("DATABASE_URL", &app.db.url);
    command.env("UPTOK_SECRET", "the secret of the tests, 32 characters or more").output().unwrap()
}

#[actix_web::test]
async fn command_line_erases_and_its_dry_run_counts() {
    let app = TestApp::start().await;
    let ada = sign_up_with_sessions(&app, "ada").await;
    let client = ada.client_id().await;
    let stdout = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let dry = run_erase(&app, &["--client", &client, "--shopper-id", "S-77", "--dry-run"]);
    assert_eq!(stdout(&dry), "Found 3 sessions of this shopper. Nothing was erased.\n");
    assert_eq!(count_identifiable(&app), "3");
    let real = run_erase(&app, &["--client", &client, "--email", "NORA@example.org"]);
    assert_eq!(stdout(&real), "Erased this shopper from 3 sessions.\n");
    assert_eq!(count_identifiable(&app), "0");
    for wrong in [
        vec!["--client", &client],
        vec!["--client", &client, "--email", "a", "--shopper-id", "b"],
        vec!["--client", "cl_0000000000", "--email", "a"],
    ] {
        assert!(!run_erase(&app, &wrong).status.success(), "{wrong:?}");
    }
}

#[actix_web::test]
async fn erasure_covers_every_batch_of_sessions() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, shopper_name, \
         shopper_id) select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), \
         case when n in (1, 50000, 50001, 100000, 100001) then 'Nora Lindqvist' end, \
         case when n in (1, 50000, 50001, 100000, 100001) then 'S-77' end from clients, generate_series(1, 100001) n",
    );

    let confirmation = ada.post("/sessions/erase", &[("shopperId", "S-77")]).await.html();
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");

    assert_eq!(confirmation.texts(".facts dd")[..2], ["S-77", "5"]);
    assert_eq!(count_identifiable(&app), "0");
}
