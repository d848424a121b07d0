//! The audit log: every action is recorded in its transaction, and tampering is detected.

use diesel::Connection as _;
use uptok::{
    api_keys::{self, KeyChangeActor, KeyRights, Scope},
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind, TamperedRecord, Tampering},
    ids::ClientId,
    secret::InstallationSecret,
};

use crate::support::{
    TestApp, TestDb,
    test_app::{PASSWORD, SECRET},
};

mod account_events;
mod emptied;
mod export;

/// Lists the records of a client as lines: event kind, actor and details. The chain must verify.
fn list_records(db: &TestDb, client: &str) -> Vec<String> {
    let lines = db.query_text(&format!(
        "select coalesce(string_agg(act || ' by ' || actor_kind || ' ' || details, E'\n' order by sequence), '') as answer \
         from audit_log where client_id = '{client}'"
    ));
    assert!(verify(db, &client.parse().unwrap()).is_ok());
    lines.lines().map(str::to_owned).collect()
}

/// Waits until the log of the client has this many records. A failed login is recorded after its response is
/// sent.
async fn wait_for_records(app: &TestApp, client: &str, count: usize) -> Vec<String> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let records = list_records(&app.db, client);
        if records.len() >= count || std::time::Instant::now() > deadline {
            return records;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn chain_key() -> ChainKey {
    ChainKey::new(&InstallationSecret::new(SECRET.into()))
}

fn audit_context() -> AuditContext {
    let request = uuid::Uuid::from_u128(7);
    AuditContext::new(&chain_key(), Actor::CommandLine)
        .from_place(Some("192.0.2.7".parse().unwrap()), Some(request))
}

/// Creates a client with `records` audit records. The client counts as older than the audit log.
fn create_client(db: &TestDb, id: &str, records: u32) -> ClientId {
    db.execute(&format!(
        "insert into clients (client_id, name, audited_from_start) values ('{id}', 'Ada', false)"
    ));
    let client: ClientId = id.parse().unwrap();
    for index in 0..records {
        let event =
            AuditEvent::new(EventKind::KeyReplaced).on("uptok_000000000000").related("uptok_000000000001");
        let event = event.with("name", &format!("key {index}"));
        audit::record(&mut db.connect(), &client, &audit_context(), &event).unwrap();
    }
    client
}

fn verify(db: &TestDb, client: &ClientId) -> Result<i64, TamperedRecord> {
    audit::verify(&mut db.connect(), &chain_key(), client, None).unwrap().map(|last| last.sequence)
}

/// Runs `sql` without the triggers that protect the log, as an administrator of the database can.
fn tamper(db: &TestDb, sql: &str) {
    assert!(db.execute_without_triggers(sql) > 0, "{sql}");
}

#[test]
fn chain_verifies_only_with_the_installation_secret() {
    let db = TestDb::new();
    let ada = create_client(&db, "cl_0000000001", 5);
    let eve = create_client(&db, "cl_0000000002", 0);

    assert_eq!((verify(&db, &ada), verify(&db, &eve)), (Ok(5), Ok(0)));
    let other = ChainKey::new(&InstallationSecret::new("another secret of 32 characters!".into()));
    let found = audit::verify(&mut db.connect(), &other, &ada, None).unwrap();
    assert_eq!(found, Err(TamperedRecord { sequence: 1, fault: Tampering::Changed }));
}

#[test]
fn change_of_any_column_is_located() {
    for change in [
        "at = (at at time zone 'UTC' + interval '1 microsecond') at time zone 'UTC'",
        "actor_kind = 'system'",
        "actor_kind = 'user', actor = 'x'",
        "act = 'key.deleted'",
        "target = 'uptok_000000000002'",
        "target = null",
        "related = null",
        "details = replace(details, 'key 2', 'key 3')",
        "details = details || ' '",
        "address = '192.0.2.8'",
        "address = '192.0.2.7/31'",
        "address = null",
        "request_id = null",
        "previous_hash = set_byte(previous_hash, 0, get_byte(previous_hash, 0) # 1)",
        "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)",
    ] {
        let db = TestDb::new();
        let ada = create_client(&db, "cl_0000000001", 5);

        tamper(&db, &format!("update audit_log set {change} where sequence = 3"));

        assert_eq!(
            verify(&db, &ada),
            Err(TamperedRecord { sequence: 3, fault: Tampering::Changed }),
            "{change}"
        );
    }
}

#[test]
fn missing_moved_copied_added_and_truncated_records_are_reported() {
    let copied = || Tampering::Copied("cl_0000000001".to_owned());
    let swap = "update audit_log set sequence = case sequence when 3 then 104 else 103 end where sequence in (3, 4); \
                update audit_log set sequence = sequence - 100 where sequence > 100";
    for (statements, whose, sequence, fault) in [
        ("delete from audit_log where sequence = 3", 1, 3, Tampering::Missing),
        ("delete from audit_log where sequence = 1", 1, 1, Tampering::Missing),
        ("delete from audit_log where sequence > 3", 1, 4, Tampering::Cut),
        ("delete from audit_log", 1, 1, Tampering::Cut),
        (
            "delete from audit_log where sequence = 3; update audit_log set sequence = sequence - 1 where sequence > 3",
            1,
            3,
            Tampering::Moved(4),
        ),
        (swap, 1, 3, Tampering::Moved(4)),
        (
            "delete from audit_log where sequence > 3; update audit_heads set sequence = 3, hash = log.hash from audit_log log where log.client_id = audit_heads.client_id and log.sequence = 3",
            1,
            3,
            Tampering::Head,
        ),
        ("delete from audit_heads", 1, 5, Tampering::Head),
        ("update audit_heads set seal = set_byte(seal, 0, get_byte(seal, 0) # 1)", 1, 5, Tampering::Head),
        (
            "insert into audit_log select client_id, 6, at, actor_kind, actor, act, target, related, details, address, request_id, hash, hash from audit_log where sequence = 5",
            1,
            6,
            Tampering::Changed,
        ),
        (
            "insert into audit_log select 'cl_0000000002', sequence, at, actor_kind, actor, act, target, related, details, address, request_id, previous_hash, hash from audit_log",
            2,
            1,
            copied(),
        ),
    ] {
        let db = TestDb::new();
        let ada = create_client(&db, "cl_0000000001", 5);
        let eve = create_client(&db, "cl_0000000002", 0);

        for statement in statements.split("; ") {
            tamper(&db, statement);
        }

        let client = if whose == 1 { &ada } else { &eve };
        assert_eq!(verify(&db, client), Err(TamperedRecord { sequence, fault }), "{statements}");
    }
}

#[test]
fn new_record_does_not_hide_an_earlier_truncation() {
    let db = TestDb::new();
    let ada = create_client(&db, "cl_0000000001", 5);
    tamper(&db, "delete from audit_log where sequence > 3");
    tamper(
        &db,
        "update audit_heads set sequence = 3, hash = log.hash from audit_log log where log.client_id = audit_heads.client_id and log.sequence = 3",
    );

    audit::record(&mut db.connect(), &ada, &audit_context(), &AuditEvent::new(EventKind::ImportFinished))
        .unwrap();

    assert_eq!(verify(&db, &ada), Err(TamperedRecord { sequence: 4, fault: Tampering::Changed }));
}

#[test]
fn earlier_checkpoint_reveals_a_restored_database() {
    let db = TestDb::new();
    let ada = create_client(&db, "cl_0000000001", 3);
    let before = audit::verify(&mut db.connect(), &chain_key(), &ada, None).unwrap().unwrap();
    let head = "select format('sequence = %s, hash = %L, seal = %L', sequence, hash, seal) as answer from audit_heads";
    let kept = db.query_text(head);
    audit::record(&mut db.connect(), &ada, &audit_context(), &AuditEvent::new(EventKind::ImportFinished))
        .unwrap();
    let after = audit::verify(&mut db.connect(), &chain_key(), &ada, None).unwrap().unwrap();
    tamper(&db, "delete from audit_log where sequence = 4");
    tamper(&db, &format!("update audit_heads set {kept}"));

    let compared = |earlier| {
        audit::verify(&mut db.connect(), &chain_key(), &ada, Some(earlier)).unwrap().map(|last| last.sequence)
    };

    assert_eq!(compared(&before), Ok(3));
    assert_eq!(compared(&after), Err(TamperedRecord { sequence: 4, fault: Tampering::Cut }));
    audit::record(&mut db.connect(), &ada, &audit_context(), &AuditEvent::new(EventKind::ShopperErased))
        .unwrap();
    assert_eq!(compared(&after), Err(TamperedRecord { sequence: 4, fault: Tampering::OtherThanBefore }));
}

#[test]
fn records_cannot_be_changed_or_deleted() {
    let db = TestDb::new();
    create_client(&db, "cl_0000000001", 2);
    for sql in
        ["update audit_log set act = act", "delete from audit_log where sequence = 2", "truncate audit_log"]
    {
        let refused = diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut db.connect()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the audit log is append-only: records cannot be changed or deleted",
            "{sql}"
        );
    }
    for sql in [
        "update audit_heads set sequence = 1",
        "update audit_heads set sequence = sequence + 2",
        "delete from audit_heads",
        "truncate audit_heads cascade",
    ] {
        let refused = diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut db.connect()).unwrap_err();
        assert!(refused.to_string().starts_with("the "), "{sql}: {refused}");
    }
    assert_eq!(db.query_text("select count(*)::text as answer from audit_log"), "2");
}

