//! Replacing keys with a grace period, warnings about expiry, and deleting several keys.

use futures_util::future::join_all;

use super::list::{INDEX, delete_path, key_path, public_part, replacement_path};
use crate::support::{TestApp, Visitor};

/// Replaces a key through the form and returns the new key.
async fn replace(ada: &Visitor, key: &str, grace_seconds: &str) -> String {
    let reply = ada.post(&replacement_path(key), &[("graceSeconds", grace_seconds)]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.html().text("[data-whole-key-text]")
}

#[actix_web::test]
async fn both_keys_work_until_the_grace_period_ends() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let old = ada.generate("laptop").await;
    let confirmation = ada.get(&replacement_path(&old)).await.html();
    assert_eq!(confirmation.attribute("input[name=graceSeconds][checked]", "value"), "0");

    let new = replace(&ada, &old, "86400").await;

    for key in [&old, &new] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    }
    let table = ada.get(INDEX).await.html().texts("tbody td[data-label=Status]");
    assert_eq!(table, ["Active expires in 90 days", "Replaced ends in 24 hours"]);
    app.db.execute("update api_keys set expires_at = now() where replaced_by is not null");
    app.export(&[("clientKey", &old)]).await.assert_problem(401, "invalid_key");
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 200);
    assert_eq!(ada.get(INDEX).await.html().texts("tbody tr").len(), 1);
    assert_eq!(ada.get(&format!("{INDEX}?status=expired")).await.html().texts("tbody tr").len(), 1);
}

#[actix_web::test]
async fn replacement_shows_when_the_old_key_ends_and_links_its_successor() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let old = ada.generate("laptop").await;

    let reply = ada.post(&replacement_path(&old), &[("graceSeconds", "3600")]).await;

    let message = reply.html().text("[role=status]:not([data-copied])");
    assert!(
        message.contains("The old one ends in 60 minutes, on ") && message.contains(" UTC."),
        "{message}"
    );
    let new = reply.html().text("[data-whole-key-text]");
    let page = ada.get(&key_path(&old)).await.html();
    assert_eq!(page.attribute(".facts a", "href"), key_path(&new));
    assert_eq!(page.texts("main a[href$=delete]"), ["Delete"]);
    assert!(page.texts("main a[href$=replacement]").is_empty(), "it is replaced once");
    let again = ada.post(&replacement_path(&old), &[("graceSeconds", "3600")]).await;
    assert_eq!(again.status, 409);
    assert!(again.body.contains(&format!("has already been replaced by {}", public_part(&new))));
    ada.get(&replacement_path(&old)).await.assert_sent_to(&key_path(&old));
    assert!(
        ada.get(&key_path(&old)).await.html().text("[role=status]").contains("has already been replaced by")
    );
}

#[actix_web::test]
async fn replaced_key_can_be_deleted_before_its_grace_period_ends() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let old = ada.generate("laptop").await;
    let new = replace(&ada, &old, "604800").await;

    ada.post(&delete_path(&old), &[]).await.assert_sent_to(INDEX);

    app.export(&[("clientKey", &old)]).await.assert_problem(401, "invalid_key");
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 200);
}

#[actix_web::test]
async fn unsupported_grace_period_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let old = ada.generate("laptop").await;
    for grace in ["60", "-1", "1h", "31536000"] {
        let reply = ada.post(&replacement_path(&old), &[("graceSeconds", grace)]).await;
        assert_eq!(reply.status, 400, "{grace}");
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "1");
}

#[actix_web::test]
async fn delete_page_warns_about_recent_use_and_offers_replacement() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let idle = ada.get(&delete_path(&key)).await.html();
    assert_eq!(
        (idle.texts(".notice-warn").len(), idle.texts(".facts dd").last().unwrap().as_str()),
        (0, "Never")
    );
    app.db.execute(
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select client_id, public_key, now() - interval '3 minutes', '203.0.113.7', 'curl/8' from api_keys",
    );
    app.db.execute(
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select client_id, public_key, date_trunc('hour', now()), 'GET /api/sessions', 2, 1204 from api_keys",
    );

    let page = ada.get(&delete_path(&key)).await.html();

    assert!(page.text(".notice-warn").contains("It was last used 3 minutes ago."));
    assert_eq!(page.texts(".facts dd")[4..], ["3 minutes ago from 203.0.113.7", "curl/8", "1,204 requests"]);
    assert_eq!(page.attribute(".notice-warn a", "href"), replacement_path(&key));
    let cell = ada.get(INDEX).await.html().cell("laptop", "Last used · past 24 h");
    assert_eq!(cell, "3 min ago · 1,204 requests");
    app.db.execute("update api_keys set expires_at = now()");
    assert!(ada.get(&delete_path(&key)).await.html().texts(".notice-warn").is_empty(), "it is dead already");
}

#[actix_web::test]
async fn grace_period_of_a_day_is_preselected_for_a_key_used_in_the_last_7_days() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute(
        "insert into key_last_uses (client_id, public_key, used_at, address) \
         select client_id, public_key, now(), '203.0.113.7' from api_keys",
    );
    for (age, preselected) in [("6 days 23 hours", "86400"), ("7 days 1 hour", "0")] {
        app.db.execute(&format!("update key_last_uses set used_at = now() - interval '{age}'"));

        let page = ada.get(&replacement_path(&key)).await.html();

        assert_eq!(page.attribute("input[name=graceSeconds][checked]", "value"), preselected, "{age}");
    }
}

