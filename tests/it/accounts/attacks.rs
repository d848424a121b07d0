//! What someone tries who knows how accounts work.

use futures_util::future::join;
use reqwest::Method;
use uptok::accounts;

use super::second_factor::{PAGE, turn_on};
use crate::support::{Reply, SmtpServer, TestApp, Visitor, test_app::PASSWORD};

const NEW_PASSWORD: &str = "another long password";

fn count_owners(app: &TestApp, client: &str) -> String {
    app.db.query_text(&format!(
        "select count(*)::text as answer from memberships join users using (user_id) \
         where client_id = '{client}' and role = 'owner' and disabled_at is null"
    ))
}

fn user_id(app: &TestApp, name: &str) -> String {
    app.db.query_text(&format!("select user_id::text as answer from users where name = '{name}'"))
}

/// Ada and Eve own the same client, and work there.
async fn start_with_two_owners() -> (TestApp, [Visitor; 2], String) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    app.sign_up("eve").await;
    app.db.execute("delete from memberships where role = 'owner' and user_id = (select user_id from users where name = 'eve')");
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) select '{client}', user_id, 'owner' from users where name = 'eve'"
    ));
    let eve = app.log_in("eve").await;
    (app, [ada, eve], client)
}

#[actix_web::test]
async fn two_owners_who_demote_each_other_at_once_leave_an_owner() {
    for _ in 0..5 {
        let (app, [ada, eve], client) = start_with_two_owners().await;
        let path = |name| format!("/settings/members/{}/role", user_id(&app, name));
        let (of_eve, of_ada) = (path("eve"), path("ada"));
        let demotion = [("clientId", client.as_str()), ("role", "member")];

        let (one, two) = join(ada.post(&of_eve, &demotion), eve.post(&of_ada, &demotion)).await;

        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 403], "the second one is no owner any more");
        assert_eq!(count_owners(&app, &client), "1");
    }
}

#[actix_web::test]
async fn owner_who_leaves_while_the_other_is_disabled_leaves_an_owner() {
    for _ in 0..5 {
        let (app, [ada, _eve], client) = start_with_two_owners().await;
        let (email, context) = ("eve@example.org".parse().unwrap(), TestApp::audit_context());
        let mut connection = app.db.connect();
        let disable = std::thread::spawn(move || {
            accounts::set_enabled(&mut connection, &context, &email, false).is_ok()
        });

        let left = ada.post("/settings/members/leave", &[("clientId", &client)]).await;

        let was_disabled = disable.join().unwrap();
        assert_ne!(left.status == 303, was_disabled, "{}", left.status);
        assert_eq!(count_owners(&app, &client), "1");
    }
}

#[actix_web::test]
async fn admin_who_is_demoted_changes_nothing_with_a_page_that_is_still_open() {
    let (app, [ada, eve], client) = start_with_two_owners().await;
    app.db.execute("update memberships set role = 'admin' where user_id = (select user_id from users where name = 'eve')");
    let key = ada.generate("laptop").await;
    let page = eve.get("/settings/members").await;
    assert!(page.html().texts("main button").contains(&"Invite".to_owned()));
    app.db.execute("update memberships set role = 'member' where user_id = (select user_id from users where name = 'eve')");
    let before = app.db.query_text("select count(*)::text as answer from audit_log");

    for (path, fields) in [
        ("/settings/members".to_owned(), [("email", "x@example.org"), ("role", "admin")]),
        (format!("/settings/members/{}/role", user_id(&app, "ada")), [("role", "member"), ("x", "")]),
        (format!("/settings/members/{}/remove", user_id(&app, "ada")), [("x", ""), ("y", "")]),
        (format!("/settings/api-keys/{}/delete", &key[..18]), [("x", ""), ("y", "")]),
    ] {
        let fields = [fields.as_slice(), &[("clientId", client.as_str())]].concat();
        assert_eq!(eve.post(&path, &fields).await.status, 403, "{path}");
    }

    assert_eq!(app.db.query_text("select count(*)::text as answer from audit_log"), before);
}

