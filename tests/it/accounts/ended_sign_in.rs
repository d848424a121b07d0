//! Users whose sign-in ends while they work lose nothing.

use reqwest::Method;

use super::KEY_FORM;
use crate::support::{Reply, TestApp, test_app::PASSWORD};

/// Ends all sign-ins, as 12 idle hours do.
fn end_sign_ins(app: &TestApp) {
    app.db.execute("delete from sign_ins");
}

#[actix_web::test]
async fn login_leads_to_the_page_that_was_wanted_with_a_note() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    end_sign_ins(&app);

    let sent = ada.get("/sessions?status=missed&q=a%20b").await;
    assert_eq!(sent.header("location"), "/login?next=%2Fsessions%3Fstatus%3Dmissed%26q%3Da%2520b");
    let login = ada.get(sent.header("location")).await;
    assert!(login.html().text("[role=status]").contains("You were logged out."));
    ada.log_in_from(&login.html()).await.assert_sent_to("/sessions?status=missed&q=a%20b");

    let page = ada.get("/sessions?status=missed&q=a%20b").await.html();
    assert!(page.text("main > .notice[role=status]").contains("You had been logged out"));
}

#[actix_web::test]
async fn visitors_who_were_never_logged_in_get_no_note() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    let visitor = app.visitor();

    let login = visitor.get("/login?next=%2Fsettings%2Fusage").await;
    assert_eq!(login.html().texts("[role=status]").len(), 0);
    visitor.log_in_from(&login.html()).await.assert_sent_to("/settings/usage");

    assert_eq!(visitor.get("/settings/usage").await.html().texts("main > [role=status]").len(), 0);
}

#[actix_web::test]
async fn login_leads_to_no_other_site() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for next in
        ["//evil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example", "%2F%09%2Fevil.example", "x"]
    {
        ada.get(&format!("/login?next={next}")).await.assert_sent_to("/settings/api-keys");
        let visitor = app.visitor();
        let login = visitor.get(&format!("/login?next={next}")).await;
        visitor.log_in_from(&login.html()).await.assert_sent_to("/settings/api-keys");
    }
}

#[actix_web::test]
async fn login_leads_only_to_pages_that_answer_get() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for next in
        ["/logout", "/theme", "/clients/active", "/api/keys/revoke", "/nothing", "/settings/api-keys/delete"]
    {
        let visitor = app.visitor();
        let login = visitor.get(&format!("/login?next={next}")).await;
        let sent = visitor.log_in_from(&login.html()).await;
        let posted = [("next", next), ("email", "ada@example.org"), ("password", PASSWORD)];
        for sent in
            [sent, app.visitor().post("/login", &posted).await, ada.get(&format!("/login?next={next}")).await]
        {
            assert_eq!(sent.status, 303, "{next}");
            let page = ada.get(sent.header("location")).await.status.as_u16();
            assert!([200, 303].contains(&page), "{next} leads to {page}");
        }
    }
}

#[actix_web::test]
async fn wrong_password_keeps_the_page_that_was_wanted() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    let visitor = app.visitor();

    let fields =
        [("next", "/settings/usage"), ("email", "ada@example.org"), ("password", "not my password!")];
    let refused = visitor.post("/login", &fields).await;

    assert_eq!(refused.status, 422);
    visitor.log_in_from(&refused.html()).await.assert_sent_to("/settings/usage");
}

#[actix_web::test]
async fn submitted_form_is_shown_again_filled_in_and_can_be_sent() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    end_sign_ins(&app);
    let fields = [&[("clientId", client.as_str())], KEY_FORM.as_slice()].concat();

    let login = ada.post("/settings/api-keys", &fields).await;
    assert_eq!(login.status, 403);
    assert!(login.html().text("[role=status]").contains("You were logged out."));
    ada.log_in_from(&login.html()).await.assert_sent_to("/login/continue");
    let page = ada.get("/login/continue").await;
    let html = page.html();

    assert!(html.text("main [role=status]").contains("You had been logged out"), "{}", page.body);
    assert_eq!(html.attribute("main form", "action"), "/settings/api-keys");
    assert_eq!(html.attribute("main [name=name]", "value"), "Ware <house> & co");
    assert_eq!(html.text("main textarea"), "10.0.0.0/8 192.0.2.0/24");
    assert_eq!(html.attribute("main [name='sessions:read']", "type"), "checkbox");
    assert_eq!(html.attribute("main [name=clientId]", "value"), client);
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
    assert_eq!(ada.post("/settings/api-keys", &fields).await.status, 200, "it can be sent now");
    ada.get("/login/continue").await.assert_sent_to("/settings/api-keys");
}

#[actix_web::test]
async fn secrets_of_a_lost_form_are_not_shown_again() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    end_sign_ins(&app);

    let fields = [
        ("name", "Ada King"),
        ("currentPassword", "c4n4ry, the old one"),
        ("newPassword", "c4n4ry, the new one"),
    ];
    let login = ada.post("/account", &fields).await;
    ada.log_in_from(&login.html()).await.assert_sent_to("/login/continue");
    let stored = app.db.query_text("select lost_form as answer from sign_ins");
    let page = ada.get("/login/continue").await;

    assert!(stored.contains("Ada King"));
    for text in [&login.body, &stored, &page.body] {
        assert!(!text.contains("c4n4ry"), "{text}");
    }
    assert_eq!(app.db.query_text("select coalesce(lost_form, 'none') as answer from sign_ins"), "none");
}

#[actix_web::test]
async fn form_without_anything_to_fill_in_leads_back_to_its_page() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await[..18].to_owned();
    let client = ada.client_id().await;
    end_sign_ins(&app);

    let path = format!("/settings/api-keys/{key}/delete");
    let request = ada.request(Method::POST, &path).header("Sec-Fetch-Site", "same-origin");
    let request = request.header("Referer", format!("{}{path}", app.url)).form(&[("clientId", &client)]);
    let login = Reply::read(request.send().await.unwrap()).await;
    ada.log_in_from(&login.html()).await.assert_sent_to(&path);

    assert_eq!(
        app.db.query_text("select count(*)::text as answer from api_keys where deleted_at is null"),
        "1"
    );
}

#[actix_web::test]
async fn lost_form_of_another_client_is_not_carried_out() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let eve = app.sign_up("eve").await;
    let hers = eve.client_id().await;
    end_sign_ins(&app);

    let login = ada.post("/settings/api-keys", &[("clientId", hers.as_str()), ("name", "laptop")]).await;
    ada.log_in_from(&login.html()).await.assert_sent_to("/login/continue");
    let page = ada.get("/login/continue").await.html();
    let client = page.attribute("main [name=clientId]", "value");

    assert_eq!(client, hers);
    assert_eq!(
        ada.post("/settings/api-keys", &[("clientId", &client), ("name", "laptop")]).await.status,
        409
    );
}
