//! Confirming with the password or a code before what matters.

use reqwest::Method;

use super::{PAGE, count, forget_used_codes, turn_on};
use crate::{
    accounts::KEY_FORM,
    support::{Reply, TestApp, Visitor, html::Html, test_app::PASSWORD},
};

const KEYS: &str = "/settings/api-keys";

/// Moves every login and confirmation two hours into the past.
fn make_confirmations_old(app: &TestApp) {
    app.db.execute(
        "update sign_ins set created_at = (created_at at time zone 'UTC' - interval '2 hours') at time zone 'UTC', \
         confirmed_at = (confirmed_at at time zone 'UTC' - interval '2 hours') at time zone 'UTC'",
    );
}

/// Fills in the page that asks, and sends it.
async fn confirm_from(visitor: &Visitor, page: &Html, field: (&str, &str)) -> Reply {
    visitor.post_form_of(page, "/confirm", &[field]).await
}

#[track_caller]
fn assert_asks(reply: &Reply) {
    assert_eq!(reply.status, 403, "{}", reply.body);
    assert_eq!(reply.html().text("h1"), "Confirm it’s you");
}

#[actix_web::test]
async fn form_is_completed_after_the_password() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    make_confirmations_old(&app);
    let fields = [&[("clientId", client.as_str())], KEY_FORM.as_slice()].concat();

    let asked = ada.post(KEYS, &fields).await;
    assert_asks(&asked);
    assert_eq!(asked.html().texts("main label"), ["Password"]);
    assert_eq!(count(&app, "api_keys"), "0");
    let done = confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await;

    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.html().text("[data-whole-key-text]").starts_with("uptok_"));
    assert_eq!((done.header("cache-control"), done.header("content-encoding")), ("no-store", ""));
    let stored = "select name || ' ' || array_to_string(allowed_networks, ' ') || ' ' || array_to_string(scopes, ' ') \
                  as answer from api_keys";
    assert_eq!(app.db.query_text(stored), "Ware <house> & co 10.0.0.0/8 192.0.2.0/24 sessions:read");
}

#[actix_web::test]
async fn confirmation_lasts_for_an_hour() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);
    let asked = ada.post(KEYS, &[("name", "first")]).await;
    assert_eq!(confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await.status, 200);

    assert_eq!(ada.post(KEYS, &[("name", "second")]).await.status, 200);
    app.db.execute("update sign_ins set confirmed_at = now() - interval '59 minutes'");
    assert_eq!(ada.post(KEYS, &[("name", "third")]).await.status, 200);
    app.db.execute("update sign_ins set confirmed_at = now() - interval '61 minutes'");
    assert_asks(&ada.post(KEYS, &[("name", "fourth")]).await);

    assert_eq!(
        app.log_in("ada").await.post(KEYS, &[("name", "fifth")]).await.status,
        200,
        "a login confirms"
    );
}

#[actix_web::test]
async fn wrong_password_keeps_the_form() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);
    let asked = ada.post(KEYS, &[("name", "Warehouse")]).await;

    let empty = confirm_from(&ada, &asked.html(), ("password", "")).await;
    let wrong = confirm_from(&ada, &empty.html(), ("password", "not my password!")).await;

    for reply in [&empty, &wrong] {
        assert_eq!(reply.status, 422);
        assert!(!reply.html().text("#hint-password .wrong").is_empty());
        assert_eq!(reply.html().attribute("#field-password", "value"), "");
        assert!(reply.html().text(".page-head p").contains("to generate an API key."));
    }
    assert_eq!(count(&app, "api_keys"), "0");
    let done = confirm_from(&ada, &wrong.html(), ("password", PASSWORD)).await;
    assert!(done.html().text("tbody").contains("Warehouse"));
}

#[actix_web::test]
async fn code_of_the_app_or_a_recovery_code_confirms_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, codes) = turn_on(&ada).await;
    forget_used_codes(&app);
    for (number, code) in [authenticator.code(0), codes[0].clone()].into_iter().enumerate() {
        make_confirmations_old(&app);
        let name = format!("key {number}");
        let asked = ada.post(KEYS, &[("name", &name)]).await;
        assert_asks(&asked);
        assert_eq!(asked.html().texts("main label"), ["Code", "Password"]);
        assert_eq!(asked.html().texts("main details:not([open]) label"), ["Password"]);
        let done = confirm_from(&ada, &asked.html(), ("code", &code)).await;
        assert_eq!(done.status, 200, "{}", done.body);

        make_confirmations_old(&app);
        let again = confirm_from(&ada, &asked.html(), ("code", &code)).await;
        assert_eq!(again.status, 422);
        assert!(again.html().text("#hint-code .wrong").contains("wrong or was already used"));
    }
    let asked = ada.post(KEYS, &[("name", "with the password")]).await;
    let wrong = confirm_from(&ada, &asked.html(), ("password", "not my password!")).await;
    assert_eq!(wrong.html().texts("main details[open] .wrong"), ["Incorrect password."]);
    assert_eq!(confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await.status, 200);
}

