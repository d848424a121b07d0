//! Metering of API keys, and the pages that show their usage.

use std::slice;

use diesel::{Connection as _, RunQueryDsl as _, sql_query};
use reqwest::{Method, header::HeaderValue};
use uptok::{
    ids::{ClientId, PublicKey},
    usage::{self, MeteredRequest, UsageBatch, UsageMeter},
};

use crate::support::{Reply, TestApp, TestDb, export_at};

/// Maximum number of queries while waiting for a condition.
const MAX_QUERIES: usize = 20_000;

/// Waits until the query returns this text.
pub(crate) async fn wait_until(db: &TestDb, sql: &str, answer: &str) {
    for _ in 0..MAX_QUERIES {
        if db.query_text(sql) == answer {
            return;
        }
        actix_web::rt::task::yield_now().await;
    }
    panic!("{sql} is still {} and not {answer}", db.query_text(sql));
}

/// Counts all metered requests.
pub(crate) const COUNTED_REQUESTS: &str = "select coalesce(sum(requests), 0)::text as answer from key_usage";

/// Sums up `key_usage` by endpoint and status class.
fn summarize(db: &TestDb) -> String {
    db.query_text(
        "select string_agg(line, ', ' order by line) as answer from \
         (select endpoint || ' ' || status_class || 'xx ' || sum(requests) as line from key_usage \
          group by endpoint, status_class) lines",
    )
}

async fn get(app: &TestApp, key: &str, path: &str) -> Reply {
    Reply::read(app.visitor().request(Method::GET, path).bearer_auth(key).send().await.unwrap()).await
}

#[actix_web::test]
async fn concurrent_requests_to_two_nodes_are_counted_exactly() {
    let app = TestApp::start().await;
    let second = app.start_second_node().await;
    let ada = app.sign_up("ada").await;
    let keys = [ada.generate("one").await, ada.generate("two").await];

    let calls = (0..8).map(|caller| {
        let (url, key) = ([&app.url, &second.url][caller % 2], &keys[caller / 4]);
        async move {
            for _ in 0..25 {
                assert_eq!(export_at(url, &[("clientKey", key)]).await.status, 200);
            }
        }
    });
    futures_util::future::join_all(calls).await;

    wait_until(&app.db, COUNTED_REQUESTS, "200").await;
    let requests_per_key = "select string_agg(distinct requests::text, ',') as answer from \
                  (select sum(requests) as requests from key_usage group by public_key) keys";
    assert_eq!(app.db.query_text(requests_per_key), "100");
    assert_eq!(summarize(&app.db), "POST /api/sessions/export-csv-data 2xx 200");
}

#[actix_web::test]
async fn every_response_to_a_valid_key_is_counted_by_status_class_and_endpoint() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("reader").await;
    let tag = get(&app, &key, "/api/sessions").await.header("etag").to_owned();
    let known = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
    assert_eq!(known.header("If-None-Match", tag).send().await.unwrap().status(), 304);
    get(&app, &key, "/api/sessions/0198c0de-0000-7000-8000-000000000000")
        .await
        .assert_problem(404, "not_found");
    let write =
        app.visitor().request(Method::POST, "/api/sessions").bearer_auth(&key).json(&serde_json::json!([]));
    Reply::read(write.send().await.unwrap()).await.assert_problem(403, "missing_scope");
    assert_eq!(get(&app, &key, "/api/sessions?format=csv").await.status, 200, "a stream counts once");

    wait_until(&app.db, COUNTED_REQUESTS, "5").await;

    assert_eq!(
        summarize(&app.db),
        "GET /api/sessions 2xx 2, GET /api/sessions 3xx 1, GET /api/sessions/{sessionId} 4xx 1, \
         POST /api/sessions 4xx 1"
    );
    let errors =
        "select string_agg(status || ' ' || code, ', ' order by request_id) as answer from key_errors";
    assert_eq!(app.db.query_text(errors), "404 not_found, 403 missing_scope");
}

