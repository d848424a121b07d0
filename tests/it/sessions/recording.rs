//! `POST /api/sessions`.

use std::time::Duration;

use diesel::{RunQueryDsl as _, sql_query};
use futures_util::future::join_all;
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::support::{Reply, TestApp, Visitor};

const PATH: &str = "/api/sessions";

/// A program with a key that records and reads.
struct Sender {
    visitor: Visitor,
    key: String,
}

impl Sender {
    async fn sign_up(app: &TestApp, name: &str) -> Self {
        let visitor = app.sign_up(name).await;
        let fields = [
            ("name", "ingest"),
            ("chooseScopes", "yes"),
            ("sessions:read", "yes"),
            ("sessions:write", "yes"),
        ];
        let reply = visitor.post("/settings/api-keys", &fields).await;
        Self { visitor, key: reply.html().text("[data-whole-key-text]") }
    }

    async fn send(&self, body: &Value) -> Reply {
        self.send_as("application/json", PATH, body.to_string(), &HeaderMap::new()).await
    }

    async fn send_as(&self, media_type: &str, path: &str, body: String, headers: &HeaderMap) -> Reply {
        let request =
            self.visitor.request(Method::POST, path).bearer_auth(&self.key).headers(headers.clone());
        Reply::read(request.header("Content-Type", media_type).body(body).send().await.unwrap()).await
    }

    async fn send_with_idempotency_key(&self, idempotency_key: &str, body: &Value) -> Reply {
        let headers =
            HeaderMap::from_iter([("idempotency-key".parse().unwrap(), idempotency_key.parse().unwrap())]);
        self.send_as("application/json", PATH, body.to_string(), &headers).await
    }
}

fn build_session(id: &str) -> Value {
    json!({
        "externalId": id, "status": "completed", "channel": "video", "agentName": "Priya", "tags": ["vip"],
        "createdAt": "2026-10-01T10:00:00Z", "startedAt": "2026-10-01T10:00:05Z", "endedAt": "2026-10-01T10:05:05Z",
        "durationSeconds": 300, "rating": 5,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass a literal")]
fn build_changed_session(id: &str, change: Value) -> Value {
    let mut session = build_session(id);
    session.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    session
}

fn read_counts(reply: &Reply) -> [u64; 4] {
    assert_eq!(reply.status, 200, "{}", reply.body);
    ["created", "updated", "unchanged", "rejected"].map(|name| reply.json()[name].as_u64().unwrap())
}

fn count_sessions(app: &TestApp) -> String {
    app.db.query_text("select count(*)::text as answer from sessions")
}

/// Ideographs of three bytes each, too irregular to be compressed.
fn random_text(length: usize) -> String {
    let mut state = 1_u32;
    let ideograph = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(0x4e00 + (state >> 18)).unwrap()
    };
    (0..length).map(ideograph).collect()
}

#[actix_web::test]
async fn longest_texts_are_recorded_and_longer_ones_refused() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let mut longest = build_session(&random_text(255));
    for (field, length) in [("source", 64), ("queueName", 10_000), ("agentName", 255), ("agentEmail", 10_000)]
    {
        longest[field] = random_text(length).into();
    }
    for field in ["shopperId", "shopperName", "shopperEmail", "ratingComment", "notes", "orderId"] {
        longest[field] = random_text(10_000).into();
    }

    assert_eq!(read_counts(&sender.send(&longest).await), [1, 0, 0, 0]);
    longest["agentName"] = random_text(256).into();
    assert_eq!(sender.send(&longest).await.status, 422);
}

#[actix_web::test]
async fn second_sixty_belongs_to_the_next_minute() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let times = json!({
        "createdAt": "2016-12-31T23:59:60.5Z", "startedAt": null, "endedAt": "2017-01-01T00:00:00.6Z",
        "durationSeconds": null,
    });
    let session = build_changed_session("a", times);

    assert_eq!(read_counts(&sender.send(&session).await), [1, 0, 0, 0]);
    assert_eq!(read_counts(&sender.send(&session).await), [0, 0, 1, 0]);

    for (from, to, expected) in [("2016-12-31", "2017-01-01", 0), ("2017-01-01", "2017-01-02", 1)] {
        let reply = app.export(&[("clientKey", sender.key.as_str()), ("from", from), ("to", to)]).await;
        let json = reply.json();
        assert_eq!(
            (json["totalSessions"].as_u64(), json["data"].as_array().unwrap().len()),
            (Some(expected), usize::try_from(expected).unwrap())
        );
    }
}

