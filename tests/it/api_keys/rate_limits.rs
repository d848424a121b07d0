//! Rate limits of keys, and of attempts with bad keys.

use reqwest::Method;

use super::auth::{build_carriers, replace_secret};
use crate::support::{Reply, TestApp};

fn read_limit(reply: &Reply) -> (&str, &str) {
    (reply.header("ratelimit-policy"), reply.header("ratelimit"))
}

#[actix_web::test]
async fn every_carrier_and_endpoint_counts_once() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate_recorder("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 12");

    let mut remaining = Vec::new();
    for (name, request) in build_carriers(&app, &key) {
        let reply = Reply::read(request.send().await.unwrap()).await;
        let (policy, limit) = read_limit(&reply);
        assert_eq!(policy, "\"key\";q=12;w=60", "{name}");
        remaining.push(limit.split(";t=").next().unwrap().to_owned());
    }

    let expected: Vec<String> = (0..12).rev().map(|remaining| format!("\"key\";r={remaining}")).collect();
    assert_eq!(remaining, expected);
    for (name, request) in build_carriers(&app, &key) {
        let reply = Reply::read(request.send().await.unwrap()).await;
        reply.assert_problem(429, "too_many_requests");
        assert!(reply.body.contains("12 requests a minute"), "{name}: {}", reply.body);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=5).contains(&wait), "{name}: {wait}");
        assert_eq!(
            read_limit(&reply),
            ("\"key\";q=12;w=60", format!("\"key\";r=0;t={wait}").as_str()),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn exhausted_key_does_not_slow_others_and_a_new_limit_applies_at_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (busy, calm) = (ada.generate("busy").await, ada.generate("calm").await);
    app.db.execute("update api_keys set requests_per_minute = 2 where name = 'busy'");

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(app.export(&[("clientKey", &busy)]).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let other = app.export(&[("clientKey", &calm)]).await;
    assert_eq!((other.status.as_u16(), read_limit(&other).0), (200, "\"key\";q=600;w=60"));
    app.db.execute("update api_keys set requests_per_minute = 3 where name = 'calm'");
    assert_eq!(
        read_limit(&app.export(&[("clientKey", &calm)]).await).1.split(";t=").next().unwrap(),
        "\"key\";r=2"
    );
    app.db.execute("update api_keys set requests_per_minute = 0 where name = 'calm'");
    for _ in 0..5 {
        let reply = app.export(&[("clientKey", &calm)]).await;
        assert_eq!((reply.status.as_u16(), read_limit(&reply)), (200, ("", "")));
    }
}

#[actix_web::test]
async fn requests_without_the_scope_are_limited_and_wrong_secrets_consume_nothing() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 3, scopes = '{keys:manage}'");
    let wrong_secret = replace_secret(&key);

    let mut statuses = Vec::new();
    for presented in [&key, &wrong_secret, &wrong_secret, &wrong_secret, &key, &key, &key, &wrong_secret] {
        statuses.push(app.export(&[("clientKey", presented)]).await.status.as_u16());
    }

    assert_eq!(statuses, [403, 401, 401, 401, 403, 403, 429, 401]);
}

#[actix_web::test]
async fn ten_thousand_random_keys_cause_few_queries() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    let before = app.db.count_transactions();

    let client = reqwest::Client::new();
    let mut attempts = 0;
    for number in 0..10_000 {
        let key = uptok::api_keys::ClientKey::generate().expose();
        let request = client.get(format!("{}/api/sessions", app.url)).bearer_auth(key);
        let status = request.send().await.unwrap().status();
        assert!(status == 429 || status == 401, "{number}: {status}");
        attempts += u64::from(status == 401);
    }

    // The limit admits 60 attempts at once and one more per second. An attempt takes one query to the
    // directory and one to test the connection; the node adds its own transactions every second.
    let transactions = app.db.count_transactions() - before;
    eprintln!("10,000 random keys: {attempts} were tried, {transactions} transactions");
    assert!(attempts < 1000 && transactions < 2000, "{attempts} tries, {transactions} transactions");
    let used_before = app.export(&[("clientKey", &key)]).await;
    assert_eq!(
        used_before.status, 200,
        "a key that was let in is not slowed by bad ones from the same place"
    );
}