#[actix_web::test]
async fn invalid_requests_are_counted_for_their_key_and_reveal_nothing_without_one() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate_recorder("laptop").await;
    let unknown = uptok::api_keys::ClientKey::generate().expose();
    for (key, is_known) in [(&key, true), (&unknown, false)] {
        let post = |body: String| {
            let request = app.visitor().request(Method::POST, "/api/sessions").bearer_auth(key);
            request.header("Content-Type", "application/json").body(body)
        };
        let replies = [
            (get(&app, key, "/api/sessions?page=x").await, 400),
            (get(&app, key, "/api/sessions?page=1&page=2").await, 400),
            (app.export(&[("clientKey", key.as_str()), ("format", "xml")]).await, 400),
            (Reply::read(post("{".to_owned()).send().await.unwrap()).await, 400),
            (Reply::read(post("x".repeat(1024 * 1024 + 1)).send().await.unwrap()).await, 413),
            (Reply::read(post("{}".to_owned()).send().await.unwrap()).await, 422),
        ];
        for (reply, status) in replies {
            assert_eq!(reply.status, if is_known { status } else { 401 }, "{}", reply.body);
        }
    }

    wait_until(&app.db, COUNTED_REQUESTS, "6").await;

    assert_eq!(
        summarize(&app.db),
        "GET /api/sessions 4xx 2, POST /api/sessions 4xx 3, POST /api/sessions/export-csv-data 4xx 1"
    );
}

#[actix_web::test]
async fn rate_limited_requests_are_counted() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 2");
    for status in [200, 200, 429, 429, 429] {
        assert_eq!(get(&app, &key, "/api/sessions").await.status, status);
    }

    wait_until(&app.db, COUNTED_REQUESTS, "5").await;

    assert_eq!(summarize(&app.db), "GET /api/sessions 2xx 2, GET /api/sessions 4xx 3");
}

#[actix_web::test]
async fn requests_with_refused_keys_are_not_counted() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (key, deleted) = (ada.generate("laptop").await, ada.generate("dead").await);
    ada.post(&format!("/settings/api-keys/{}/delete", &deleted[..18]), &[]).await;
    let unknown = uptok::api_keys::ClientKey::generate().expose();
    let mut wrong_secret = key.clone();
    wrong_secret.replace_range(20..21, if &key[20..21] == "a" { "b" } else { "a" });
    for refused in [&deleted, &unknown, &wrong_secret, "junk"] {
        get(&app, refused, "/api/sessions").await.assert_problem(401, "invalid_key");
    }
    app.visitor().get("/api/nothing").await.assert_problem(404, "not_found");

    assert_eq!(get(&app, &key, "/api/sessions").await.status, 200);
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;

    for table in ["key_usage", "key_last_uses"] {
        assert_eq!(
            app.db.query_text(&format!("select count(*)::text as answer from {table}")),
            "1",
            "{table}"
        );
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from key_errors"), "0");
}

#[actix_web::test]
async fn metering_never_delays_requests_and_survives_a_database_outage() {
    let app = TestApp::start_with(&["--database-connections", "1"]).await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let mut holder = app.db.connect();
    holder.begin_test_transaction().unwrap();
    sql_query("lock table key_usage, key_last_uses in access exclusive mode").execute(&mut holder).unwrap();

    for _ in 0..30 {
        assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    }
    let waiting = "select (count(*) > 0)::text as answer from pg_stat_activity \
                   where datname = current_database() and wait_event_type = 'Lock'";
    wait_until(&app.db, waiting, "true").await;
    app.db.allow_connections(false);
    app.db.terminate_connections();
    app.export(&[("clientKey", &key)]).await.assert_problem(503, "busy");
    app.db.allow_connections(true);

    wait_until(&app.db, COUNTED_REQUESTS, "30").await;
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    wait_until(&app.db, COUNTED_REQUESTS, "31").await;
}

/// If the connection fails during a commit, PostgreSQL may have stored the batch without confirming it.
#[actix_web::test]
async fn batch_stored_twice_counts_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key: PublicKey = ada.generate("laptop").await[..18].parse().unwrap();
    let client: ClientId = ada.client_id().await.parse().unwrap();
    let gone: PublicKey = "uptok_000000000000".parse().unwrap();
    let batch = |number| {
        let meter = UsageMeter::new(true);
        for public_key in [&key, &key, &gone] {
            meter.count(&metered_request(&client, public_key));
        }
        UsageBatch { node: uuid::Uuid::nil(), number, counts: meter.take() }
    };
    let connection = &mut app.db.connect();

    for number in [1, 1, 2, 1, 2, 3] {
        usage::save_batch(connection, &batch(number)).unwrap();
    }

    assert_eq!(
        app.db.query_text(COUNTED_REQUESTS),
        "6",
        "and what a key has that is not there spoils nothing"
    );
}

