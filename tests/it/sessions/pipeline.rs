//! Exports through the PostgreSQL pipeline return the same bytes as through the pool and lose no request when
//! the connection fails.

use futures_util::future::join_all;
use reqwest::Method;

use crate::support::{Reply, TestApp, TestDb, Visitor, export_at};

/// Signs up a client with `count` sessions and a key, and waits until the pipeline answers its exports.
async fn sign_up_with_pipeline(app: &TestApp, count: usize) -> (Visitor, String) {
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, count);
    let key = ada.generate("export").await;
    while count_pipelines(&app.db, "query like 'select sessions.session_id%'") == 0 {
        assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    }
    (ada, key)
}

/// Counts the pipeline connections that meet `condition`.
fn count_pipelines(db: &TestDb, condition: &str) -> u32 {
    let count = format!(
        "select count(*)::text as answer from pg_stat_activity \
         where datname = current_database() and application_name = 'uptok pipeline' and {condition}"
    );
    db.query_text(&count).parse().unwrap()
}

#[actix_web::test]
async fn pipeline_and_pool_return_the_same_bytes() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_pipeline(&app, 30).await;
    app.db.execute(
        "update sessions set source = 'widget', queue_name = E'a\\\\b\\t\\u0001\\u007f', agent_name = '\"Élodie\", 東京 🦀', \
         agent_email = '', shopper_id = ',', shopper_name = '=cmd()', shopper_email = '''-1', shopper_phone = '+4930123', \
         shopper_country = 'DE', page_url = E'a\\nb', started_at = created_at, wait_seconds = 0, \
         duration_seconds = 2147483647, wrap_up_seconds = 45, rating = 5, rating_comment = E'\\r', notes = repeat('long ', 3000), order_id = '''', \
         order_value_minor = -9223372036854775807, currency = 'EUR', recording_url = 'https://x', tags = '{vip,\"a\\\"b\"}', \
         erased_at = '2026-01-01T00:00:00.123456Z', updated_at = '2026-01-01T00:00:00.120Z' where sequence % 2 = 1",
    );
    app.db.execute("update session_counters set revision = revision + 1");
    let pooled = app.start_node_without_pipeline().await;
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

                let (pipelined, pooled_reply) = (app.export(&fields).await, pooled.export(&fields).await);

                assert_eq!(
                    (pipelined.status.as_u16(), &pipelined.body),
                    (200, &pooled_reply.body),
                    "{fields:?}"
                );
                assert_eq!(pipelined.header("content-type"), pooled_reply.header("content-type"));
            }
        }
    }
    for format in ["csv", "ndjson"] {
        for order in ["asc", "desc"] {
            let fields = [("clientKey", key.as_str()), ("format", format), ("order", order)];
            let (pipelined, pooled_reply) = (app.export(&fields).await, pooled.export(&fields).await);
            assert_eq!((pipelined.status.as_u16(), &pipelined.body), (200, &pooled_reply.body), "{fields:?}");
            assert_eq!(pipelined.body.matches("session-29").count(), 1);
        }
    }
    assert_eq!(count_pipelines(&app.db, "true"), 1, "one node has a pipeline");
}

#[actix_web::test]
async fn year_beyond_9999_is_formatted_with_a_sign() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_pipeline(&app, 2).await;
    app.db.execute("update sessions set erased_at = '12345-01-01' where sequence = 1");
    app.db.execute("update session_counters set revision = revision + 1");

    let reply = app.export(&[("clientKey", &key)]).await;

    assert_eq!(reply.json()["data"][0]["erasedAt"], "+12345-01-01T00:00:00.000000Z");
}

#[actix_web::test]
async fn lost_pipeline_connection_fails_no_request_and_is_reopened() {
    let app = TestApp::start().await;
    let (_, key) = sign_up_with_pipeline(&app, 1000).await;
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

    while count_pipelines(&app.db, "true") == 0 {
        assert_eq!(app.export(&fields).await.status, 200);
    }
}

#[actix_web::test]
async fn locked_table_delays_requests_at_most_for_the_configured_wait() {
    let app = TestApp::start_with(&["--database-wait-seconds", "1"]).await;
    let (_, key) = sign_up_with_pipeline(&app, 1).await;
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

/// Requests an export until the page cache answers it.
async fn cache_page(app: &TestApp, fields: &[(&str, &str)]) {
    while count_pipelines(&app.db, "query like 'select session_counters.revision%'") == 0 {
        assert_eq!(app.export(fields).await.status, 200);
    }
}

#[actix_web::test]
async fn cached_page_is_served_only_while_key_and_sessions_are_unchanged() {
    let app = TestApp::start().await;
    let (ada, key) = sign_up_with_pipeline(&app, 3).await;
    let other = ada.generate("other").await;
    let eve = app.sign_up("eve").await;
    app.record(&eve.client_id().await, 2);
    let eve_key = eve.generate("hers").await;
    let fields = [("clientKey", key.as_str()), ("page", "1")];
    let before = app.export(&fields).await;

    cache_page(&app, &fields).await;

    let total = |reply: &Reply| reply.json()["totalSessions"].as_i64();
    assert_eq!(app.export(&fields).await.body, before.body);
    let get = app.visitor().request(Method::GET, "/api/sessions?page=1").bearer_auth(&other);
    let get = Reply::read(get.send().await.unwrap()).await;
    assert_eq!((&get.body, get.header("etag").len()), (&before.body, 34));
    assert_eq!(total(&app.export(&[("clientKey", &eve_key), ("page", "1")]).await), Some(2));
    app.db.execute("update sessions set external_id = null");
    app.record(&ada.client_id().await, 1);
    assert_eq!(total(&app.export(&fields).await), Some(4));
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;
    app.export(&fields).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn recorded_session_is_visible_on_every_node_in_a_thousand_rounds() {
    let first = TestApp::start().await;
    let (ada, key) = sign_up_with_pipeline(&first, 0).await;
    let second = first.start_second_node().await;
    let recorder = ada.generate_recorder("recorder").await;
    first.db.execute("update api_keys set requests_per_minute = 0");
    let fields = [("clientKey", key.as_str()), ("perPage", "1"), ("order", "desc")];
    let now = uptok::web::format::time::rfc3339(uptok::web::format::time::now());
    let mut stale_replies = 0;
    for round in 1..=1000 {
        let notes = round.to_string();
        let session = serde_json::json!({
            "externalId": format!("call-{}", round / 2), "status": "missed", "channel": "video", "createdAt": now,
            "endedAt": now, "notes": notes,
        });
        let node = if round % 3 == 0 { &first } else { &second };
        let request =
            node.visitor().request(Method::POST, "/api/sessions").bearer_auth(&recorder).json(&session);
        assert_eq!(request.send().await.unwrap().status(), 200);
        // Twice on each node, so that the page is cached there.
        for node in [&first, &second, &first, &second] {
            let reply = node.export(&fields).await;
            stale_replies += usize::from(reply.json()["data"][0]["notes"] != notes);
        }
    }
    assert_eq!(stale_replies, 0);
}