#[actix_web::test]
async fn object_array_and_ndjson_are_recorded() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;

    let one = sender.send(&build_session("a")).await;
    let array = sender.send(&json!([build_session("b"), build_session("c")])).await;
    let lines = format!("{}\n\n{}\r\n", build_session("d"), build_session("e"));
    let lines = sender.send_as("application/x-ndjson", PATH, lines, &HeaderMap::new()).await;

    assert_eq!(
        (read_counts(&one), read_counts(&array), read_counts(&lines)),
        ([1, 0, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0])
    );
    let result = &array.json()["results"][1];
    assert_eq!(
        (&result["index"], &result["externalId"], &result["outcome"]),
        (&json!(1), &json!("c"), &json!("created"))
    );
    let out = app.export(&[("clientKey", &sender.key)]).await.json();
    assert_eq!(out["data"][2]["sessionId"], result["sessionId"]);
    assert_eq!(out["data"][0]["rating"], 5);
    assert_eq!(out["totalSessions"], 5);
}

#[actix_web::test]
async fn byte_order_mark_and_spellings_of_other_programs_are_accepted() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let spelled = build_changed_session(
        "a",
        json!({"createdAt": "2026-10-01 10:00:00+00", "startedAt": "2026-10-01T10:00:05+0000", "endedAt": "2026-10-01 10:05:05 UTC",
            "durationSeconds": 300.0, "rating": 5.0, "orderValueMinor": -4990.0, "updatedAt": "2026-10-01T12:06+02:00"}),
    );
    let plain =
        build_changed_session("a", json!({"orderValueMinor": -4990, "updatedAt": "2026-10-01T10:06:00Z"}));
    let marked = |body: &Value| format!("\u{feff}{body}");

    let first = sender.send_as("application/json", PATH, marked(&spelled), &HeaderMap::new()).await;
    let again = sender.send(&plain).await;
    let lines =
        sender.send_as("application/x-ndjson", PATH, marked(&build_session("b")), &HeaderMap::new()).await;

    assert_eq!(
        (read_counts(&first), read_counts(&again), read_counts(&lines)),
        ([1, 0, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0])
    );
    for wrong in [
        json!({"rating": 4.5}),
        json!({"orderValueMinor": 1e300}),
        json!({"createdAt": "2026-10-01T10:00:00"}),
        json!({"createdAt": 1_790_848_800}),
        json!({"createdAt": "-9999-01-01T00:00:00Z"}),
        json!({"endedAt": "+12345-01-01T00:00:00Z"}),
    ] {
        let field = wrong.as_object().unwrap().keys().next().unwrap().clone();
        let reply = sender.send(&build_changed_session("c", wrong)).await;
        reply.assert_problem(422, "invalid_item");
        assert_eq!(reply.json()["errors"][0]["field"], json!(field));
    }
}