#[actix_web::test]
async fn code_is_no_confirmation_without_a_second_factor() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);
    let asked = ada.post(KEYS, &[("name", "Warehouse")]).await;

    let reply = confirm_from(&ada, &asked.html(), ("code", "123456")).await;

    assert_eq!(reply.status, 422);
    assert_eq!(count(&app, "api_keys"), "0");
}

#[actix_web::test]
async fn form_that_answers_with_a_redirect_is_completed_too() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await[..18].to_owned();
    make_confirmations_old(&app);

    let asked = ada.post(&format!("{KEYS}/{key}/delete"), &[]).await;
    assert_asks(&asked);
    confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await.assert_sent_to(KEYS);

    assert!(ada.get(KEYS).await.html().text("main [role=status]").contains("deleted"));
    assert_eq!(
        app.db.query_text("select count(*)::text as answer from api_keys where deleted_at is null"),
        "0"
    );
}

#[actix_web::test]
async fn completed_form_passes_every_check_of_its_route() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let eve = app.sign_up("eve").await;
    let (client, hers) = (ada.client_id().await, eve.client_id().await);
    let post = async |action: &str, client: &str| {
        let fields =
            [("lostAction", action), ("lost:clientId", client), ("lost:name", "x"), ("password", PASSWORD)];
        ada.post("/confirm", &fields).await
    };

    assert_eq!(post(KEYS, &hers).await.status, 409, "a form of another client");
    assert_eq!(post(KEYS, "").await.status, 400, "a form without a client");
    assert_eq!(post("/nowhere", &client).await.status, 404);
    assert_eq!(post("/sessions", &client).await.status, 405, "a page without a form");
    app.db.execute("update memberships set role = 'member'");
    assert_eq!(post(KEYS, &client).await.status, 403, "a form for admins");

    assert_eq!(count(&app, "api_keys"), "0");
    for site in ["https://evil.example/", "//evil.example/"] {
        assert_eq!(post(site, &client).await.status, 303, "no form is carried");
    }
}

#[actix_web::test]
async fn confirmation_from_another_site_completes_nothing() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let fields = [
        ("lostAction", KEYS),
        ("lost:clientId", client.as_str()),
        ("lost:name", "x"),
        ("password", PASSWORD),
    ];

    let request = ada.request(Method::POST, "/confirm").header("Sec-Fetch-Site", "cross-site").form(&fields);
    let reply = Reply::read(request.send().await.unwrap()).await;

    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("came from another site"));
    assert_eq!(count(&app, "api_keys"), "0");
}

#[actix_web::test]
async fn secrets_are_not_carried() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    ada.post(&format!("{PAGE}/set-up"), &[]).await;
    make_confirmations_old(&app);

    let asked = ada.post(&format!("{PAGE}/turn-on"), &[("code", "c4n4ry")]).await;
    assert_asks(&asked);
    assert!(!asked.body.contains("c4n4ry"));
    let next = confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await;

    assert_eq!(next.status, 422, "the code is to be entered again");
    assert_eq!(next.html().texts("form.stack label"), ["Code"]);
}

#[actix_web::test]
async fn form_whose_sign_in_ends_while_it_waits_is_shown_again() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);
    let asked = ada.post(KEYS, &[("name", "Warehouse")]).await;
    app.db.execute("delete from sign_ins");

    let login = confirm_from(&ada, &asked.html(), ("password", PASSWORD)).await;

    assert_eq!(login.status, 403);
    let page = login.html();
    assert_eq!(page.text("h1"), "Log in");
    ada.log_in_from(&page).await.assert_sent_to("/login/continue");
    let page = ada.get("/login/continue").await.html();
    assert_eq!(page.attribute("main form", "action"), KEYS);
    assert_eq!(page.attribute("main [name=name]", "value"), "Warehouse");
}

#[actix_web::test]
async fn page_without_a_form_leads_on() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);

    let page = ada.get("/confirm?next=%2Fsettings%2Fusage").await.html();
    assert_eq!(page.text("h1"), "Confirm it’s you");
    assert!(page.text(".page-head p").contains("to continue."));
    confirm_from(&ada, &page, ("password", PASSWORD)).await.assert_sent_to("/settings/usage");

    assert_eq!(ada.post(KEYS, &[("name", "laptop")]).await.status, 200);
    app.visitor().get("/confirm").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn wrong_confirmations_count_against_the_throttle_of_logins() {
    let app = TestApp::start_with(&["--logins-per-minute", "1"]).await;
    let ada = app.sign_up("ada").await;
    make_confirmations_old(&app);
    for _ in 0..10 {
        let reply = ada.post("/confirm", &[("password", "not my password!")]).await;
        assert_eq!(reply.status, 422, "the browser has a device cookie");
    }

    assert_eq!(ada.post("/confirm", &[("password", PASSWORD)]).await.status, 429);
}

#[actix_web::test]
async fn confirmation_is_of_one_sign_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let other = app.log_in("ada").await;
    make_confirmations_old(&app);

    ada.post("/confirm", &[("password", PASSWORD)]).await.assert_sent_to(KEYS);

    assert_asks(&other.post(KEYS, &[("name", "laptop")]).await);
    assert_eq!(ada.post(KEYS, &[("name", "laptop")]).await.status, 200);
}