#[actix_web::test]
async fn page_of_a_key_shows_its_status_and_its_use_on_each_of_30_days() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let unused = ada.get(&key_path(&key)).await.html();
    assert_eq!(unused.text("h1"), "laptop Active");
    assert_eq!(unused.text("[aria-labelledby=usage] p"), "No requests yet. How to use a key");
    assert!(unused.texts(".sparkline").is_empty());
    app.db.execute(
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select client_id, public_key, date_trunc('hour', now()) - days * interval '1 day', 'GET /api/sessions', \
         2, requests from api_keys, (values (0, 3), (29, 1200), (30, 5000)) counts (days, requests)",
    );

    let page = ada.get(&key_path(&key)).await.html();

    assert!(
        page.attribute(".sparkline", "aria-label").starts_with("1,203 requests in 30 days. Peak: 1,200 on ")
    );
    assert_eq!(page.texts(".sparkline rect").len(), 30);
    assert_eq!(page.texts(".sparkline-axis span").len(), 2, "the first and the last day");
    assert!(page.texts(".sparkline rect title")[29].ends_with(": 3"));
}

#[actix_web::test]
async fn list_warns_about_keys_that_expire_soon() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for index in 0..7 {
        ada.generate(&format!("key {index}")).await;
    }
    assert!(ada.get(INDEX).await.html().texts(".notice-warn").is_empty());
    app.db.execute("update api_keys set expires_at = now() + interval '15 days' where name = 'key 0'");
    app.db.execute("update api_keys set expires_at = now() + interval '13 days' where name <> 'key 0'");
    app.db.execute("update api_keys set expires_at = now() + interval '1 day' where name = 'key 3'");

    let page = ada.get(INDEX).await.html();

    assert_eq!(page.text(".notice-warn strong"), "6 keys expire within 14 days");
    let listed = page.texts(".notice-warn li");
    assert_eq!((listed.len(), listed[0].as_str()), (5, "key 3 expires in 24 hours. Replace the key key 3"));
    let all = ada.get(&page.attribute(".notice-warn p a", "href")).await.html();
    assert_eq!(all.texts("tbody tr").len(), 6);
}

#[actix_web::test]
async fn selected_keys_are_confirmed_and_deleted() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(ada.generate(name).await);
    }
    let confirmation_path =
        format!("{INDEX}/delete?key={}&key={}", public_part(&keys[0]), public_part(&keys[2]));

    let confirmation = ada.get(&confirmation_path).await.html();

    assert_eq!(confirmation.text("h1"), "Delete these 2 API keys?");
    assert_eq!(confirmation.texts("main li bdi"), ["a", "c"]);
    let list = confirmation.attribute("input[name=keys]", "value");
    assert_eq!(app.export(&[("clientKey", &keys[0])]).await.status, 200, "asking deletes nothing");
    ada.post(&format!("{INDEX}/delete"), &[("keys", &list)]).await.assert_sent_to(INDEX);
    let page = ada.get(INDEX).await.html();
    assert!(page.text("[role=status]").contains("2 keys were deleted"));
    assert_eq!(page.texts("tbody th"), ["b"]);
    for (key, status) in keys.iter().zip([401, 200, 401]) {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, status);
    }
    ada.post(&format!("{INDEX}/delete"), &[("keys", &list)]).await.assert_sent_to(INDEX);
    assert!(ada.get(INDEX).await.html().text("[role=status]").contains("had already been deleted"));
    let with_live_key = ada.get(&format!("{confirmation_path}&key={}", public_part(&keys[1]))).await.html();
    assert_eq!(with_live_key.texts("main li bdi"), ["b"], "what someone else deleted meanwhile is left out");
    ada.get(&confirmation_path).await.assert_sent_to(INDEX);
}

#[actix_web::test]
async fn bulk_deletion_with_a_foreign_key_deletes_nothing() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let (own, foreign) = (eve.generate("own").await, ada.generate("foreign").await);
    let both = format!("{} {}", public_part(&own), public_part(&foreign));
    for list in [both.as_str(), public_part(&foreign), "uptok_000000000000", "x", ""] {
        let query = list.split(' ').map(|key| format!("key={key}")).collect::<Vec<_>>().join("&");
        assert_eq!(eve.get(&format!("{INDEX}/delete?{query}")).await.status, 404, "{list}");
        assert_eq!(eve.post(&format!("{INDEX}/delete"), &[("keys", list)]).await.status, 404, "{list}");
    }
    assert_eq!(app.export(&[("clientKey", &own)]).await.status, 200);
    assert_eq!(app.export(&[("clientKey", &foreign)]).await.status, 200);
    eve.get(&format!("{INDEX}/delete")).await.assert_sent_to(INDEX);
    assert!(eve.get(INDEX).await.html().text("[role=alert]").contains("No keys selected"));
}

#[actix_web::test]
async fn only_one_of_fifty_concurrent_deletions_deletes() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    let (one, several) = (delete_path(&key), format!("{INDEX}/delete"));
    let list = [("keys", public_part(&key))];

    let replies = join_all((0..50).map(async |index| {
        if index % 2 == 0 { ada.post(&one, &[]).await } else { ada.post(&several, &list).await }
    }))
    .await;

    assert!(replies.iter().all(|reply| reply.status == 303));
    assert_eq!(
        app.db.query_text("select count(*)::text as answer from api_keys where deleted_at is not null"),
        "1"
    );
}