#[actix_web::test]
async fn wrap_up_seconds_are_recorded_and_follow_the_duration() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;

    let recorded = sender
        .send(&json!([build_changed_session("a", json!({"wrapUpSeconds": 45})), build_session("b")]))
        .await;
    let negative = sender.send(&build_changed_session("c", json!({"wrapUpSeconds": -1}))).await;

    assert_eq!((read_counts(&recorded), negative.status.as_u16()), ([2, 0, 0, 0], 422));
    assert_eq!(negative.json()["errors"][0]["field"], "wrapUpSeconds");
    let json = app.export(&[("clientKey", &sender.key)]).await.body;
    assert!(json.contains(r#""durationSeconds":300,"wrapUpSeconds":45,"rating":5"#), "{json}");
    assert!(json.contains(r#""durationSeconds":300,"wrapUpSeconds":null,"rating":5"#), "{json}");
    let csv = app.export(&[("clientKey", &sender.key), ("format", "csv")]).await.body;
    assert!(csv.contains(",durationSeconds,wrapUpSeconds,rating,") && csv.contains(",300,45,5,"), "{csv}");
    let first = recorded.json()["results"][0]["sessionId"].as_str().unwrap().to_owned();
    let page = sender.visitor.get(&format!("/sessions/{first}")).await.html();
    assert!(page.texts(".facts dt").iter().any(|name| name == "Wrap-up"));
}

#[actix_web::test]
async fn repeated_batch_changes_nothing_and_a_changed_one_updates() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let batch = json!([build_session("a"), build_session("b")]);
    let first = sender.send(&batch).await;

    let again = sender.send(&batch).await;
    let changed = sender
        .send(&json!([
            build_session("a"),
            build_changed_session("b", json!({"status": "failed", "rating": null}))
        ]))
        .await;

    assert_eq!((read_counts(&again), read_counts(&changed)), ([0, 0, 2, 0], [0, 1, 1, 0]));
    assert_eq!(changed.json()["results"][1]["sessionId"], first.json()["results"][1]["sessionId"]);
    let out = app.export(&[("clientKey", &sender.key)]).await.json();
    assert_eq!((&out["data"][1]["status"], &out["data"][1]["rating"]), (&json!("failed"), &Value::Null));
    assert_eq!((count_sessions(&app).as_str(), &out["data"][1]["sequence"]), ("2", &json!(2)));
}

#[actix_web::test]
async fn older_record_never_overwrites_a_newer_one() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let at =
        |time: &str, status: &str| build_changed_session("a", json!({"updatedAt": time, "status": status}));
    sender.send(&at("2026-10-02T00:00:00Z", "failed")).await;

    let older = sender.send(&at("2026-10-01T23:59:59Z", "missed")).await;
    let newer = sender.send(&at("2026-10-02T00:00:01Z", "declined")).await;
    let in_one_batch = sender
        .send(&json!([at("2026-10-04T00:00:00Z", "completed"), at("2026-10-03T00:00:00Z", "missed")]))
        .await;

    assert_eq!(
        (read_counts(&older), read_counts(&newer), read_counts(&in_one_batch)),
        ([0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 0])
    );
    assert_eq!(
        app.db.query_text("select status as answer from sessions where external_id = 'a'"),
        "completed"
    );
    sender.send(&at("2026-10-06T00:00:00Z", "completed")).await;
    let overtaken = sender.send(&at("2026-10-05T00:00:00Z", "failed")).await;
    assert_eq!(read_counts(&overtaken), [0, 0, 1, 0], "the same again later is newer");
    let untimed_first = [
        build_changed_session("c", json!({})),
        build_changed_session("c", json!({"updatedAt": "2026-10-01T00:00:00Z", "status": "missed"})),
    ];
    assert_eq!(read_counts(&sender.send(&json!(untimed_first)).await), [1, 0, 1, 0]);
    assert_eq!(
        app.db.query_text("select status as answer from sessions where external_id = 'c'"),
        "completed"
    );
    let untimed = sender.send(&build_changed_session("b", json!({}))).await;
    let before = sender
        .send(&build_changed_session("b", json!({"updatedAt": "2026-10-01T00:00:00Z", "status": "missed"})))
        .await;
    assert_eq!((read_counts(&untimed), read_counts(&before)), ([1, 0, 0, 0], [0, 0, 1, 0]));
}

#[actix_web::test]
async fn invalid_item_rejects_the_batch_unless_partial() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let batch = json!([
        build_session("a"),
        build_changed_session("b", json!({"rating": 9, "status": 1})),
        build_session("c"),
        7
    ]);

    let whole = sender.send(&batch).await;
    let none = count_sessions(&app);
    let partial = sender
        .send_as("application/json", "/api/sessions?partial=true", batch.to_string(), &HeaderMap::new())
        .await;

    whole.assert_problem(422, "invalid_item");
    let errors = whole.json()["errors"].clone();
    assert_eq!((&errors[0]["index"], errors.as_array().unwrap().len()), (&json!(1), 3));
    assert!(
        errors
            .as_array()
            .unwrap()
            .iter()
            .any(|error| error["field"] == "rating" && error["message"].is_string())
    );
    assert_eq!(none, "0");
    assert_eq!(read_counts(&partial), [2, 0, 0, 2]);
    let rejected = &partial.json()["results"][1];
    assert_eq!((&rejected["outcome"], &rejected["externalId"]), (&json!("rejected"), &json!("b")));
    assert_eq!(rejected["errors"].as_array().unwrap().len(), 2);
    assert_eq!(count_sessions(&app), "2");
}

