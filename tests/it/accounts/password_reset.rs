//! Forgotten passwords: the link by mail or from the operator, and what it changes.

use reqwest::{Method, StatusCode};

use crate::support::{SmtpServer, TestApp, Visitor, smtp_server::Mail, test_app::PASSWORD};

const NEW_PASSWORD: &str = "another long password";

async fn ask_for_link(visitor: &Visitor, email: &str) -> crate::support::Reply {
    visitor.post("/password/forgot", &[("email", email)]).await
}

/// Starts a node with mail and the user Ada, who has one browser.
async fn start_with_ada() -> (SmtpServer, TestApp, Visitor) {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    (smtp, app, ada)
}

async fn log_in(app: &TestApp, password: &str) -> StatusCode {
    app.visitor().post("/login", &[("email", "ada@example.org"), ("password", password)]).await.status
}

fn assert_is_about_password(mail: &Mail) {
    assert_eq!(mail.text("subject"), "Your Uptok password was changed");
    assert_eq!(mail.recipients(), "ada@example.org");
}

#[actix_web::test]
async fn mailed_link_sets_the_password_once_and_ends_every_sign_in() {
    let (smtp, app, ada) = start_with_ada().await;

    let asked = ask_for_link(&app.visitor(), "Ada@Example.org").await;
    let mail = smtp.next().await;
    let link = mail.link(&app.url);
    let visitor = app.visitor();
    // Programs that scan mail follow its links, so opening one changes nothing.
    for _ in 0..3 {
        assert_eq!(visitor.get(&link).await.status, 200);
    }
    assert_eq!(ada.get("/sessions").await.status, 200);
    let too_short = visitor.post(&link, &[("newPassword", "short")]).await;
    let set = visitor.post(&link, &[("newPassword", NEW_PASSWORD)]).await;

    assert_eq!((asked.status.as_u16(), mail.recipients().as_str()), (200, "ada@example.org"));
    assert_eq!((too_short.status.as_u16(), set.status.as_u16()), (422, 200));
    ada.get("/sessions").await.assert_sent_to("/login");
    assert_is_about_password(&smtp.next().await);
    assert_eq!(
        (log_in(&app, PASSWORD).await.as_u16(), log_in(&app, NEW_PASSWORD).await.as_u16()),
        (422, 303)
    );
    for reply in [visitor.get(&link).await, visitor.post(&link, &[("newPassword", PASSWORD)]).await] {
        assert_eq!(reply.status, 404);
        assert!(reply.body.contains("<h1>This link does not work</h1>"), "{}", reply.body);
        assert_eq!(reply.html().texts("main [href='/password/forgot']"), ["Get a new link"]);
    }
}

#[actix_web::test]
async fn links_that_do_not_work_get_one_answer() {
    let (smtp, app, _ada) = start_with_ada().await;
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let link = smtp.next().await.link(&app.url);
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let expired = smtp.next().await.link(&app.url);
    app.db.execute(
        "update account_links set expires_at = now() where created_at = (select max(created_at) from account_links)",
    );

    let visitor = app.visitor();
    let mut bodies = Vec::new();
    for path in [
        expired.as_str(),
        &link[..link.len() - 1],
        &format!("{link}a"),
        &link.to_lowercase(),
        "/password/reset/x",
    ] {
        for reply in [visitor.get(path).await, visitor.post(path, &[("newPassword", NEW_PASSWORD)]).await] {
            assert_eq!(reply.status, 404, "{path}");
            bodies.push(reply.body.replace(reply.header("x-request-id"), ""));
        }
    }

    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:#?}");
    assert_eq!(visitor.get(&link).await.status, 200, "the other one still works");
    app.db.execute("update users set disabled_at = now()");
    assert_eq!(visitor.get(&link).await.status, 404, "not for a disabled user");
}

#[actix_web::test]
async fn of_two_uses_at_the_same_time_one_sets_the_password() {
    let (smtp, app, _ada) = start_with_ada().await;
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let link = smtp.next().await.link(&app.url);

    let uses = (0..4).map(|index| {
        let (visitor, link) = (app.visitor(), link.clone());
        async move {
            let password = format!("a new password, number {index}");
            visitor.post(&link, &[("newPassword", &password)]).await.status.as_u16()
        }
    });
    let mut statuses = futures_util::future::join_all(uses).await;

    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404, 404, 404]);
}

