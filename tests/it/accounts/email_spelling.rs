//! Email addresses with several spellings, and those that no mail server accepts.

use crate::support::{Reply, TestApp, test_app::PASSWORD};

const UNICODE: &str = "bea@bücher.example";
const ASCII: &str = "bea@xn--bcher-kva.example";

async fn register(app: &TestApp, email: &str) -> Reply {
    let fields = [("name", "Bea"), ("company", "Books"), ("email", email), ("password", PASSWORD)];
    app.visitor().post("/register", &fields).await
}

async fn log_in(app: &TestApp, email: &str) -> Reply {
    app.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await
}

fn list_emails(app: &TestApp) -> String {
    app.db.query_text("select string_agg(email, ' ' order by email) as answer from users")
}

#[actix_web::test]
async fn both_spellings_of_a_domain_are_one_account() {
    for (first, second) in [(UNICODE, ASCII), (ASCII, UNICODE)] {
        let app = TestApp::start().await;
        register(&app, first).await.assert_sent_to("/settings/api-keys");

        let again = register(&app, second).await;

        assert_eq!(again.status, 422);
        assert!(again.body.contains("already has an account"), "{}", again.body);
        assert_eq!(list_emails(&app), UNICODE);
        for email in [first, second, "BEA@XN--BCHER-KVA.example"] {
            log_in(&app, email).await.assert_sent_to("/settings/api-keys");
        }
    }
}

#[actix_web::test]
async fn account_stored_with_the_ascii_spelling_stays_reachable_and_unique() {
    let app = TestApp::start().await;
    register(&app, UNICODE).await.assert_sent_to("/settings/api-keys");
    app.db.execute(&format!("update users set email = '{ASCII}'"));

    for email in [UNICODE, ASCII] {
        log_in(&app, email).await.assert_sent_to("/settings/api-keys");
        assert_eq!(register(&app, email).await.status, 422);
    }

    assert_eq!(list_emails(&app), ASCII, "a refused form changes nothing");
}

#[actix_web::test]
async fn address_that_no_mail_server_accepts_is_refused_but_keeps_its_account() {
    let app = TestApp::start().await;
    for email in ["bea..k@example.org", "bea@example..org", "bea@-example.org", "bea@xn--0.example"] {
        let reply = register(&app, email).await;
        assert_eq!(reply.status, 422, "{email}");
        assert!(reply.html().text("#hint-email").contains("Mail cannot be sent to this address"), "{email}");
    }
    let bea = app.sign_up("bea").await;
    app.db.execute("update users set email = 'bea..k@example.org'");

    log_in(&app, "bea..k@example.org").await.assert_sent_to("/settings/api-keys");
    let renamed = bea.post("/account", &[("name", "Bea K."), ("email", "bea..k@example.org")]).await;

    assert_eq!(renamed.status, 303, "{}", renamed.body);
}