#[actix_web::test]
async fn removed_member_does_nothing_with_open_pages() {
    let (app, [ada, eve], client) = start_with_two_owners().await;
    let own = app.db.query_text("select client_id as answer from clients where name = 'eve'");
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) select '{own}', user_id, 'owner' from users where name = 'eve'"
    ));
    let key = ada.generate("laptop").await;
    let removal = format!("/settings/members/{}/remove", user_id(&app, "eve"));
    ada.post(&removal, &[]).await;

    let of_client = [("clientId", client.as_str()), ("name", "mine")];
    let created = eve.post("/settings/api-keys", &of_client).await;
    let deleted = eve.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &of_client).await;

    assert_eq!((created.status.as_u16(), deleted.status.as_u16()), (409, 409));
    assert_eq!(eve.get(&format!("/settings/api-keys/{}", &key[..18])).await.status, 404);
    assert_eq!(eve.client_id().await, own);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200, "keys stay");
}

#[actix_web::test]
async fn mailed_links_name_this_installation_whatever_host_was_requested() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;
    let visitor = app.visitor();

    let request = visitor
        .request(Method::POST, "/password/forgot")
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("Forwarded", "host=evil.example")
        .header("Sec-Fetch-Site", "same-origin")
        .form(&[("email", "ada@example.org")]);
    assert_eq!(request.send().await.unwrap().status(), 200);

    let mail = smtp.next().await;
    assert!(mail.link(&app.url).starts_with("/password/reset/"));
    assert!(!mail.text("text").contains("evil.example") && !mail.text("html").contains("evil.example"));
}

#[actix_web::test]
async fn names_add_no_header_to_a_mail() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;

    for name in ["Ada\r\nBcc: eve@example.org", "Ada\nSubject: x", "Ada\u{2028}Bcc: x", "Ada\u{85}x"] {
        let renamed = ada.post("/account", &[("name", name), ("email", "ada@example.org")]).await;
        assert_eq!(renamed.status, 422, "{name:?}");
        assert_eq!(ada.post("/settings/client", &[("company", name)]).await.status, 422, "{name:?}");
    }
    ada.post("/settings/client", &[("company", "=?utf-8?q?Ada=0D=0ABcc:_eve=40example.org?=")]).await;
    ada.post("/settings/members", &[("email", "bea@example.org"), ("role", "member")]).await;

    let mail = smtp.next().await;
    assert_eq!(mail.recipients(), "bea@example.org");
    let subject = mail.text("subject");
    assert_eq!(subject, "Join = ?utf-8?q?Ada=0D=0ABcc:_eve=40example.org?= on Uptok");
}

#[actix_web::test]
async fn link_that_confirms_an_email_ends_with_a_new_password() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let thief = app.sign_up("ada").await;
    thief.post("/account", &[("email", "mallory@example.org")]).await.assert_sent_to("/account");
    let email_link = smtp.next().await.link(&app.url);

    app.visitor().post("/password/forgot", &[("email", "ada@example.org")]).await;
    let reset_link = smtp.next().await.link(&app.url);
    assert_eq!(app.visitor().post(&reset_link, &[("newPassword", NEW_PASSWORD)]).await.status, 200);

    assert_eq!(app.visitor().post(&email_link, &[]).await.status, 404);
    thief.get("/account").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn link_is_dead_for_someone_else_who_is_signed_in_and_stays_unused() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let [ada, eve] = [app.sign_up("ada").await, app.sign_up("eve").await];
    ada.post("/account", &[("email", "ada@king.example")]).await.assert_sent_to("/account");
    let email_link = smtp.next().await.link(&app.url);
    app.visitor().post("/password/forgot", &[("email", "ada@example.org")]).await;
    let reset_link = smtp.next().await.link(&app.url);

    for (link, form) in [(&reset_link, [("newPassword", NEW_PASSWORD)]), (&email_link, [("x", "")])] {
        assert_eq!(eve.get(link).await.status, 404);
        assert_eq!(eve.post(link, &form).await.status, 404);
        assert_eq!(ada.get(link).await.status, 200);
    }
    assert_eq!(ada.post(&email_link, &[]).await.status, 200);
}