fn metered_request<'a>(client: &'a ClientId, public_key: &'a PublicKey) -> MeteredRequest<'a> {
    MeteredRequest {
        client,
        public_key,
        answered_at: uptok::web::format::time::now(),
        method: "GET",
        route: "/api/sessions",
        status: 200,
        address: "2001:db8::7".parse().unwrap(),
        user_agent: b"curl/8.5",
        error: None,
    }
}

#[actix_web::test]
async fn sweep_deletes_only_old_hours() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    ada.generate("laptop").await;
    app.sign_up("eve").await;
    app.db.execute(
        "insert into key_usage select client_id, public_key, date_trunc('hour', now() - make_interval(hours => n)), \
         'GET /api/sessions', 2, 1 from api_keys, generate_series(400 * 24 - 100, 400 * 24 + 1500) n",
    );

    let mut after = String::new();
    let mut steps = 0;
    while let Some(next) = usage::delete_old_counts(&mut app.db.connect(), &after).unwrap() {
        after = next;
        steps += 1;
    }

    let remaining: i64 = app.db.query_text("select count(*)::text as answer from key_usage").parse().unwrap();
    assert!((100..=101).contains(&remaining), "{remaining}");
    assert_eq!(steps, 3, "two for one client, who has many, and one for the other");
}

#[actix_web::test]
async fn pages_show_the_counted_requests() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (busy, idle) = (ada.generate("busy").await, ada.generate("idle").await);
    let empty = ada.get("/settings/usage").await;
    assert!(empty.body.contains("No requests in this period"));
    for _ in 0..3 {
        get(&app, &busy, "/api/sessions").await;
    }
    let not_found = get(&app, &busy, "/api/sessions/0198c0de-0000-7000-8000-000000000000").await;
    wait_until(&app.db, COUNTED_REQUESTS, "4").await;

    for query in ["", "?per=hour"] {
        let page = ada.get(&format!("/settings/usage{query}")).await.html();
        assert_eq!(page.texts(".sums dd"), ["4", "1", "25%"], "{query}");
        assert_eq!(page.text(".chart desc").matches("Succeeded: 3; Errors: 1.").count(), 1);
        assert_eq!(page.texts("[aria-label='Most used keys'] tbody th"), ["busy"]);
        assert_eq!(
            page.texts("[aria-label='Endpoints'] tbody :is(th, td)"),
            ["GET /api/sessions", "3", "0", "GET /api/sessions/{sessionId}", "1", "1"]
        );
        assert_eq!(
            page.texts("[aria-label='Recent errors'] tbody :is(th, td)"),
            [
                "just now",
                "busy",
                "GET /api/sessions/{sessionId}",
                "404 not_found",
                not_found.header("x-request-id")
            ]
        );
    }
    let busy_page = ada.get(&format!("/settings/api-keys/{}/usage", &busy[..18])).await.html();
    assert_eq!(busy_page.text("h1"), "busy usage");
    assert_eq!(
        busy_page.texts(".facts dd"),
        ["just now from 127.0.0.1", "Unknown", "4 requests", "4 requests"]
    );
    let idle_page = ada.get(&format!("/settings/api-keys/{}/usage", &idle[..18])).await.html();
    assert_eq!(idle_page.texts(".facts dd"), ["Never"]);
}

#[actix_web::test]
async fn deleted_key_keeps_its_usage_history() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    get(&app, &key, "/api/sessions").await;
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;

    let page = ada.get(&format!("/settings/api-keys/{}/usage", &key[..18])).await.html();

    assert!(page.text(".page-head p").contains("Deleted"));
    assert_eq!(page.texts(".sums dd"), ["1", "0", "0%"]);
    assert_eq!(
        ada.get("/settings/usage").await.html().texts("[aria-label='Most used keys'] tbody th"),
        ["laptop deleted"]
    );
}