#[actix_web::test]
async fn idempotency_key_replays_the_first_response() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let batch = json!([
        build_changed_session("a", json!({"externalId": null})),
        build_changed_session("b", json!({"externalId": null}))
    ]);

    let first = sender.send_with_idempotency_key("order-1", &batch).await;
    let again = sender.send_with_idempotency_key("order-1", &batch).await;
    let other = sender.send_with_idempotency_key("order-1", &json!([build_session("x")])).await;
    let invalid = sender.send_with_idempotency_key("order-2", &json!([{"status": "x"}])).await;
    let corrected = sender.send_with_idempotency_key("order-2", &json!([build_session("y")])).await;

    assert_eq!(first.body, again.body);
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    other.assert_problem(422, "idempotency_key_reused");
    invalid.assert_problem(422, "invalid_item");
    assert_eq!(read_counts(&corrected), [1, 0, 0, 0]);
    assert_eq!(count_sessions(&app), "3");
    app.db.execute("update idempotency_keys set created_at = now() - interval '25 hours'");
    assert_eq!(
        read_counts(&sender.send_with_idempotency_key("order-1", &json!([build_session("x")])).await),
        [1, 0, 0, 0]
    );
    sender.send_with_idempotency_key(&"k".repeat(256), &batch).await.assert_problem(400, "malformed_request");
}

#[actix_web::test]
async fn concurrent_requests_with_one_idempotency_key_are_executed_once() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let batch =
        json!((0..500).map(|_| build_changed_session("a", json!({"externalId": null}))).collect::<Vec<_>>());

    let replies = join_all((0..8).map(|_| sender.send_with_idempotency_key("once", &batch))).await;

    assert_eq!(count_sessions(&app), "500");
    for reply in &replies {
        match reply.status.as_u16() {
            200 => assert_eq!(read_counts(reply), [500, 0, 0, 0]),
            _ => reply.assert_problem(409, "request_in_progress"),
        }
    }
}

#[actix_web::test]
async fn clients_can_use_the_same_external_id_and_idempotency_key() {
    let app = TestApp::start().await;
    let (ada, eve) = (Sender::sign_up(&app, "ada").await, Sender::sign_up(&app, "eve").await);

    let replies = [
        ada.send_with_idempotency_key("1", &build_session("a")).await,
        eve.send_with_idempotency_key("1", &build_session("a")).await,
    ];

    assert!(replies.iter().all(|reply| read_counts(reply) == [1, 0, 0, 0]));
    assert_eq!(app.db.query_text("select count(distinct client_id)::text as answer from sessions"), "2");
    let foreign =
        ada.send(&build_changed_session("x", json!({"clientId": eve.visitor.client_id().await}))).await;
    foreign.assert_problem(422, "invalid_item");
}

#[actix_web::test]
async fn read_and_write_scopes_are_separate() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let reader = Sender { key: ada.generate("reads").await, visitor: ada.clone() };
    let fields = [("name", "writes"), ("chooseScopes", "yes"), ("sessions:write", "yes")];
    let page = ada.post("/settings/api-keys", &fields).await;
    let writer = Sender { key: page.html().text("[data-whole-key-text]"), visitor: ada.clone() };

    let refused = reader.send(&build_session("a")).await;
    let unreadable = app.export(&[("clientKey", &writer.key)]).await;

    refused.assert_problem(403, "missing_scope");
    assert!(refused.body.contains("sessions:write"));
    unreadable.assert_problem(403, "missing_scope");
    assert!(unreadable.body.contains("sessions:read"));
    assert_eq!(read_counts(&writer.send(&build_session("a")).await), [1, 0, 0, 0]);
    let none = ada.post("/settings/api-keys", &[("name", "none"), ("chooseScopes", "yes")]).await;
    assert_eq!((none.status.as_u16(), none.html().texts(".boxes .wrong").len()), (422, 1));
}

