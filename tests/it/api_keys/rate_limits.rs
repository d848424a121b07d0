//! How often a key may be used, and bad ones tried.

use reqwest::Method;

use super::auth::{carriers, with_another_secret};
use crate::support::{Reply, TestApp};

fn limit_of(reply: &Reply) -> (&str, &str) {
    (reply.header("ratelimit-policy"), reply.header("ratelimit"))
}

#[actix_web::test]
async fn every_carrier_and_every_call_counts_once() {
    let app = TestApp::start().await;
    let key = app.signed_up("ada").await.generate_recorder("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 10");

    let mut left = Vec::new();
    for (name, request) in carriers(&app, &key) {
        let reply = Reply::of(request.send().await.unwrap()).await;
        let (policy, limit) = limit_of(&reply);
        assert_eq!(policy, "\"key\";q=10;w=60", "{name}");
        left.push(limit.split(";t=").next().unwrap().to_owned());
    }

    let expected: Vec<String> = (0..10).rev().map(|left| format!("\"key\";r={left}")).collect();
    assert_eq!(left, expected);
    for (name, request) in carriers(&app, &key) {
        let reply = Reply::of(request.send().await.unwrap()).await;
        reply.assert_problem(429, "too_many_requests");
        assert!(reply.body.contains("10 times a minute"), "{name}: {}", reply.body);
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!((1..=6).contains(&wait), "{name}: {wait}");
        assert_eq!(
            limit_of(&reply),
            ("\"key\";q=10;w=60", format!("\"key\";r=0;t={wait}").as_str()),
            "{name}"
        );
    }
}

#[actix_web::test]
async fn a_key_that_is_used_up_slows_no_other_and_a_new_limit_holds_at_once() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let (busy, calm) = (ada.generate("busy").await, ada.generate("calm").await);
    app.db.execute("update api_keys set requests_per_minute = 2 where name = 'busy'");

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(app.export(&[("clientKey", &busy)]).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let other = app.export(&[("clientKey", &calm)]).await;
    assert_eq!((other.status.as_u16(), limit_of(&other).0), (200, "\"key\";q=600;w=60"));
    app.db.execute("update api_keys set requests_per_minute = 3 where name = 'calm'");
    assert_eq!(
        limit_of(&app.export(&[("clientKey", &calm)]).await).1.split(";t=").next().unwrap(),
        "\"key\";r=2"
    );
    app.db.execute("update api_keys set requests_per_minute = 0 where name = 'calm'");
    for _ in 0..5 {
        let reply = app.export(&[("clientKey", &calm)]).await;
        assert_eq!((reply.status.as_u16(), limit_of(&reply)), (200, ("", "")));
    }
}

#[actix_web::test]
async fn a_good_key_that_may_not_do_this_is_limited_too_and_a_wrong_secret_uses_nothing_up() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 3, scopes = '{keys:manage}'");
    let wrong = with_another_secret(&key);

    let mut statuses = Vec::new();
    for presented in [&key, &wrong, &wrong, &wrong, &key, &key, &key, &wrong] {
        statuses.push(app.export(&[("clientKey", presented)]).await.status.as_u16());
    }

    assert_eq!(statuses, [403, 401, 401, 401, 403, 403, 429, 401]);
}

#[actix_web::test]
async fn ten_thousand_random_keys_cost_hardly_a_query() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate("laptop").await;
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    let before = app.db.transactions();

    let client = reqwest::Client::new();
    let mut tried = 0;
    for random in 0..10_000 {
        let key = uptok::api_keys::ClientKey::generate().unwrap().expose();
        let request = client.get(format!("{}/api/sessions", app.url)).bearer_auth(key);
        let status = request.send().await.unwrap().status();
        assert!(status == 429 || status == 401, "{random}: {status}");
        tried += u64::from(status == 401);
    }

    // 60 at once, and one a second as long as this takes. A try asks the directory once, and tests its connection; what
    // the node does by itself each second is counted too.
    let asked = app.db.transactions() - before;
    eprintln!("10,000 random keys: {tried} were tried, {asked} transactions");
    assert!(tried < 1000 && asked < 2000, "{tried} tries, {asked} transactions");
    let used_before = app.export(&[("clientKey", &key)]).await;
    assert_eq!(
        used_before.status, 200,
        "a key that was let in is not slowed by bad ones from the same place"
    );
}