#[actix_web::test]
async fn other_clients_cannot_see_the_usage() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    get(&app, &key, "/api/sessions").await;
    get(&app, &key, "/api/sessions/0198c0de-0000-7000-8000-000000000000").await;
    wait_until(&app.db, COUNTED_REQUESTS, "2").await;
    let eve = app.sign_up("eve").await;

    assert!(eve.get("/settings/usage").await.body.contains("No requests in this period"));
    assert!(!eve.get("/settings/usage").await.body.contains("laptop"));
    for path in [format!("/settings/api-keys/{}/usage", &key[..18]), "/settings/api-keys/x/usage".to_owned()]
    {
        assert_eq!(eve.get(&path).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn members_can_view_usage() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update memberships set role = 'member'");

    assert_eq!(ada.get("/settings/usage").await.status, 200);
    assert_eq!(ada.get(&format!("/settings/api-keys/{}/usage", &key[..18])).await.status, 200);
}

#[actix_web::test]
async fn user_agent_is_sanitized_and_shown_as_text() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let long = format!("<script>alert(1)</script>\u{202e}\u{200b}'; drop {}", "é".repeat(1000));
    let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
    let request = request.header("User-Agent", HeaderValue::from_bytes(long.as_bytes()).unwrap());
    assert_eq!(request.send().await.unwrap().status(), 200);
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;

    let page = ada.get(&format!("/settings/api-keys/{}/usage", &key[..18])).await;

    let shown = page.html().text(".facts bdi");
    assert!(
        shown.starts_with("<script>alert(1)</script>'; drop éé") && shown.chars().count() == 200,
        "{shown}"
    );
    assert!(!page.body.contains("<script>alert") && !page.body.contains('\u{202e}'));
}

#[actix_web::test]
async fn last_hundred_errors_are_kept() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    for _ in 0..2 {
        for _ in 0..60 {
            get(&app, &key, "/api/sessions/0198c0de-0000-7000-8000-000000000000").await;
        }
        let last = get(&app, &key, "/api/sessions/0198c0de-0000-7000-8000-000000000000").await;
        let is_stored = format!(
            "select count(*)::text as answer from key_errors where request_id = '{}'",
            last.header("x-request-id")
        );
        wait_until(&app.db, &is_stored, "1").await;
    }

    assert_eq!(app.db.query_text("select count(*)::text as answer from key_errors"), "100");
    assert_eq!(app.db.query_text(COUNTED_REQUESTS), "122", "but all are counted");
}

#[actix_web::test]
async fn usage_of_one_key_matches_usage_of_all_keys() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    get(&app, &key, "/api/sessions").await;
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;
    app.db.execute(
        "insert into key_usage select client_id, public_key, date_trunc('hour', now()) - interval '24 hours', \
         'GET /api/sessions', 2, 10 from api_keys union all \
         select client_id, public_key, date_trunc('hour', now()) - interval '168 hours', \
         'GET /api/sessions', 2, 100 from api_keys",
    );
    let (client, public): (ClientId, PublicKey) =
        (ada.client_id().await.parse().unwrap(), key[..18].parse().unwrap());

    let activities = usage::load_key_activities(&mut app.db.connect(), &client, slice::from_ref(&public));
    let activity = activities.unwrap().remove(&public).unwrap();
    let page = ada.get(&format!("/settings/api-keys/{public}/usage")).await.html();

    assert_eq!(activity.requests_last_day, 1);
    assert_eq!(activity.last.address.to_string(), "127.0.0.1");
    assert_eq!(page.texts(".facts-row dd")[2..], ["1 request", "11 requests"]);
}

#[actix_web::test]
async fn address_behind_a_trusted_proxy_is_that_of_the_caller() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
    request.header("X-Forwarded-For", "203.0.113.9, 2001:db8::9").send().await.unwrap();
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;

    assert_eq!(app.db.query_text("select host(address) as answer from key_last_uses"), "2001:db8::9");
}

#[actix_web::test]
async fn nothing_is_counted_with_metering_off() {
    let app = TestApp::start_with(&["--metering", "off"]).await;
    let counting = app.start_second_node().await;
    let ada = app.sign_up("ada").await;
    let (key, other) = (ada.generate("laptop").await, ada.generate("other").await);

    assert_eq!(export_at(&app.url, &[("clientKey", &key)]).await.status, 200);
    assert_eq!(export_at(&counting.url, &[("clientKey", &other)]).await.status, 200);
    wait_until(&app.db, COUNTED_REQUESTS, "1").await;

    assert_eq!(app.db.query_text("select public_key as answer from key_usage"), other[..18]);
}
