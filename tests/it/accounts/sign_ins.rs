//! The list of a user's sign-ins, and mail about new devices.

use reqwest::Method;

use crate::support::{Reply, SmtpServer, TestApp, Visitor, test_app::PASSWORD};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// Logs Ada in with this browser.
async fn log_in_with(visitor: &Visitor, user_agent: &str) -> Reply {
    let request = visitor
        .request(Method::POST, "/login")
        .header("Sec-Fetch-Site", "same-origin")
        .header("User-Agent", user_agent)
        .form(&[("email", "ada@example.org"), ("password", PASSWORD)]);
    Reply::read(request.send().await.unwrap()).await
}

async fn devices(visitor: &Visitor) -> Vec<String> {
    visitor.get("/account/sign-ins").await.html().texts("tbody th bdi")
}

#[actix_web::test]
async fn sign_ins_are_listed_and_ended_one_by_one_or_together() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (firefox, curl) = (app.visitor(), app.visitor());
    log_in_with(&firefox, FIREFOX).await.assert_sent_to("/settings/api-keys");
    log_in_with(&curl, "curl/8.5.0").await.assert_sent_to("/settings/api-keys");

    let page = firefox.get("/account/sign-ins").await.html();
    assert_eq!(page.texts("thead th"), ["Device", "Address", "First seen", "Last seen", "Action"]);
    assert_eq!(page.texts("tbody th")[0], "Firefox on Linux This device", "this device is the first");
    assert_eq!(page.texts("main [action='/account/sign-ins/end-others'] button"), ["End all others"]);
    assert_eq!(page.cell("Firefox on Linux This device", "Action"), "Log out");
    assert_eq!(page.cell("curl", "Address"), "127.0.0.1");
    assert_eq!(page.cell("curl", "First seen"), "just now");
    let end = page.attribute("[name=signIn]", "value");
    firefox.post("/account/sign-ins/end", &[("signIn", &end)]).await.assert_sent_to("/account/sign-ins");
    assert_eq!(devices(&firefox).await.len(), 2);
    firefox.post("/account/sign-ins/end-others", &[]).await.assert_sent_to("/account/sign-ins");

    assert_eq!(devices(&firefox).await, ["Firefox on Linux"]);
    let alone = firefox.get("/account/sign-ins").await.html();
    assert!(alone.text(".page-head").contains("on this device only"));
    assert_eq!(alone.texts("main [action='/account/sign-ins/end-others']"), [""; 0]);
    for ended in [&ada, &curl] {
        ended.get("/sessions").await.assert_sent_to("/login");
    }
    let acts =
        "select string_agg(act, ' ' order by sequence) as answer from audit_log where act = 'sign_in.ended'";
    assert_eq!(app.db.query_text(acts), "sign_in.ended sign_in.ended");
}

#[actix_web::test]
async fn ending_this_device_logs_out() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let own = app.db.query_text("select encode(id_hash, 'hex') as answer from sign_ins");

    ada.post("/account/sign-ins/end", &[("signIn", &own)]).await.assert_sent_to("/login");

    assert_eq!(app.db.query_text("select count(*)::text as answer from sign_ins"), "0");
}

#[actix_web::test]
async fn nobody_ends_the_sign_in_of_another_user() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let hers = app.db.query_text("select encode(id_hash, 'hex') as answer from sign_ins");
    let eve = app.sign_up("eve").await;

    eve.post("/account/sign-ins/end", &[("signIn", &hers)]).await.assert_sent_to("/account/sign-ins");
    for wrong in ["", "00", "x"] {
        assert_eq!(eve.post("/account/sign-ins/end", &[("signIn", wrong)]).await.status, 404);
    }
    eve.post("/account/sign-ins/end-others", &[]).await;

    assert_eq!(ada.get("/sessions").await.status, 200);
    assert_eq!(devices(&ada).await.len(), 1);
}

#[actix_web::test]
async fn sign_ins_from_before_the_upgrade_stay_and_are_listed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.execute("update sign_ins set address = null, user_agent = null");

    let page = ada.get("/account/sign-ins").await.html();

    assert_eq!(page.cell("Unknown device This device", "Address"), "–");
}

#[actix_web::test]
async fn only_a_new_device_is_reported_by_mail() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;
    let firefox = app.visitor();

    log_in_with(&firefox, FIREFOX).await.assert_sent_to("/settings/api-keys");
    let mail = smtp.next().await;
    firefox.post("/logout", &[]).await;
    log_in_with(&firefox, FIREFOX).await.assert_sent_to("/settings/api-keys");

    assert_eq!(mail.recipients(), "ada@example.org");
    assert!(mail.text("text").contains("Firefox on Linux logged in"), "{}", mail.text("text"));
    assert!(mail.text("text").contains("127.0.0.1"));
    assert_eq!(mail.link(&app.url), "/account/sign-ins");
    assert_eq!(app.db.query_text("select count(*)::text as answer from outbox"), "1");
}
