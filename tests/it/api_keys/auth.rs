//! When a key is accepted and refused, for every way of presenting it.

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Reply, TestApp};

const INDEX: &str = "/settings/api-keys";
const EXPORT: &str = "/api/sessions/export-csv-data";

/// Every way of presenting a key, with a request to every kind of endpoint that accepts it.
pub(super) fn build_carriers(app: &TestApp, key: &str) -> Vec<(&'static str, RequestBuilder)> {
    let visitor = app.visitor();
    let to = |method: Method, path: &str| visitor.request(method, path);
    let form = reqwest::multipart::Form::new().text("clientKey", key.to_owned());
    let session = "/api/sessions/00000000-0000-7000-8000-000000000000";
    vec![
        ("multipart", to(Method::POST, EXPORT).multipart(form)),
        ("urlencoded", to(Method::POST, EXPORT).form(&[("clientKey", key)])),
        ("JSON", to(Method::POST, EXPORT).json(&json!({"clientKey": key}))),
        ("header and export", to(Method::POST, EXPORT).bearer_auth(key)),
        ("stream", to(Method::POST, EXPORT).form(&[("clientKey", key), ("format", "csv")])),
        ("filter", to(Method::POST, EXPORT).form(&[("clientKey", key), ("status", "missed")])),
        ("list", to(Method::GET, "/api/sessions").bearer_auth(key)),
        ("stream of the list", to(Method::GET, "/api/sessions?format=ndjson").bearer_auth(key)),
        ("CSV file", to(Method::GET, "/api/sessions.csv").bearer_auth(key)),
        ("NDJSON file", to(Method::GET, "/api/sessions.ndjson?status=missed").bearer_auth(key)),
        ("one session", to(Method::GET, session).bearer_auth(key)),
        ("record", to(Method::POST, "/api/sessions").bearer_auth(key).json(&json!([]))),
    ]
}

/// Sends every carrier and returns its name, status and problem code.
async fn send_all(app: &TestApp, key: &str) -> Vec<(&'static str, u16, String)> {
    let mut answers = Vec::new();
    for (name, request) in build_carriers(app, key) {
        let reply = Reply::read(request.send().await.unwrap()).await;
        let is_problem = reply.header("content-type") == "application/problem+json";
        let code = if is_problem { reply.json()["code"].as_str().unwrap().to_owned() } else { String::new() };
        answers.push((name, reply.status.as_u16(), code));
    }
    answers
}

/// Asserts status and code of every carrier. The requested session does not exist, so an accepted key gets
/// 404 for it.
#[track_caller]
fn assert_all(answers: &[(&str, u16, String)], status: u16, code: &str) {
    for (name, actual_status, actual_code) in answers {
        let expected =
            if status == 200 && *name == "one session" { (404, "not_found") } else { (status, code) };
        assert_eq!((*actual_status, actual_code.as_str()), expected, "{name}");
    }
}

#[actix_web::test]
async fn key_is_refused_once_expired_by_the_database_clock() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate_recorder("laptop").await;

    app.db.execute("update api_keys set expires_at = now() + interval '1 hour'");
    assert_all(&send_all(&app, &key).await, 200, "");
    app.db.execute("update api_keys set expires_at = now()");
    assert_all(&send_all(&app, &key).await, 401, "invalid_key");
}

#[actix_web::test]
async fn key_is_accepted_as_it_was_pasted_and_does_not_count_as_bad() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1"]).await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate_recorder("laptop").await;

    for (before, after) in
        [(" ", "\t "), ("\"", "\""), ("'", "'"), ("“", "”"), ("\u{feff}", ""), ("\u{a0}", "\u{200b}")]
    {
        assert_all(&send_all(&app, &format!("{before}{key}{after}")).await, 200, "");
    }
    for (before, after) in [("", "\n"), ("", "\r\n"), ("\u{feff}\n\"", "\"\r\n\r\n")] {
        let pasted = format!("{before}{key}{after}");
        // No header can contain a line end.
        let forms = build_carriers(&app, &pasted).into_iter().take(3);
        for (name, request) in forms {
            assert_eq!(request.send().await.unwrap().status(), 200, "{name} {pasted:?}");
        }
    }
    let no_key = app.export(&[("clientKey", "\u{feff}\"\"\r\n")]).await;
    no_key.assert_problem(401, "invalid_key");
    app.export(&[("clientKey", "x")]).await.assert_problem(401, "invalid_key");
    app.export(&[("clientKey", "x")]).await.assert_problem(429, "too_many_requests");
    let revoked =
        app.visitor().request(Method::POST, "/api/keys/revoke").form(&[("clientKey", format!("{key}\n"))]);
    assert_eq!(revoked.send().await.unwrap().status(), 204);
}

