//! Exports through a pipeline: the same bytes as through the pool, and never a request lost with the connection.

use futures_util::future::join_all;
use reqwest::Method;

use crate::support::{Reply, TestApp, TestDb, Visitor, export_at};

/// A client with `count` sessions and a key, at a node whose pipeline answers.
async fn pipelined_client(app: &TestApp, count: usize) -> (Visitor, String) {
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, count);
    let key = ada.generate("export").await;
    while pipelined(&app.db, "query like 'select sessions.session_id%'") == 0 {
        assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    }
    (ada, key)
}

/// How many connections of pipelines there are of which this holds.
fn pipelined(db: &TestDb, condition: &str) -> u32 {
    let count = format!(
        "select count(*)::text as answer from pg_stat_activity \
         where datname = current_database() and application_name = 'uptok pipeline' and {condition}"
    );
    db.ask(&count).parse().unwrap()
}

#[actix_web::test]
async fn both_ways_give_the_same_bytes() {
    let app = TestApp::start().await;
    let (_, key) = pipelined_client(&app, 30).await;
    app.db.execute(
        "update sessions set source = 'widget', queue_name = E'a\\\\b\\t\\u0001\\u007f', agent_name = '\"Élodie\", 東京 🦀', \
         agent_email = '', shopper_id = ',', shopper_name = '=cmd()', shopper_email = '''-1', shopper_phone = '+4930123', \
         shopper_country = 'DE', page_url = E'a\\nb', started_at = created_at, wait_seconds = 0, \
         duration_seconds = 2147483647, rating = 5, rating_comment = E'\\r', notes = repeat('long ', 3000), order_id = '''', \
         order_value_minor = -9223372036854775807, currency = 'EUR', recording_url = 'https://x', tags = '{vip,\"a\\\"b\"}', \
         erased_at = '2026-01-01T00:00:00.123456Z', updated_at = '2026-01-01T00:00:00.120Z' where sequence % 2 = 1",
    );
    app.db.execute("update session_counters set revision = revision + 1");
    let pooled = app.node_without_pipeline().await;
    for format in ["json", "csv", "ndjson"] {
        for order in ["asc", "desc"] {
            for (page, per_page) in
                [("1", "7"), ("5", "7"), ("6", "7"), ("1", "1000"), ("9223372036854775807", "1000")]
            {
                let fields = [
                    ("clientKey", key.as_str()),
                    ("format", format),
                    ("order", order),
                    ("page", page),
                    ("perPage", per_page),
                ];

                let (fast, slow) = (app.export(&fields).await, pooled.export(&fields).await);

                assert_eq!((fast.status.as_u16(), &fast.body), (200, &slow.body), "{fields:?}");
                assert_eq!(fast.header("content-type"), slow.header("content-type"));
            }
        }
    }
    for format in ["csv", "ndjson"] {
        for order in ["asc", "desc"] {
            let fields = [("clientKey", key.as_str()), ("format", format), ("order", order)];
            let (fast, slow) = (app.export(&fields).await, pooled.export(&fields).await);
            assert_eq!((fast.status.as_u16(), &fast.body), (200, &slow.body), "{fields:?}");
            assert_eq!(fast.body.matches("session-29").count(), 1);
        }
    }
    assert_eq!(pipelined(&app.db, "true"), 1, "one node has a pipeline");
}

#[actix_web::test]
async fn a_time_that_no_rfc_writes_is_answered_like_before() {
    let app = TestApp::start().await;
    let (_, key) = pipelined_client(&app, 2).await;
    app.db.execute("update sessions set erased_at = '12345-01-01' where sequence = 1");
    app.db.execute("update session_counters set revision = revision + 1");

    let reply = app.export(&[("clientKey", &key)]).await;

    assert_eq!(reply.json()["data"][0]["erasedAt"], "+12345-01-01T00:00:00Z");
}