#[test]
fn rolled_back_transaction_leaves_no_record() {
    let db = TestDb::new();
    let ada = create_client(&db, "cl_0000000001", 2);
    let failed = db.connect().transaction(|connection| {
        audit::record(connection, &ada, &audit_context(), &AuditEvent::new(EventKind::KeyCreated))?;
        Err::<(), _>(diesel::result::Error::RollbackTransaction)
    });

    assert!(failed.is_err());
    assert_eq!(verify(&db, &ada), Ok(2));
    audit::record(&mut db.connect(), &ada, &audit_context(), &AuditEvent::new(EventKind::KeyCreated))
        .unwrap();
    assert_eq!(verify(&db, &ada), Ok(3));
}

#[test]
fn concurrent_writers_form_one_chain_in_order_of_time() {
    let db = TestDb::new();
    let ada = create_client(&db, "cl_0000000001", 0);
    assert_eq!(
        db.query_text("select count(*)::text as answer from audit_heads"),
        "0",
        "as of an older version"
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = db.connect();
                for _ in 0..25 {
                    audit::record(
                        &mut connection,
                        &ada,
                        &audit_context(),
                        &AuditEvent::new(EventKind::KeyCreated),
                    )
                    .unwrap();
                }
            });
        }
    });

    assert_eq!(verify(&db, &ada), Ok(200));
    let out_of_order = "select count(*)::text as answer from audit_log a join audit_log b using (client_id) \
                        where a.sequence < b.sequence and a.at > b.at";
    assert_eq!(db.query_text(out_of_order), "0");
}

