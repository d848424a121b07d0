//! A browser that has logged in before is not locked out by wrong passwords of strangers.

use reqwest::{Method, header::COOKIE};
use uptok::accounts::{NewPassword, PasswordHasher, set_password};

use crate::support::{Reply, TestApp, Visitor, test_app::PASSWORD};

const WRONG: &str = "not my password!";
const NEW_PASSWORD: &str = "another long password";

/// Starts a node behind a proxy, so that a test chooses the address of each attempt. One attempt per minute makes sure
/// that no allowance is refilled during a test.
async fn start() -> TestApp {
    TestApp::start_with(&["--logins-per-minute", "1", "--trusted-proxies", "127.0.0.1"]).await
}

/// Posts a form from an address. `cookie` is a `Cookie` header for visitors without that cookie.
async fn post_from(
    visitor: &Visitor,
    address: &str,
    path: &str,
    fields: &[(&str, &str)],
    cookie: Option<&str>,
) -> Reply {
    let request = visitor
        .request(Method::POST, path)
        .header("Sec-Fetch-Site", "same-origin")
        .header("X-Forwarded-For", address)
        .form(fields);
    let request = cookie.into_iter().fold(request, |request, cookie| request.header(COOKIE, cookie));
    Reply::read(request.send().await.unwrap()).await
}

/// Logs in with a cookie jar.
async fn log_in(visitor: &Visitor, address: &str, name: &str, password: &str) -> Reply {
    let email = format!("{name}@example.org");
    post_from(visitor, address, "/login", &[("email", &email), ("password", password)], None).await
}

/// Logs in with a new browser that has only this device cookie.
async fn log_in_with(app: &TestApp, cookie: &str, address: &str, name: &str, password: &str) -> Reply {
    let email = format!("{name}@example.org");
    let fields = [("email", email.as_str()), ("password", password)];
    post_from(&app.visitor(), address, "/login", &fields, Some(cookie)).await
}

/// Sends wrong passwords for an account from as many addresses, and checks that strangers are then refused, even with
/// the right password.
async fn lock_out_strangers(app: &TestApp, name: &str, attempts: usize) {
    let attacker = app.visitor();
    for index in 0..attempts {
        let reply = log_in(&attacker, &format!("198.51.100.{index}"), name, WRONG).await;
        assert!([422, 429].contains(&reply.status.as_u16()), "{}", reply.status);
    }
    assert_eq!(log_in(&app.visitor(), "203.0.113.1", name, PASSWORD).await.status, 429);
}

/// The `name=value` of the device cookie that a response sets.
fn device_cookie(reply: &Reply) -> String {
    reply.set_cookie("uptok_device").split(';').next().unwrap().to_owned()
}

/// Registers `name` and returns the browser and its device cookie.
async fn register(app: &TestApp, name: &str) -> (Visitor, String) {
    let visitor = app.visitor();
    let email = format!("{name}@example.org");
    let address = format!("192.0.2.{}", name.as_bytes()[0]);
    let fields = [("name", name), ("company", name), ("email", &email), ("password", PASSWORD)];
    let reply = post_from(&visitor, &address, "/register", &fields, None).await;
    reply.assert_sent_to("/settings/api-keys");
    (visitor, device_cookie(&reply))
}

#[actix_web::test]
async fn browser_that_logged_in_before_logs_in_during_an_attack() {
    let app = start().await;
    let (registered, _) = register(&app, "ada").await;
    let logged_in = app.visitor();
    log_in(&logged_in, "192.0.2.1", "ada", PASSWORD).await.assert_sent_to("/settings/api-keys");
    for browser in [&registered, &logged_in] {
        browser.post("/logout", &[]).await.assert_sent_to("/login");
    }

    lock_out_strangers(&app, "ada", 200).await;

    for browser in [&registered, &logged_in] {
        log_in(browser, "203.0.113.2", "ada", PASSWORD).await.assert_sent_to("/settings/api-keys");
        assert_eq!(browser.get("/sessions").await.status, 200);
    }
}