#[actix_web::test]
async fn replacement_inherits_the_scopes() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let path = format!("/settings/api-keys/{}/replacement", &sender.key[..18]);

    let page = sender.visitor.post(&path, &[]).await.html();

    let replacement = Sender { key: page.text("[data-whole-key-text]"), visitor: sender.visitor.clone() };
    assert_eq!(read_counts(&replacement.send(&build_session("a")).await), [1, 0, 0, 0]);
    sender.send(&build_session("b")).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn malformed_requests_are_refused_with_a_reason() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let none = HeaderMap::new();
    let many =
        json!((0..1001).map(|index| build_session(&index.to_string())).collect::<Vec<_>>()).to_string();
    let deep = "[".repeat(100_000);
    for body in ["", "{", deep.as_str(), many.as_str(), "\u{0}"] {
        sender
            .send_as("application/json", PATH, body.to_owned(), &none)
            .await
            .assert_problem(400, "malformed_request");
    }
    let lines = format!("{}\nnot json\n", build_session("a"));
    let lines = sender.send_as("application/x-ndjson", PATH, lines, &none).await;
    lines.assert_problem(400, "malformed_request");
    assert!(lines.json()["detail"].as_str().unwrap().contains("Line 2"));
    let big = format!("[{}\"\"]", " ".repeat(2 * 1024 * 1024));
    sender.send_as("application/json", PATH, big, &none).await.assert_problem(413, "body_too_large");
    for media_type in ["text/csv", "multipart/form-data; boundary=X", "application/x-www-form-urlencoded"] {
        sender.send_as(media_type, PATH, "x".to_owned(), &none).await.assert_problem(415, "unsupported_type");
    }
    for item in [
        build_changed_session("a", json!({"notes": "\u{0}"})),
        build_changed_session("a", json!({"endedAt": "9999-01-01T00:00:00Z"})),
        build_changed_session("a", json!({"endedAt": "2026-09-01T00:00:00Z"})),
    ] {
        sender.send(&item).await.assert_problem(422, "invalid_item");
    }
    let without_key =
        sender.visitor.request(Method::POST, PATH).json(&build_session("a")).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
    let path_with_key = format!("{PATH}?clientKey={}", sender.key);
    sender
        .send_as("application/json", &path_with_key, build_session("a").to_string(), &none)
        .await
        .assert_problem(400, "invalid_field");
    let unclear = sender
        .send_as("application/json", "/api/sessions?partial=1", build_session("a").to_string(), &none)
        .await;
    unclear.assert_problem(400, "invalid_field");
    assert_eq!(unclear.json()["errors"][0]["field"], "partial");
    assert_eq!(count_sessions(&app), "0");
}

#[actix_web::test]
async fn concurrent_writers_leave_no_gaps_and_full_pages_are_stable() {
    let app = TestApp::start().await;
    let sender = Sender::sign_up(&app, "ada").await;
    let page = async |number: i64| {
        let number = number.to_string();
        let fields = [("clientKey", sender.key.as_str()), ("page", &number), ("perPage", "20")];
        app.export(&fields).await.json()
    };
    let writer = async |writer: usize| {
        for round in 0..15 {
            let batch: Vec<_> =
                (0..=writer).map(|index| build_session(&format!("{writer}-{round}-{index}"))).collect();
            assert_eq!(
                read_counts(&sender.send(&json!(batch)).await)[0],
                u64::try_from(batch.len()).unwrap()
            );
        }
    };
    let reader = async {
        let mut full = Vec::new();
        while full.len() < 27 {
            let next = page(i64::try_from(full.len()).unwrap() + 1).await;
            assert!(next["totalSessions"].as_i64().unwrap() >= i64::try_from(full.len()).unwrap() * 20);
            if next["data"].as_array().unwrap().len() == 20 {
                full.push(next["data"].clone());
            }
        }
        full
    };

    let (_, full) = futures_util::future::join(join_all((0..8).map(writer)), reader).await;

    let total = 15 * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
    assert_eq!(count_sessions(&app), total.to_string());
    let mut expected = 1;
    for (index, before) in full.iter().enumerate() {
        assert_eq!(
            &page(i64::try_from(index).unwrap() + 1).await["data"],
            before,
            "page {} changed",
            index + 1
        );
        for session in before.as_array().unwrap() {
            assert_eq!(session["sequence"], expected);
            expected += 1;
        }
    }
    app.db.assert_sessions(total);
}

/// A batch of more than 64 KiB.
fn build_large_batch(name: &str) -> Value {
    json!((0..300).map(|index| build_session(&format!("{name}-{index}"))).collect::<Vec<_>>())
}

#[actix_web::test]
async fn large_batches_that_wait_leave_connections_to_others() {
    let app = TestApp::start_with(&["--database-connections", "4", "--database-wait-seconds", "1"]).await;
    let sender = Sender::sign_up(&app, "ada").await;
    let mut locker = app.db.connect();
    let mut run = |sql: &str| sql_query(sql).execute(&mut locker).unwrap();
    run("begin");
    run("lock table session_counters in exclusive mode");
    let batches = (0..6).map(|number| {
        let batch = build_large_batch(&number.to_string());
        let sender = &sender;
        async move { sender.send(&batch).await }
    });
    let page = async {
        let waiting = "select count(*)::text as answer from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";
        while app.db.query_text(waiting).parse::<u8>().unwrap() < 2 {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        let page = sender.visitor.get("/sessions").await;
        run("commit");
        page
    };

    let (replies, page) = futures_util::future::join(join_all(batches), page).await;

    assert_eq!(page.status, 200, "{}", page.body);
    for reply in replies {
        assert_eq!(read_counts(&reply)[0], 300, "{}", reply.body);
    }
}