#[actix_web::test]
async fn registration_and_sign_ins_are_recorded_with_address_and_request_id() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    ada.post("/logout", &[]).await;
    let visitor = app.visitor();
    visitor.post("/login", &[("email", "ada@example.org"), ("password", "not her password")]).await;
    wait_for_records(&app, &client, 4).await;
    let reply = visitor.post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    visitor.post("/login", &[("email", "eve@example.org"), ("password", "not her password")]).await;

    assert_eq!(
        list_records(&app.db, &client),
        [
            r#"member.added by user {"role":"owner"}"#,
            "sign_in.succeeded by user {}",
            "sign_in.ended by user {}",
            "sign_in.failed by visitor {}",
            "sign_in.succeeded by user {}",
        ]
    );
    let origin_of_last =
        "select host(address) || ' ' || request_id as answer from audit_log where sequence = 5";
    assert_eq!(app.db.query_text(origin_of_last), format!("127.0.0.1 {}", reply.header("x-request-id")));
    let other_targets =
        "select count(*)::text as answer from audit_log where target <> (select user_id::text from users)";
    assert_eq!(app.db.query_text(other_targets), "0");
}

#[actix_web::test]
async fn rate_limited_logins_leave_no_records() {
    let app = TestApp::start_with(&["--logins-per-minute", "3"]).await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let attempts = (0..50).map(|_| {
        let visitor = app.visitor();
        async move {
            let fields = [("email", "ada@example.org"), ("password", "not her password")];
            visitor.post("/login", &fields).await.status.as_u16()
        }
    });

    let statuses = futures_util::future::join_all(attempts).await;

    // Registering counted as one attempt from this address.
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 2, "{statuses:?}");
    assert_eq!(wait_for_records(&app, &client, 4).await.len(), 4);
}