#[actix_web::test]
async fn expired_key_gets_the_same_answer_as_an_unknown_one() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate("laptop").await;
    app.db.execute(
        "update api_keys set expires_at = now(), allowed_networks = '{10.0.0.0/8}', scopes = '{keys:manage}'",
    );
    let unknown = uptok::api_keys::ClientKey::generate().expose();

    let mut replies = Vec::new();
    for key in [&key, &unknown] {
        let reply = app.export(&[("clientKey", key)]).await;
        let mut problem = reply.json();
        problem["requestId"].take();
        replies.push((reply.status, problem, reply.header("www-authenticate").to_owned()));
    }

    assert_eq!(replies[0], replies[1]);
}

#[actix_web::test]
async fn key_is_accepted_only_from_its_allowed_networks() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    let key = app.sign_up("ada").await.generate("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24,198.51.100.7/32,2001:db8:7::/48}'");

    for (forwarded, status) in [
        ("192.0.2.200", 200),
        ("::ffff:192.0.2.200", 200),
        ("198.51.100.7", 200),
        ("2001:db8:7:1::9", 200),
        ("198.51.100.8", 403),
        ("2001:db8:8::1", 403),
        ("::192.0.2.200", 403),
        // A caller can forge every entry left of the one the trusted proxy appends.
        ("192.0.2.200, 203.0.113.9", 403),
        ("", 403),
    ] {
        let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
        let reply = Reply::read(request.header("X-Forwarded-For", forwarded).send().await.unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{forwarded}: {}", reply.body);
    }
}

#[actix_web::test]
async fn refusal_of_a_foreign_address_names_the_address_for_every_carrier() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate_recorder("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}'");

    assert_all(&send_all(&app, &key).await, 403, "address_not_allowed");
    let reply = app.export(&[("clientKey", &key)]).await;
    assert!(reply.json()["detail"].as_str().unwrap().contains("127.0.0.1"));
    let spoofed = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
    let spoofed = spoofed.header("X-Forwarded-For", "192.0.2.1").send().await.unwrap();
    assert_eq!(spoofed.status(), 403, "nobody behind a trusted proxy wrote that");
}

#[actix_web::test]
async fn wrong_secret_reveals_neither_scopes_nor_networks() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}', scopes = '{keys:manage}'");

    assert_all(&send_all(&app, &replace_secret(&key)).await, 401, "invalid_key");
}

/// Combines the public key of `key` with another secret and a valid checksum.
pub(crate) fn replace_secret(key: &str) -> String {
    let other = uptok::api_keys::ClientKey::generate().expose();
    let body = format!("{}{}", &key[..19], &other[19..51]);
    format!("{body}{}", checksum(&body))
}

/// Computes the last six characters of a key: CRC-32 in base 62.
fn checksum(body: &str) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = alphabet[usize::try_from(rest % 62).unwrap()];
        rest /= 62;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

#[actix_web::test]
async fn deleted_key_is_refused_on_every_node_in_a_thousand_rounds() {
    // The test goes on using deleted keys, so the limit for bad keys must not interfere.
    let settings = ["--bad-keys-per-minute", "1000000"];
    let app = TestApp::start_with(&settings).await;
    let other = app.start_second_node_with(&settings).await;
    let ada = app.sign_up("ada").await;
    let mut accepted_after_deletion = 0;

    for round in 0..1000 {
        let key = ada.generate_recorder("laptop").await;
        app.db.execute(match round % 4 {
            0 => "update api_keys set requests_per_minute = 3 where deleted_at is null",
            1 => "update api_keys set requests_per_minute = 0 where deleted_at is null",
            2 => "update api_keys set allowed_networks = '{127.0.0.0/8}' where deleted_at is null",
            _ => "update api_keys set expires_at = now() + interval '1 day' where deleted_at is null",
        });
        let use_key = async || {
            let calls = [&app, &other].map(|node| build_carriers(node, &key).swap_remove(round % 12).1);
            join_all(calls.into_iter().map(async |call| call.send().await.unwrap().status().as_u16())).await
        };
        assert!(use_key().await.iter().all(|status| [200, 404].contains(status)), "round {round}");
        ada.post(&format!("{INDEX}/{}/delete", &key[..18]), &[]).await.assert_sent_to(INDEX);
        accepted_after_deletion += use_key().await.iter().filter(|status| **status != 401).count();
    }

    assert_eq!(accepted_after_deletion, 0, "of 2,000 calls after the answer to Delete");
}