#[actix_web::test]
async fn of_two_links_that_are_used_at_once_one_works() {
    for _ in 0..5 {
        let smtp = SmtpServer::start();
        let app = TestApp::start_with(&smtp.settings()).await;
        let ada = app.sign_up("ada").await;
        ada.post("/account", &[("email", "ada@king.example")]).await.assert_sent_to("/account");
        let email_link = smtp.next().await.link(&app.url);
        app.visitor().post("/password/forgot", &[("email", "ada@example.org")]).await;
        let reset_link = smtp.next().await.link(&app.url);
        let visitors = [app.visitor(), app.visitor()];

        let (one, two) = join(
            visitors[0].post(&email_link, &[]),
            visitors[1].post(&reset_link, &[("newPassword", NEW_PASSWORD)]),
        )
        .await;

        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
    }
}

#[actix_web::test]
async fn confirmation_that_carries_itself_is_no_form() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    for action in ["/confirm", "/confirm?x=1", "/./confirm", "/account/../confirm", "/%63onfirm"] {
        let reply = ada.post("/confirm", &[("password", PASSWORD), ("lostAction", action)]).await;
        assert_eq!(reply.status, 404, "{action}");
    }
    assert_eq!(ada.post("/%63onfirm", &[("password", "wrong")]).await.status, 422, "it is the same path");
}

/// Sends a form with this type and these headers.
async fn send(visitor: &Visitor, path: &str, content_type: &str, body: String) -> Reply {
    let request = visitor
        .request(Method::POST, path)
        .header("Sec-Fetch-Site", "same-origin")
        .header("Content-Type", content_type)
        .header("X-HTTP-Method-Override", "GET")
        .body(body);
    Reply::read(request.send().await.unwrap()).await
}

#[actix_web::test]
async fn no_type_of_body_and_no_method_leads_around_a_confirmation() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    turn_on(&ada).await;
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours', confirmed_at = null");
    let json = format!(r#"{{"clientId":"{client}","name":"x"}}"#);
    let multipart = format!(
        "--b\r\ncontent-disposition: form-data; name=\"clientId\"\r\n\r\n{client}\r\n\
         --b\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nx\r\n--b--\r\n"
    );

    for (content_type, body) in [
        ("application/x-www-form-urlencoded", format!("clientId={client}&name=x&_method=GET")),
        ("application/json", json),
        ("multipart/form-data; boundary=b", multipart),
    ] {
        let reply = send(&ada, "/settings/api-keys", content_type, body).await;
        assert_eq!(reply.status, 403, "{content_type}");
        assert_eq!(reply.html().text("h1"), "Confirm it’s you");
    }
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
        let turn_off = format!("{PAGE}/turn-off");
        let request = ada.request(method.clone(), &turn_off).header("Sec-Fetch-Site", "same-origin");
        assert_eq!(request.send().await.unwrap().status(), 405, "{method}");
    }

    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
    assert_eq!(app.db.query_text("select count(*)::text as answer from second_factors"), "1");
}

#[actix_web::test]
async fn operator_makes_a_reset_link_although_strangers_have_asked_for_all_of_the_hour() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    app.sign_up("ada").await;
    for _ in 0..5 {
        app.visitor().post("/password/forgot", &[("email", "ada@example.org")]).await;
        smtp.next().await;
    }

    let (email, context) = ("ada@example.org".parse().unwrap(), TestApp::audit_context());
    let link = accounts::create_reset_link(&mut app.db.connect(), &context, &email).unwrap().unwrap();

    assert_eq!(app.visitor().post(&link, &[("newPassword", NEW_PASSWORD)]).await.status, 200);
}