#[actix_web::test]
async fn key_events_are_recorded_and_a_replacement_names_both_keys() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let first = ada.generate("laptop").await[..18].to_owned();
    let replacement = format!("/settings/api-keys/{first}/replacement");
    let second = ada.post(&replacement, &[]).await.html().text("[data-whole-key-text]")[..18].to_owned();
    ada.post(&format!("/settings/api-keys/{second}/delete"), &[]).await;
    // Refused requests are not recorded.
    ada.post("/settings/api-keys", &[("name", "")]).await;
    ada.post(&replacement, &[]).await;

    let records = list_records(&app.db, &client);

    assert_eq!(records.len(), 5, "{records:?}");
    assert!(
        records[2].starts_with("key.created by user ") && records[2].contains(r#""scopes":"sessions:read""#),
        "{records:?}"
    );
    assert!(
        records[3].starts_with("key.replaced by user ") && records[3].contains(r#""name":"laptop""#),
        "{records:?}"
    );
    assert_eq!(records[4], r#"key.deleted by user {"name":"laptop"}"#);
    let keys = app.db.query_text(
        "select string_agg(concat_ws(' ', target, related), ', ' order by sequence) as answer from audit_log where act like 'key.%'",
    );
    assert_eq!(keys, format!("{first}, {first} {second}, {second}"));
    let recorded_by_ada = "select count(*)::text as answer from audit_log join users on actor = user_id::text where act like 'key.%' and address = '127.0.0.1'";
    assert_eq!(app.db.query_text(recorded_by_ada), "3");
}

#[actix_web::test]
async fn concurrent_deletions_of_a_key_are_recorded_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await[..18].to_owned();
    let address = format!("/settings/api-keys/{key}/delete");

    let replies = futures_util::future::join_all((0..50).map(|_| ada.post(&address, &[]))).await;

    assert!(replies.iter().all(|reply| [303, 503].contains(&reply.status.as_u16())));
    let deleted =
        list_records(&app.db, &client).into_iter().filter(|line| line.starts_with("key.deleted")).count();
    assert_eq!(deleted, 1);
}

#[actix_web::test]
async fn change_of_rights_records_only_the_differences() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await[..18].parse().unwrap();
    let actor = KeyChangeActor { client: client.parse().unwrap(), context: TestApp::audit_context() };
    let rights = KeyRights {
        scopes: vec![Scope::SessionsRead, Scope::SessionsWrite],
        networks: "192.0.2.0/24".parse().unwrap(),
        ..KeyRights::default()
    };

    for _ in 0..2 {
        api_keys::change(&mut app.db.connect(), &actor, &key, &rights).unwrap();
    }

    let details = r#"{"allowedNetworks":"192.0.2.0/24","allowedNetworksBefore":"all","name":"laptop","scopes":"sessions:read sessions:write","scopesBefore":"sessions:read"}"#;
    assert_eq!(list_records(&app.db, &client)[3..], [format!("key.changed by command_line {details}")]);
}

#[actix_web::test]
async fn expiry_is_recorded_once_across_nodes() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    for name in ["laptop", "phone", "deleted"] {
        ada.generate(name).await;
    }
    app.db.execute("update api_keys set expires_at = '2026-11-01T00:00:00Z' where name <> 'phone'");
    app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where name = 'deleted'");
    let context = TestApp::audit_context().by(Actor::System);

    let noted: usize = std::thread::scope(|scope| {
        let note_expired = || api_keys::record_expired(&mut app.db.connect(), &context).unwrap();
        let nodes: Vec<_> = (0..4).map(|_| scope.spawn(note_expired)).collect();
        nodes.into_iter().map(|node| node.join().unwrap()).sum()
    });

    assert_eq!(noted, 1);
    let expected = r#"key.expired by system {"expired":"2026-11-01T00:00:00Z","name":"laptop"}"#;
    assert_eq!(list_records(&app.db, &client)[5..], [expected]);
    app.db.execute("update api_keys set expires_at = now() where name = 'phone'");
    let _node = app.start_second_node().await;
    assert!(wait_for_records(&app, &client, 7).await[6].contains("phone"), "a node looks when it starts");
}

