//! What lets a key in, and what does not, whatever carries the key.

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Reply, TestApp};

const INDEX: &str = "/settings/api-keys";
const EXPORT: &str = "/api/sessions/export-csv-data";

/// Every way to present a key, to every call that takes it so.
pub(super) fn carriers(app: &TestApp, key: &str) -> Vec<(&'static str, RequestBuilder)> {
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
        ("one session", to(Method::GET, session).bearer_auth(key)),
        ("record", to(Method::POST, "/api/sessions").bearer_auth(key).json(&json!([]))),
    ]
}

/// The status and the code of each carrier's answer.
async fn answers(app: &TestApp, key: &str) -> Vec<(&'static str, u16, String)> {
    let mut answers = Vec::new();
    for (name, request) in carriers(app, key) {
        let reply = Reply::of(request.send().await.unwrap()).await;
        let is_problem = reply.header("content-type") == "application/problem+json";
        let code = if is_problem { reply.json()["code"].as_str().unwrap().to_owned() } else { String::new() };
        answers.push((name, reply.status.as_u16(), code));
    }
    answers
}

/// Asserts that every carrier is answered so, but that a session which is not there is not found where keys are let in.
#[track_caller]
fn assert_all(answers: &[(&str, u16, String)], status: u16, code: &str) {
    for (name, got, said) in answers {
        let expected =
            if status == 200 && *name == "one session" { (404, "not_found") } else { (status, code) };
        assert_eq!((*got, said.as_str()), expected, "{name}");
    }
}

#[actix_web::test]
async fn a_key_is_refused_from_the_moment_it_expires_by_the_clock_of_the_database() {
    let app = TestApp::start().await;
    let key = app.signed_up("ada").await.generate_recorder("laptop").await;

    app.db.execute("update api_keys set expires_at = now() + interval '1 hour'");
    assert_all(&answers(&app, &key).await, 200, "");
    app.db.execute("update api_keys set expires_at = now()");
    assert_all(&answers(&app, &key).await, 401, "invalid_key");
}

#[actix_web::test]
async fn an_expired_key_is_told_the_same_as_an_unknown_one() {
    let app = TestApp::start().await;
    let key = app.signed_up("ada").await.generate("laptop").await;
    app.db.execute(
        "update api_keys set expires_at = now(), allowed_networks = '{10.0.0.0/8}', scopes = '{keys:manage}'",
    );
    let unknown = uptok::api_keys::ClientKey::generate().unwrap().expose();

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
async fn a_key_is_let_in_from_its_networks_alone() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    let key = app.signed_up("ada").await.generate("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24,198.51.100.7/32,2001:db8:7::/48}'");

    for (forwarded, status) in [
        ("192.0.2.200", 200),
        ("::ffff:192.0.2.200", 200),
        ("198.51.100.7", 200),
        ("2001:db8:7:1::9", 200),
        ("198.51.100.8", 403),
        ("2001:db8:8::1", 403),
        ("::192.0.2.200", 403),
        // Whoever is outside writes what it likes further left.
        ("192.0.2.200, 203.0.113.9", 403),
        ("", 403),
    ] {
        let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
        let reply = Reply::of(request.header("X-Forwarded-For", forwarded).send().await.unwrap()).await;
        assert_eq!(reply.status.as_u16(), status, "{forwarded}: {}", reply.body);
    }
}

#[actix_web::test]
async fn a_key_from_elsewhere_is_told_its_address_whatever_carries_it() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate_recorder("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}'");

    assert_all(&answers(&app, &key).await, 403, "address_not_allowed");
    let reply = app.export(&[("clientKey", &key)]).await;
    assert!(reply.json()["detail"].as_str().unwrap().contains("127.0.0.1"));
    let spoofed = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(&key);
    let spoofed = spoofed.header("X-Forwarded-For", "192.0.2.1").send().await.unwrap();
    assert_eq!(spoofed.status(), 403, "nobody behind a trusted proxy wrote that");
}

#[actix_web::test]
async fn whoever_guesses_learns_nothing_of_scopes_and_networks() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}', scopes = '{keys:manage}'");

    assert_all(&answers(&app, &with_another_secret(&key)).await, 401, "invalid_key");
}

/// The same public key with the secret of another, and the checksum of the whole.
pub(super) fn with_another_secret(key: &str) -> String {
    let other = uptok::api_keys::ClientKey::generate().unwrap().expose();
    let body = format!("{}{}", &key[..19], &other[19..51]);
    format!("{body}{}", checksum(&body))
}

/// CRC-32 in base 62, as the last 6 characters of a key.
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
async fn a_deleted_key_is_refused_on_every_node_a_thousand_times() {
    // The programs of these rounds do not stop by themselves.
    let patient = ["--bad-keys-per-minute", "1000000"];
    let app = TestApp::start_with(&patient).await;
    let other = app.second_node_with(&patient).await;
    let ada = app.signed_up("ada").await;
    let mut accepted = 0;

    for round in 0..1000 {
        let key = ada.generate_recorder("laptop").await;
        app.db.execute(match round % 4 {
            0 => "update api_keys set requests_per_minute = 3 where deleted_at is null",
            1 => "update api_keys set requests_per_minute = 0 where deleted_at is null",
            2 => "update api_keys set allowed_networks = '{127.0.0.0/8}' where deleted_at is null",
            _ => "update api_keys set expires_at = now() + interval '1 day' where deleted_at is null",
        });
        let use_it = async || {
            let calls = [&app, &other].map(|node| carriers(node, &key).swap_remove(round % 10).1);
            join_all(calls.into_iter().map(async |call| call.send().await.unwrap().status().as_u16())).await
        };
        assert!(use_it().await.iter().all(|status| [200, 404].contains(status)), "round {round}");
        ada.post(&format!("{INDEX}/{}/delete", &key[..18]), &[]).await.assert_sent_to(INDEX);
        accepted += use_it().await.iter().filter(|status| **status != 401).count();
    }

    assert_eq!(accepted, 0, "of 2,000 calls after the answer to Delete");
}
