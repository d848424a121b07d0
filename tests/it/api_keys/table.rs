//! Paging, searching and sorting of a long key table.

use futures_util::future::join_all;

use super::list::INDEX;
use crate::support::{TestApp, html::Html};

/// Adds `count` keys to the only client. `key 1` is the newest, and every tenth expires soon.
fn insert_keys(app: &TestApp, count: u32) {
    app.db.execute(&format!(
        "insert into api_keys (client_id, public_key, name, secret_hash, created_by, created_at, expires_at) \
         select client_id, 'uptok_' || lpad(n::text, 12, '0'), 'key ' || n, decode(repeat('00', 32), 'hex'), \
         (select user_id from users limit 1), now() - n * interval '1 hour', \
         case when n % 10 = 0 then now() + interval '2 days' end from clients, generate_series(1, {count}) n"
    ));
}

#[actix_web::test]
async fn five_hundred_keys_are_paged_searched_and_sorted() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    insert_keys(&app, 500);
    let mut seen = Vec::new();
    let mut address = INDEX.to_owned();
    loop {
        let page = ada.get(&address).await.html();
        let names = page.texts("tbody th");
        assert_eq!(names.len(), 25, "{address}");
        seen.extend(names);
        if page.texts("a[rel=next]").is_empty() {
            break;
        }
        address = page.attribute("a[rel=next]", "href");
    }

    assert_eq!(seen, (1..=500).map(|n| format!("key {n}")).collect::<Vec<_>>());
    let one = ada.get(&format!("{INDEX}?q=KEY+499")).await.html();
    assert_eq!(one.texts("tbody th"), ["key 499"]);
    assert!(one.text(".list-head").starts_with("1 key found."));
    let by_key = ada.get(&format!("{INDEX}?q=uptok_000000000123")).await.html();
    assert_eq!(by_key.texts("tbody th"), ["key 123"]);
    let expiring = ada.get(&format!("{INDEX}?status=expiring&sort=oldest&page=2")).await.html();
    assert_eq!(expiring.texts("tbody th")[0], "key 250");
    assert_eq!(expiring.attribute("a[rel=prev]", "href"), format!("{INDEX}?status=expiring&sort=oldest"));
    assert_eq!(expiring.attribute("#sort option[selected]", "value"), "oldest");
    let none = ada.get(&format!("{INDEX}?q=%25")).await.html();
    assert_eq!(none.text(".empty strong"), "No keys found");
    assert_eq!(none.texts(".empty p")[1], "Nothing matches “%”.");
    assert_eq!(one.cell("key 499", "Created At").split_once(" by ").unwrap().1, "ada");
}

#[actix_web::test]
async fn keys_are_found_by_their_creator() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.sign_up("eve").await;
    for name in ["of user", "of key", "of terminal", "of other"] {
        ada.generate(name).await;
    }
    let parent = app.db.query_text("select public_key as answer from api_keys where name = 'of user'");
    app.db.execute(
        "update users set name = 'Grace Hopper', email = 'g.hopper@navy.example' where name = 'ada'",
    );
    app.db.execute(&format!(
        "update api_keys set created_by = null, created_by_key = '{parent}' where name = 'of key'"
    ));
    app.db.execute("update api_keys set created_by = null where name = 'of terminal'");
    app.db.execute(
        "update api_keys set created_by = (select user_id from users where name = 'eve') where name = 'of other'",
    );

    for (search, expected) in [
        ("grace", vec!["of user"]),
        ("HOPPER@NAVY", vec!["of user"]),
        ("eve", vec!["of other"]),
        (parent.as_str(), vec!["of key", "of user"]),
        ("The+command+line", vec!["of terminal"]),
        ("command+line", vec!["of terminal"]),
        ("nobody", vec![]),
    ] {
        let mut found = ada.get(&format!("{INDEX}?q={search}")).await.html().texts("tbody th");
        found.sort();
        assert_eq!(found, expected, "{search}");
    }
}

#[actix_web::test]
async fn whole_key_in_a_search_is_reduced_to_its_public_key() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;

    let reply = ada.get(&format!("{INDEX}?q={key}&sort=name")).await;

    reply.assert_sent_to(&format!("{INDEX}?q={}&sort=name", &key[..18]));
    assert_eq!(ada.get(reply.header("location")).await.html().texts("tbody th"), ["laptop"]);
}

#[actix_web::test]
async fn only_one_of_fifty_concurrent_creations_at_the_limit_succeeds() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    insert_keys(&app, 499);
    let names: Vec<String> = (0..50).map(|index| format!("new {index}")).collect();

    let replies =
        join_all(names.iter().map(async |name| ada.post(INDEX, &[("name", name.as_str())]).await.status))
            .await;

    assert_eq!(replies.iter().filter(|status| **status == 200).count(), 1, "{replies:?}");
    assert_eq!(replies.iter().filter(|status| **status == 422).count(), 49, "{replies:?}");
}

#[actix_web::test]
async fn invalid_query_parameters_are_ignored() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    insert_keys(&app, 3);
    for junk in ["page=0", "page=x", "page=4294967295", "status=dead&sort=x", "q=+", "%00=%00&q=%F0%9F"] {
        let page: Html = ada.get(&format!("{INDEX}?{junk}")).await.html();
        assert!(page.texts("tbody th").len() == 3 || junk.contains("%F0"), "{junk}");
    }
    let payload = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    let page = ada.get(&format!("{INDEX}?q={payload}")).await;
    assert_eq!(page.html().attribute("#search", "value"), "\"><script>alert(1)</script>");
    assert!(!page.body.contains("<script>alert"));
}