#[actix_web::test]
async fn a_connection_that_dies_costs_no_request_and_comes_again() {
    let app = TestApp::start().await;
    let (_, key) = pipelined_client(&app, 1000).await;
    let fields = [("clientKey", key.as_str()), ("perPage", "1000")];

    for _ in 0..3 {
        let (app, fields) = (&app, &fields);
        let load = join_all((0..32).map(|number| async move {
            let status = app.export(fields).await.status;
            if number % 8 == 0 {
                app.db.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity \
                     where datname = current_database() and application_name = 'uptok pipeline'",
                );
            }
            status
        }));
        assert!(load.await.iter().all(|status| *status == 200));
    }

    while pipelined(&app.db, "true") == 0 {
        assert_eq!(app.export(&fields).await.status, 200);
    }
}

#[actix_web::test]
async fn a_table_that_is_locked_makes_callers_wait_and_no_longer_than_said() {
    let app = TestApp::start_with(&["--database-wait-seconds", "1"]).await;
    let (_, key) = pipelined_client(&app, 1).await;
    let fields = [("clientKey", key.as_str())];
    let mut other = app.db.connect();
    let mut run = |sql: &str| diesel::connection::SimpleConnection::batch_execute(&mut other, sql).unwrap();

    run("begin; lock table sessions in access exclusive mode");
    let during = join_all((0..4).map(|_| export_at(&app.url, &fields))).await;
    run("rollback");

    for reply in during {
        reply.assert_problem(503, "busy");
    }
    assert_eq!(app.export(&fields).await.status, 200);
}

/// Asks for these fields until the answer is a page that was kept.
async fn keep(app: &TestApp, fields: &[(&str, &str)]) {
    while pipelined(&app.db, "query like 'select session_counters.revision%'") == 0 {
        assert_eq!(app.export(fields).await.status, 200);
    }
}

#[actix_web::test]
async fn a_page_that_is_kept_is_sent_as_long_as_key_and_sessions_are_what_they_were() {
    let app = TestApp::start().await;
    let (ada, key) = pipelined_client(&app, 3).await;
    let other = ada.generate("other").await;
    let eve = app.signed_up("eve").await;
    app.record(&eve.client_id().await, 2);
    let eves = eve.generate("hers").await;
    let fields = [("clientKey", key.as_str()), ("page", "1")];
    let before = app.export(&fields).await;

    keep(&app, &fields).await;

    let total = |reply: &Reply| reply.json()["totalSessions"].as_i64();
    assert_eq!(app.export(&fields).await.body, before.body);
    let get = app.visitor().request(Method::GET, "/api/sessions?page=1").bearer_auth(&other);
    let get = Reply::of(get.send().await.unwrap()).await;
    assert_eq!((&get.body, get.header("etag").len()), (&before.body, 34));
    assert_eq!(total(&app.export(&[("clientKey", &eves), ("page", "1")]).await), Some(2));
    app.db.execute("update sessions set external_id = null");
    app.record(&ada.client_id().await, 1);
    assert_eq!(total(&app.export(&fields).await), Some(4));
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;
    app.export(&fields).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn what_was_recorded_is_read_on_every_node_a_thousand_times() {
    let first = TestApp::start().await;
    let (ada, key) = pipelined_client(&first, 0).await;
    let second = first.second_node().await;
    let recorder = ada.generate_recorder("recorder").await;
    first.db.execute("update api_keys set requests_per_minute = 0");
    let fields = [("clientKey", key.as_str()), ("perPage", "1"), ("order", "desc")];
    let now = uptok::web::time::rfc3339(uptok::web::time::now());
    let mut behind = 0;
    for round in 1..=1000 {
        let notes = round.to_string();
        let session = serde_json::json!({
            "externalId": format!("call-{}", round / 2), "status": "missed", "channel": "video", "createdAt": now,
            "endedAt": now, "notes": notes,
        });
        let node = if round % 3 == 0 { &first } else { &second };
        let sent =
            node.visitor().request(Method::POST, "/api/sessions").bearer_auth(&recorder).json(&session);
        assert_eq!(sent.send().await.unwrap().status(), 200);
        // Twice on each node, so that the page is kept there.
        for node in [&first, &second, &first, &second] {
            let reply = node.export(&fields).await;
            behind += usize::from(reply.json()["data"][0]["notes"] != notes);
        }
    }
    assert_eq!(behind, 0);
}