#[actix_web::test]
async fn log_contains_no_secrets_and_no_personal_data() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await;
    let fields = [("email", "ada@example.org"), ("password", "canary of a password")];
    app.visitor().post("/login", &fields).await;
    wait_for_records(&app, &client, 4).await;
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;

    let log = app.db.query_text("select string_agg(audit_log::text, E'\\n') as answer from audit_log");

    assert_eq!(log.lines().count(), 5);
    for canary in [&key[19..], PASSWORD, "canary", "example.org", "argon2"] {
        assert!(!log.contains(canary), "{canary}");
    }
}

#[actix_web::test]
async fn owners_view_filter_and_download_only_their_own_log() {
    let app = TestApp::start().await;
    let [ada, eve] = [app.sign_up("ada").await, app.sign_up("eve").await];
    let key = ada.generate("=laptop").await[..18].to_owned();

    let page = ada.get("/settings/audit").await.html();
    let sentences = page.texts("tbody .event p");
    let expected = ["Created key =laptop · read access · 90 days", "Signed in", "Added member ada · owner"];
    assert_eq!(sentences, expected);
    assert_eq!(page.texts("tbody td[data-label=By]"), ["ada", "ada", "ada"]);
    assert_eq!(page.attribute(".event a", "href"), format!("/settings/api-keys/{key}/usage"));
    let filtered =
        ada.get(&format!("/settings/audit?key={key}&act=key.created&from=2026-01-01")).await.html();
    assert_eq!(filtered.texts("tbody .event strong"), ["=laptop"]);
    let json: serde_json::Value = serde_json::from_str(&filtered.text(".raw pre")).unwrap();
    assert_eq!((&json["target"], &json["details"]["name"]), (&key.as_str().into(), &"=laptop".into()));
    assert_eq!(page.attribute("#act option[value='key.created']", "value"), "key.created");
    assert_eq!(ada.get("/settings/audit?actor=system").await.html().texts("tbody .event").len(), 0);
    for day in ["x", "-9999-01-01", "-9999-1-1", "%2B12345-1-1", "262142-12-31"] {
        let refused = ada.get(&format!("/settings/audit?from={day}")).await;
        assert!(refused.html().text(".dates .wrong").starts_with("Choose a date"), "{day}");
        assert!(refused.html().text(".empty").contains("Check the dates"), "{day}");
        for name in ["to", "through"] {
            let file = ada.get(&format!("/settings/audit.csv?{name}={day}")).await;
            assert_eq!(file.status, 400, "{name} {day}");
        }
    }
    assert_eq!(ada.get("/settings/audit?from=2026-1-5").await.html().texts("tbody .event").len(), 3);
    let file = ada.get("/settings/audit.csv?act=key.created").await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(file.body.lines().count(), 2);
    assert!(file.body.contains(&key) && file.body.starts_with("sequence,at,act,"));
    let foreign = [eve.get("/settings/audit").await.body, eve.get("/settings/audit.csv").await.body];
    assert!(foreign.iter().all(|body| !body.contains(&key) && !body.contains("laptop")));
    app.visitor().get("/settings/audit").await.assert_sent_to("/login");
    app.visitor().get("/settings/audit.csv").await.assert_sent_to("/login");
    app.db.execute("update memberships set role = 'member'");
    assert_eq!(ada.get("/settings/audit").await.status, 403);
    assert_eq!(ada.get("/settings/audit.csv").await.status, 403);
}

#[actix_web::test]
async fn hostile_text_in_records_is_shown_as_text() {
    const NAME: &str = r#"</strong><script>alert(1)</script> · never expires "x""#;
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client: ClientId = ada.client_id().await.parse().unwrap();
    let events = [
        AuditEvent::new(EventKind::KeyDeleted).on("uptok_000000000000").with("name", NAME),
        AuditEvent::new(EventKind::KeyDeleted).on("javascript:alert(1)").with("name", NAME),
        AuditEvent::new(EventKind::MemberChanged).on(NAME).with("changed", NAME),
        AuditEvent::new(EventKind::KeyCreated)
            .on("uptok_000000000001")
            .with("scopes", "<script>alert(2)</script>"),
        AuditEvent::new(EventKind::ImportFinished).on("../../logout").with("created", "-1"),
    ];
    for event in &events {
        audit::record(&mut app.db.connect(), &client, &audit_context(), event).unwrap();
    }

    let page = ada.get("/settings/audit").await;

    assert!(!page.body.contains("<script>alert"));
    assert_eq!(page.html().texts(".event script").len(), 0);
    let sentences = page.html().texts(".event p");
    assert_eq!(
        sentences[..5],
        [
            "Imported 0 sessions".to_owned(),
            "Created key uptok_000000000001 · <script>alert(2)</script>".to_owned(),
            format!("Changed member {NAME} · {NAME}"),
            "Deleted key javascript:alert(1)".to_owned(),
            format!("Deleted key {NAME}"),
        ]
    );
    let links = "/settings/api-keys/uptok_000000000001/usage";
    assert_eq!(page.html().attribute(".event a", "href"), links);
    let links = page.html().attributes(".event a", "href");
    let targets: Vec<_> = links.iter().filter(|link| !link.starts_with("/settings/api-keys/")).collect();
    assert_eq!(links.len(), 3, "only what is the id of a key or a member is a link: {links:?}");
    assert!(targets.iter().all(|link| link.starts_with("/settings/members#member-")), "{targets:?}");
}