#[actix_web::test]
async fn every_kind_of_bad_key_counts_and_a_limited_address_learns_nothing() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "3", "--trusted-proxies", "127.0.0.1"]).await;
    let ada = app.sign_up("ada").await;
    let (key, new) = (ada.generate("laptop").await, ada.generate("new").await);
    let unknown = uptok::api_keys::ClientKey::generate().expose();
    let wrong_secret = replace_secret(&key);
    let send_from = async |address: &str, key: &str| send_from(&app, address, key).await;

    assert_eq!(send_from("192.0.2.1", &key).await.status, 200);
    for bad in [&unknown, &wrong_secret, "uptok_typo"] {
        send_from("192.0.2.1", bad).await.assert_problem(401, "invalid_key");
    }
    for bad in [&unknown, &wrong_secret, "uptok_typo", &new] {
        let reply = send_from("192.0.2.1", bad).await;
        reply.assert_problem(429, "too_many_requests");
        assert!((1..=20).contains(&reply.header("retry-after").parse::<u64>().unwrap()));
        assert_eq!(read_limit(&reply), ("", ""));
    }
    assert_eq!(send_from("192.0.2.1", &key).await.status, 200);
    assert_eq!(send_from("192.0.2.2", &new).await.status, 200);
    send_from("192.0.2.2", &unknown).await.assert_problem(401, "invalid_key");
    assert_eq!(send_from("192.0.2.1", &new).await.status, 200, "good elsewhere is good here");
}

/// Sends a request with `key` from `address`.
async fn send_from(app: &TestApp, address: &str, key: &str) -> Reply {
    let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(key);
    Reply::read(request.header("X-Forwarded-For", address).send().await.unwrap()).await
}

#[actix_web::test]
async fn raised_limit_and_deletion_apply_to_an_exhausted_key() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (raised, deleted) = (ada.generate("raised").await, ada.generate("deleted").await);
    app.db.execute("update api_keys set requests_per_minute = 1");
    for key in [&raised, &deleted] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
        app.export(&[("clientKey", key)]).await.assert_problem(429, "too_many_requests");
    }

    app.db.execute("update api_keys set requests_per_minute = 10 where name = 'raised'");
    app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where name = 'deleted'");

    // A refusing limit is read from the database again after one second.
    actix_web::rt::time::sleep(std::time::Duration::from_millis(1100)).await;
    let reply = app.export(&[("clientKey", &raised)]).await;
    assert_eq!((reply.status.as_u16(), read_limit(&reply).0), (200, "\"key\";q=10;w=60"), "{}", reply.body);
    app.export(&[("clientKey", &deleted)]).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn exhausted_key_can_be_revoked() {
    let app = TestApp::start().await;
    let key = app.sign_up("ada").await.generate("leaked").await;
    app.db.execute("update api_keys set requests_per_minute = 1");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    app.export(&[("clientKey", &key)]).await.assert_problem(429, "too_many_requests");

    let revoke = app.visitor().request(Method::POST, "/api/keys/revoke").bearer_auth(&key);
    assert_eq!(revoke.send().await.unwrap().status(), 204);
}

#[actix_web::test]
async fn requests_from_foreign_networks_do_not_consume_the_limit_of_the_key() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1", "--bad-keys-per-minute", "4"]).await;
    let key = app.sign_up("ada").await.generate("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 3, allowed_networks = '{192.0.2.0/24}'");
    assert_eq!(send_from(&app, "192.0.2.1", &key).await.status, 200);

    let mut statuses = Vec::new();
    for _ in 0..7 {
        let reply = send_from(&app, "198.51.100.7", &key).await;
        assert_eq!(read_limit(&reply), ("", ""));
        statuses.push(reply.status.as_u16());
    }

    // The first refusal is charged to the key and then refunded; the following ones count as bad keys of the
    // address.
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
    assert!(read_limit(&send_from(&app, "192.0.2.1", &key).await).1.starts_with("\"key\";r=1"));
    app.db.execute("update api_keys set allowed_networks = '{}'");
    send_from(&app, "198.51.100.7", &key).await.assert_problem(429, "too_many_requests");
}