#[actix_web::test]
async fn bad_keys_of_every_kind_count_and_a_limited_address_learns_nothing() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "3", "--trusted-proxies", "127.0.0.1"]).await;
    let ada = app.signed_up("ada").await;
    let (key, new) = (ada.generate("laptop").await, ada.generate("new").await);
    let unknown = uptok::api_keys::ClientKey::generate().unwrap().expose();
    let wrong = with_another_secret(&key);
    let from = async |address: &str, key: &str| from(&app, address, key).await;

    assert_eq!(from("192.0.2.1", &key).await.status, 200);
    for bad in [&unknown, &wrong, "uptok_typo"] {
        from("192.0.2.1", bad).await.assert_problem(401, "invalid_key");
    }
    for bad in [&unknown, &wrong, "uptok_typo", &new] {
        let reply = from("192.0.2.1", bad).await;
        reply.assert_problem(429, "too_many_requests");
        assert!((1..=20).contains(&reply.header("retry-after").parse::<u64>().unwrap()));
        assert_eq!(limit_of(&reply), ("", ""));
    }
    assert_eq!(from("192.0.2.1", &key).await.status, 200);
    assert_eq!(from("192.0.2.2", &new).await.status, 200);
    from("192.0.2.2", &unknown).await.assert_problem(401, "invalid_key");
    assert_eq!(from("192.0.2.1", &new).await.status, 200, "good elsewhere is good here");
}

/// What `key` is answered from an address.
async fn from(app: &TestApp, address: &str, key: &str) -> Reply {
    let request = app.visitor().request(Method::GET, "/api/sessions").bearer_auth(key);
    Reply::of(request.header("X-Forwarded-For", address).send().await.unwrap()).await
}

#[actix_web::test]
async fn a_higher_limit_and_a_deletion_reach_a_key_that_is_used_up() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let (raised, deleted) = (ada.generate("raised").await, ada.generate("deleted").await);
    app.db.execute("update api_keys set requests_per_minute = 1");
    for key in [&raised, &deleted] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
        app.export(&[("clientKey", key)]).await.assert_problem(429, "too_many_requests");
    }

    app.db.execute("update api_keys set requests_per_minute = 10 where name = 'raised'");
    app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where name = 'deleted'");

    // The limit is looked up when it has refused for a second.
    actix_web::rt::time::sleep(std::time::Duration::from_millis(1100)).await;
    let reply = app.export(&[("clientKey", &raised)]).await;
    assert_eq!((reply.status.as_u16(), limit_of(&reply).0), (200, "\"key\";q=10;w=60"), "{}", reply.body);
    app.export(&[("clientKey", &deleted)]).await.assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn a_key_that_is_used_up_can_be_ended_at_once() {
    let app = TestApp::start().await;
    let key = app.signed_up("ada").await.generate("leaked").await;
    app.db.execute("update api_keys set requests_per_minute = 1");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    app.export(&[("clientKey", &key)]).await.assert_problem(429, "too_many_requests");

    let revoke = app.visitor().request(Method::POST, "/api/keys/revoke").bearer_auth(&key);
    assert_eq!(revoke.send().await.unwrap().status(), 204);
}

#[actix_web::test]
async fn whoever_has_a_key_where_it_may_not_be_used_uses_up_nothing_of_it() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1", "--bad-keys-per-minute", "4"]).await;
    let key = app.signed_up("ada").await.generate("laptop").await;
    app.db.execute("update api_keys set requests_per_minute = 3, allowed_networks = '{192.0.2.0/24}'");
    assert_eq!(from(&app, "192.0.2.1", &key).await.status, 200);

    let mut statuses = Vec::new();
    for _ in 0..7 {
        let reply = from(&app, "198.51.100.7", &key).await;
        assert_eq!(limit_of(&reply), ("", ""));
        statuses.push(reply.status.as_u16());
    }

    // The first one is counted as any other, and that is taken back.
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
    assert!(limit_of(&from(&app, "192.0.2.1", &key).await).1.starts_with("\"key\";r=1"));
    app.db.execute("update api_keys set allowed_networks = '{}'");
    from(&app, "198.51.100.7", &key).await.assert_problem(429, "too_many_requests");
}