#[actix_web::test]
async fn known_and_unknown_addresses_get_the_same_answer() {
    let (smtp, app, _ada) = start_with_ada().await;

    let known = ask_for_link(&app.visitor(), "ada@example.org").await;
    let unknown = ask_for_link(&app.visitor(), "eve@example.org").await;

    assert_eq!((known.status.as_u16(), unknown.status.as_u16()), (200, 200));
    assert_eq!(known.body.replace("ada@", ""), unknown.body.replace("eve@", ""));
    assert_eq!(smtp.next().await.recipients(), "ada@example.org");
    assert_eq!(app.db.query_text("select count(*)::text as answer from outbox"), "1");
}

#[actix_web::test]
async fn malformed_addresses_are_explained_and_get_no_mail() {
    let (_smtp, app, _ada) = start_with_ada().await;
    for email in
        ["", "ada", "ada@example.org\r\nBcc: eve@example.org", &format!("{}@example.org", "a".repeat(310))]
    {
        let reply = ask_for_link(&app.visitor(), email).await;

        assert_eq!(reply.status, 422, "{email:?}");
        assert!(!reply.html().text("#hint-email .wrong").is_empty());
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from outbox"), "0");
}

#[actix_web::test]
async fn nobody_can_fill_a_mailbox() {
    let (_smtp, app, _ada) = start_with_ada().await;
    for _ in 0..8 {
        assert_eq!(ask_for_link(&app.visitor(), "ada@example.org").await.status, 200);
    }
    let enough = "select count(*)::text as answer from account_links";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while app.db.query_text(enough) != "5" {
        assert!(std::time::Instant::now() < deadline, "{}", app.db.query_text(enough));
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    ask_for_link(&app.visitor(), "ada@example.org").await;
    assert_eq!(app.db.query_text(enough), "5");
}

#[actix_web::test]
async fn token_is_stored_nowhere_and_its_page_sends_no_referrer() {
    let (smtp, app, _ada) = start_with_ada().await;
    app.db.execute("create table kept as table outbox with no data");
    app.db.execute("create rule keep as on insert to outbox do also insert into kept values (new.*)");
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let link = smtp.next().await.link(&app.url);
    let token = link.rsplit('/').next().unwrap();

    for table in ["outbox", "kept", "account_links", "audit_log"] {
        let dump = format!("select coalesce(string_agg(t::text, ''), '') as answer from {table} t");
        assert!(!app.db.query_text(&dump).contains(token), "{table}");
        let hex = uptok::web::format::hex(token.as_bytes());
        assert!(!app.db.query_text(&dump).contains(&hex), "{table}");
    }
    for path in [link.as_str(), "/password/reset/unknown", "/email/confirm/unknown", "/invitations/unknown"] {
        assert_eq!(app.visitor().get(path).await.header("referrer-policy"), "no-referrer", "{path}");
    }
    assert_eq!(app.visitor().get("/login").await.header("referrer-policy"), "same-origin");
}

#[actix_web::test]
async fn browsers_without_fetch_metadata_can_use_a_link() {
    let (smtp, app, _ada) = start_with_ada().await;
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let link = smtp.next().await.link(&app.url);
    let post = |origin: &'static str| {
        let form = [("newPassword", NEW_PASSWORD)];
        app.visitor().request(Method::POST, &link).header("Origin", origin).form(&form).send()
    };

    assert_eq!(post("https://evil.example").await.unwrap().status(), 403);
    assert_eq!(post("null").await.unwrap().status(), 200, "no-referrer makes them send null");
}

#[actix_web::test]
async fn without_mail_the_page_says_who_can_help() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;

    let page = app.visitor().get("/password/forgot").await;
    let sent = ask_for_link(&app.visitor(), "ada@example.org").await;

    for reply in [page, sent] {
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("uptok user reset-link --email"), "{}", reply.body);
        assert_eq!(reply.html().texts("form.stack").len(), 0);
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from account_links"), "0");
}

#[actix_web::test]
async fn password_reset_is_in_the_audit_log() {
    let (smtp, app, _ada) = start_with_ada().await;
    ask_for_link(&app.visitor(), "ada@example.org").await;
    let link = smtp.next().await.link(&app.url);
    app.visitor().post(&link, &[("newPassword", NEW_PASSWORD)]).await;

    let records = app.db.query_text(
        "select string_agg(act || ' by ' || actor_kind || ' ' || details, E'\n' order by sequence) as answer from audit_log",
    );

    let last: Vec<&str> = records.lines().skip(2).collect();
    let expected = [
        "reset_link.created by visitor {}",
        r#"member.changed by user {"by":"reset link","changed":"password"}"#,
        r#"sign_in.ended by user {"count":"1"}"#,
    ];
    assert_eq!(last, expected);
}