#[actix_web::test]
async fn browser_that_logged_in_before_logs_in_from_the_address_of_an_attacker() {
    let app = start().await;
    let (ada, _) = register(&app, "ada").await;
    assert_eq!(log_in(&app.visitor(), "203.0.113.2", "nobody", WRONG).await.status, 422);
    assert_eq!(log_in(&app.visitor(), "203.0.113.2", "somebody", WRONG).await.status, 429);

    assert_eq!(log_in(&ada, "203.0.113.2", "ada", PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn wrong_passwords_of_a_known_browser_use_up_its_own_allowance_only() {
    let app = start().await;
    let (ada, cookie) = register(&app, "ada").await;

    for _ in 0..10 {
        let reply = log_in(&ada, "203.0.113.2", "ada", WRONG).await;
        assert_eq!(reply.status, 422);
        assert_eq!(reply.headers.get("set-cookie"), None);
    }

    // They counted neither for the address nor for the account: a stranger at the same address has an attempt.
    assert_eq!(log_in(&app.visitor(), "203.0.113.2", "ada", WRONG).await.status, 422);
    // The cookie is no longer trusted.
    assert_eq!(log_in(&ada, "203.0.113.3", "ada", PASSWORD).await.status, 429);
    assert_eq!(log_in_with(&app, &cookie, "203.0.113.4", "ada", PASSWORD).await.status, 429);
}

#[actix_web::test]
async fn successful_logins_do_not_use_up_the_allowance() {
    let app = start().await;
    let (ada, first_cookie) = register(&app, "ada").await;
    lock_out_strangers(&app, "ada", 2).await;

    for round in 0..12 {
        let reply = log_in(&ada, "203.0.113.2", "ada", PASSWORD).await;
        assert_eq!(reply.status, 303, "login {round}");
        assert_ne!(device_cookie(&reply), first_cookie);
        let again = log_in_with(&app, &first_cookie, "203.0.113.2", "ada", PASSWORD).await;
        assert_eq!(again.status, 303, "login {round} with the first cookie");
    }
}

#[actix_web::test]
async fn attempts_at_the_same_time_do_not_exceed_the_allowance() {
    let app = start().await;
    let (ada, _) = register(&app, "ada").await;
    lock_out_strangers(&app, "ada", 2).await;

    let attempts = (0..16).map(|_| log_in(&ada, "203.0.113.2", "ada", WRONG));
    let replies = futures_util::future::join_all(attempts).await;

    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    let verified = statuses.iter().filter(|status| **status == 422).count();
    assert!((1..=10).contains(&verified), "{statuses:?}");
}

#[actix_web::test]
async fn cookie_that_is_forged_or_of_another_account_is_worth_nothing() {
    let app = start().await;
    let (ada, cookie) = register(&app, "ada").await;
    let (_, of_eve) = register(&app, "eve").await;
    // The same secret and email address, but another user.
    let (_, of_another_database) = register(&start().await, "ada").await;
    let entry = cookie.split_once('=').unwrap().1;
    let parts: Vec<&str> = entry.split('.').collect();
    let [day, nonce, password_tag, tag] = parts[..] else { panic!("{entry}") };
    lock_out_strangers(&app, "ada", 2).await;

    let forged = [
        of_eve.clone(),
        of_another_database,
        "uptok_device=".to_owned(),
        format!("uptok_device={}", &entry[..entry.len() - 1]),
        format!("uptok_device={}", entry.to_uppercase()),
        format!("uptok_device=99999.{nonce}.{password_tag}.{tag}"),
        format!("uptok_device={day}.{}.{password_tag}.{tag}", "n".repeat(22)),
        format!("uptok_device={day}.{nonce}.{tag}.{password_tag}"),
        format!("uptok_device={day}.{nonce}.{}.{tag}", "0".repeat(32)),
        format!("uptok_device={day}.{nonce}.{password_tag}.{}", "0".repeat(32)),
        // Only five entries are read.
        format!("uptok_device={}{entry}", "x-".repeat(5)),
        cookie.replace("uptok_device", "__Host-uptok_device"),
        format!("uptok_device=%0d%0aSet-Cookie: a=b; {of_eve}"),
    ];
    for (index, forged) in forged.iter().enumerate() {
        let address = format!("203.0.113.{}", index + 10);
        let reply = log_in_with(&app, forged, &address, "ada", PASSWORD).await;
        assert_eq!(reply.status, 429, "{forged}");
    }
    assert_eq!(log_in(&ada, "203.0.113.2", "ada", PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn cookie_signs_nobody_in() {
    let app = start().await;
    let (_, cookie) = register(&app, "ada").await;

    let page = app.visitor().request(Method::GET, "/sessions").header(COOKIE, &cookie).send().await.unwrap();
    let wrong = log_in_with(&app, &cookie, "203.0.113.2", "ada", WRONG).await;

    assert_eq!(page.status(), 303);
    assert_eq!(wrong.status, 422);
}

#[actix_web::test]
async fn new_password_ends_the_cookie() {
    let app = start().await;
    let (ada, _) = register(&app, "ada").await;
    let new = NewPassword::parse(NEW_PASSWORD, &[]).unwrap();
    let hash = PasswordHasher::hash_now(&new).unwrap();
    let email = "ada@example.org".parse().unwrap();

    set_password(&mut app.db.connect(), &TestApp::audit_context(), &email, &hash).unwrap();

    lock_out_strangers(&app, "ada", 2).await;
    assert_eq!(log_in(&ada, "203.0.113.2", "ada", NEW_PASSWORD).await.status, 429);
    assert_eq!(log_in(&ada, "203.0.113.3", "ada", PASSWORD).await.status, 429);
    // Another node, as if a minute had passed.
    app.db.execute("delete from attempt_rate_limits");
    let node = app.start_second_node().await;
    assert_eq!(log_in(&node.visitor(), "", "ada", NEW_PASSWORD).await.status, 303);
}

#[actix_web::test]
async fn every_node_recognizes_the_browser() {
    let app = start().await;
    let (_, cookie) = register(&app, "ada").await;
    let limits = ["--logins-per-minute", "1", "--trusted-proxies", "127.0.0.1"];
    let node = app.start_second_node_with(&limits).await;
    lock_out_strangers(&node, "ada", 2).await;

    let reply = log_in_with(&node, &cookie, "203.0.113.2", "ada", PASSWORD).await;

    assert_eq!(reply.status, 303);
}

#[actix_web::test]
async fn one_browser_is_known_to_several_accounts() {
    let app = start().await;
    let (browser, _) = register(&app, "ada").await;
    register(&app, "eve").await;
    log_in(&browser, "203.0.113.2", "eve", PASSWORD).await.assert_sent_to("/settings/api-keys");
    lock_out_strangers(&app, "ada", 2).await;
    lock_out_strangers(&app, "eve", 2).await;

    for name in ["eve", "ada", "eve"] {
        assert_eq!(log_in(&browser, "203.0.113.2", name, PASSWORD).await.status, 303, "{name}");
    }
}

/// The cookie must not help to find out which email addresses have an account.
#[actix_web::test]
async fn wrong_password_and_unknown_email_get_the_same_answer_with_a_cookie() {
    let app = start().await;
    let (_, cookie) = register(&app, "ada").await;
    register(&app, "eve").await;
    let read = async |address: &str, name: &str| {
        let reply = log_in_with(&app, &cookie, address, name, WRONG).await;
        assert_eq!(reply.headers.get("set-cookie"), None);
        (reply.status, reply.body.replace(&format!("{name}@"), ""))
    };

    let unknown = read("203.0.113.2", "nobody").await;

    assert_eq!(unknown.0, 422);
    assert_eq!(read("203.0.113.3", "ada").await, unknown);
    assert_eq!(read("203.0.113.4", "eve").await, unknown);
}

#[actix_web::test]
async fn cookie_is_http_only_same_site_and_secure_over_https() {
    let app = start().await;
    let (ada, cookie) = register(&app, "ada").await;
    let reply = log_in(&ada, "203.0.113.2", "ada", PASSWORD).await;
    let set = reply.set_cookie("uptok_device");

    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=31536000"] {
        assert!(set.contains(word), "{set}");
    }
    assert!(!set.contains("Domain") && !set.contains("Secure"), "{set}");
    assert!(!cookie.contains("example") && cookie.len() < 120, "{cookie}");
    let removed = ada.post("/logout", &[]).await.headers;
    assert!(removed.get_all("set-cookie").iter().all(|it| !it.to_str().unwrap().contains("device")));
    let secure = TestApp::start_with(&["--public-url", "https://keys.example.org"]).await;
    let fields = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let reply = secure.visitor().post("/register", &fields).await;
    assert!(reply.set_cookie("__Host-uptok_device").contains("Secure"));
}