#[actix_web::test]
async fn actors_and_keys_are_shown_by_name() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client: ClientId = ada.client_id().await.parse().unwrap();
    let key: uptok::ids::PublicKey = ada.generate("Deploy bot").await[..18].parse().unwrap();
    for actor in [Actor::Key(key.clone()), Actor::CommandLine, Actor::System, Actor::Visitor] {
        let context = audit_context().by(actor);
        let event = AuditEvent::new(EventKind::KeyRevoked).on(&key).with("name", "Deploy bot");
        audit::record(&mut app.db.connect(), &client, &context, &event).unwrap();
    }

    let page = ada.get("/settings/audit?act=key.revoked").await.html();

    let actors = page.texts("tbody td[data-label=By]");
    assert_eq!(actors, ["Not signed in", "Uptok", "Command line", "Deploy bot"]);
    assert_eq!(page.texts(".event p")[0], "Revoked key Deploy bot · by a call with the key itself");
    let times = page.texts("tbody time");
    assert!(times.iter().all(|time| time.len() == 5 && time.matches(':').count() == 1), "{times:?}");
    assert!(page.attribute("tbody time", "title").contains(" UTC, record "));
    assert_eq!(page.text(".chip"), "Remove Event: Key revoked");
}

#[actix_web::test]
async fn records_are_grouped_by_day_and_the_last_day_is_included() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client: ClientId = ada.client_id().await.parse().unwrap();
    let event = AuditEvent::new(EventKind::ImportFinished);
    audit::record(&mut app.db.connect(), &client, &audit_context(), &event).unwrap();
    let day = |offset: &str| {
        app.db.query_text(&format!(
            "select to_char((now() at time zone 'UTC')::date {offset}, 'YYYY-MM-DD') as answer"
        ))
    };
    let (today, tomorrow) = (day(""), day("+ 1"));

    let log = ada.get(&format!("/settings/audit?through={today}")).await.html();
    let until = ada.get(&format!("/settings/audit?to={today}")).await.html();
    let later = ada.get(&format!("/settings/audit?from={tomorrow}")).await.html();
    let before = ada.get("/settings/audit?through=2001-01-01").await.html();

    assert_eq!((log.texts("tbody .event").len(), log.texts("tbody .day").len()), (3, 1));
    assert!(until.texts("tbody .event").is_empty(), "`to` is exclusive");
    assert!(later.text(".empty").contains("The range starts in the future."));
    assert!(before.text(".empty").contains("The log starts on"), "{}", before.text(".empty"));
}

#[actix_web::test]
async fn log_is_paged_in_both_directions() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client: ClientId = ada.client_id().await.parse().unwrap();
    for _ in 0..120 {
        audit::record(
            &mut app.db.connect(),
            &client,
            &audit_context(),
            &AuditEvent::new(EventKind::ImportFinished),
        )
        .unwrap();
    }
    let first = ada.get("/settings/audit?act=import.finished").await.html();
    let second = ada.get(&first.attribute("a[rel=next]", "href")).await.html();
    let third = ada.get(&second.attribute("a[rel=next]", "href")).await.html();
    let back = ada.get(&second.attribute("a[rel=prev]", "href")).await.html();

    let rows = |page: &crate::support::html::Html| page.texts("tbody .event").len();
    assert_eq!((rows(&first), rows(&second), rows(&third)), (50, 50, 20));
    assert!(third.texts("a[rel=next]").is_empty());
    assert_eq!(back.attribute("tbody time", "title"), first.attribute("tbody time", "title"));
}
