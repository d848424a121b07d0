//! Erasing what sessions tell of a shopper.

use std::process::{Command, Output};

use crate::support::{Reply, TestApp, Visitor};

const TELLING: [&str; 8] = [
    "S-77",
    "Nora Lindqvist",
    "Nora@Example.org",
    "+46701234567",
    "<shopper_country>SE",
    "She sent a picture of her sofa",
    "Moves to Lund in May",
    "https://rec.example.org/nora.mp4",
];
const FIELDS: [&str; 8] = [
    "shopperId",
    "shopperName",
    "shopperEmail",
    "shopperPhone",
    "shopperCountry",
    "ratingComment",
    "notes",
    "recordingUrl",
];

/// Somebody with ten sessions, three of them of one shopper.
async fn with_sessions(app: &TestApp, name: &str) -> Visitor {
    let visitor = app.signed_up(name).await;
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

/// Everything that the tables hold.
fn dump(app: &TestApp) -> String {
    app.db.ask(
        "select string_agg(query_to_xml(format('select * from %I', tablename), true, false, '')::text, '') as answer \
         from pg_tables where schemaname = 'public'",
    )
}

fn telling(app: &TestApp) -> String {
    app.db.ask("select count(*)::text as answer from sessions where shopper_name = 'Nora Lindqvist'")
}

async fn erase(visitor: &Visitor, field: &str, text: &str) -> Reply {
    visitor.post("/sessions/erase", &[(field, text), ("confirm", "yes")]).await
}

#[actix_web::test]
async fn nothing_is_left_of_a_shopper_and_the_sessions_stay() {
    let app = TestApp::start().await;
    let ada = with_sessions(&app, "ada").await;
    let key = ada.generate("reader").await;
    let revision = || app.db.ask("select revision::text as answer from session_counters");
    let before = revision();

    let asked = ada.post("/sessions/erase", &[("shopperId", "S-77")]).await.html();
    assert_eq!(asked.texts(".facts dd"), ["S-77", "3"]);
    assert_eq!((telling(&app).as_str(), revision()), ("3", before.clone()), "asking erases nothing");
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");

    let left = dump(&app);
    assert!(left.contains("tom@example.com"));
    for text in TELLING {
        assert!(!left.contains(text), "{text}");
    }
    assert_ne!(revision(), before, "a page that was kept does not hold any more");
    let message = ada.get("/sessions").await.html().text("[role=status]");
    assert_eq!(message, "What 3 sessions told of the shopper is erased.");
    let page = app.export(&[("clientKey", &key)]).await.json();
    let sessions = page["data"].as_array().unwrap();
    assert_eq!((sessions.len(), page["totalSessions"].as_i64()), (10, Some(10)));
    for session in sessions {
        let is_erased = [1, 4, 7].contains(&session["sequence"].as_i64().unwrap());
        assert_eq!(!session["erasedAt"].is_null(), is_erased);
        if is_erased {
            assert!(FIELDS.iter().all(|field| session[field].is_null()), "{session}");
            assert_eq!((&session["orderId"], &session["updatedAt"]), (&"A-1".into(), &session["erasedAt"]));
        }
    }
    let csv = app.export(&[("clientKey", &key), ("format", "csv")]).await.body;
    assert_eq!((csv.lines().count(), csv.contains("Nora")), (11, false));
}

#[actix_web::test]
async fn an_e_mail_is_found_in_whatever_case_and_erasing_again_changes_nothing() {
    let app = TestApp::start().await;
    let ada = with_sessions(&app, "ada").await;
    erase(&ada, "email", "nora@EXAMPLE.org").await.assert_sent_to("/sessions");
    assert_eq!(telling(&app), "0");
    let before = dump(&app);
    let sessions = |dump: &str| dump.split("<sessions").last().unwrap().len();

    let again = ada.post("/sessions/erase", &[("email", "nora@EXAMPLE.org")]).await;
    erase(&ada, "email", "nora@EXAMPLE.org").await.assert_sent_to("/sessions");

    assert_eq!(again.status, 422);
    assert!(again.html().text(".wrong").starts_with("No session tells of this shopper."));
    assert_eq!(sessions(&dump(&app)), sessions(&before));
    let counts = "select count(*) || ' ' || max(revision) as answer from session_counters";
    let counted = app.db.ask(counts);
    erase(&ada, "email", "nora@EXAMPLE.org").await;
    assert_eq!(app.db.ask(counts), counted);
}

#[actix_web::test]
async fn owners_and_admins_erase_at_their_own_client_alone() {
    let app = TestApp::start().await;
    let ada = with_sessions(&app, "ada").await;
    let eve = with_sessions(&app, "eve").await;
    let client = ada.client_id().await;

    let other_client = [("shopperId", "S-77"), ("confirm", "yes"), ("clientId", client.as_str())];
    assert_eq!(eve.post("/sessions/erase", &other_client).await.status, 409);
    assert_eq!(telling(&app), "6");
    erase(&eve, "shopperId", "S-77").await.assert_sent_to("/sessions");
    let of_ada =
        format!("select count(shopper_name)::text as answer from sessions where client_id = '{client}'");
    assert_eq!((telling(&app).as_str(), app.db.ask(&of_ada).as_str()), ("3", "3"));
    let session = ada.get("/sessions?q=S-77").await.html().attribute(".table tbody th a", "href");
    let session = session.rsplit('/').next().unwrap();
    assert_eq!(eve.get(&format!("/sessions/erase?session={session}")).await.status, 404);

    app.db.execute("update memberships set role = 'member'");
    assert_eq!(ada.get("/sessions/erase").await.status, 403);
    assert_eq!(erase(&ada, "shopperId", "S-77").await.status, 403);
    assert!(!ada.get("/sessions").await.body.contains("/sessions/erase"));
    app.db.execute("update memberships set role = 'admin'");
    let form = ada.get(&format!("/sessions/erase?session={session}")).await.html();
    assert_eq!(form.attribute("#shopper-id", "value"), "S-77");
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");
    assert_eq!(telling(&app), "0");
    let by = app.db.ask(
        "select string_agg(distinct users.name || ' ' || host(address), ', ') as answer from audit_log \
         left join users on users.user_id::text = actor where act = 'shopper.erased'",
    );
    assert_eq!(by, "ada 127.0.0.1, eve 127.0.0.1", "the log says who did it");
    app.visitor().get("/sessions/erase").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn what_cannot_be_a_shopper_is_refused() {
    let app = TestApp::start().await;
    let ada = with_sessions(&app, "ada").await;
    for fields in [vec![], vec![("shopperId", "a"), ("email", "b")], vec![("email", "a\u{7}")]] {
        let fields = [fields, vec![("confirm", "yes")]].concat();
        let reply = ada.post("/sessions/erase", &fields).await;
        assert_eq!((reply.status.as_u16(), reply.html().texts(".wrong").len()), (422, 1), "{fields:?}");
    }
    assert_eq!(telling(&app), "3");
}

fn uptok(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("erase").args(arguments).env("DATABASE_URL", &app.db.url);
    command.env("UPTOK_SECRET", "the secret of the tests, 32 characters or more").output().unwrap()
}

#[actix_web::test]
async fn the_command_erases_too_and_first_says_how_many() {
    let app = TestApp::start().await;
    let ada = with_sessions(&app, "ada").await;
    let client = ada.client_id().await;
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();

    let dry = uptok(&app, &["--client", &client, "--shopper-id", "S-77", "--dry-run"]);
    assert_eq!(said(&dry), "3 sessions tell of this shopper. Nothing was erased.\n");
    assert_eq!(telling(&app), "3");
    let real = uptok(&app, &["--client", &client, "--email", "NORA@example.org"]);
    assert_eq!(said(&real), "3 sessions were erased of what they told of this shopper.\n");
    assert_eq!(telling(&app), "0");
    for wrong in [
        vec!["--client", &client],
        vec!["--client", &client, "--email", "a", "--shopper-id", "b"],
        vec!["--client", "cl_0000000000", "--email", "a"],
    ] {
        assert!(!uptok(&app, &wrong).status.success(), "{wrong:?}");
    }
}

#[actix_web::test]
async fn sessions_are_found_in_every_piece_that_is_looked_through() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, shopper_name, \
         shopper_id) select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), \
         case when n in (1, 50000, 50001, 100000, 100001) then 'Nora Lindqvist' end, \
         case when n in (1, 50000, 50001, 100000, 100001) then 'S-77' end from clients, generate_series(1, 100001) n",
    );

    let asked = ada.post("/sessions/erase", &[("shopperId", "S-77")]).await.html();
    erase(&ada, "shopperId", "S-77").await.assert_sent_to("/sessions");

    assert_eq!(asked.texts(".facts dd"), ["S-77", "5"]);
    assert_eq!(telling(&app), "0");
}
