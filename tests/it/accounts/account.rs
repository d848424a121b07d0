//! The account page: name, email, password and deletion.

use std::process::Command;

use super::second_factor::turn_on;
use crate::support::{SmtpServer, TestApp, Visitor, test_app::PASSWORD, test_app::SECRET};

const NEW_PASSWORD: &str = "another long password";

async fn log_in(app: &TestApp, email: &str, password: &str) -> u16 {
    app.visitor().post("/login", &[("email", email), ("password", password)]).await.status.as_u16()
}

/// Moves all logins two hours into the past.
fn make_logins_old(app: &TestApp) {
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours'");
}

fn audit_lines(app: &TestApp, client: &str) -> Vec<String> {
    let lines = app.db.query_text(&format!(
        "select string_agg(act || ' ' || details, E'\n' order by sequence) as answer from audit_log where client_id = '{client}'"
    ));
    lines.lines().map(str::to_owned).collect()
}

async fn page_flash(visitor: &Visitor) -> String {
    visitor.get("/account").await.html().text("[role=status]")
}

#[actix_web::test]
async fn account_page_has_its_labels() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let page = ada.get("/account").await.html();

    assert_eq!(page.text("h1"), "Your account");
    assert_eq!(page.texts("form.stack label"), ["Name", "Email", "Current password", "New password"]);
    assert_eq!(page.attribute("#field-email", "value"), "ada@example.org");
    assert_eq!(page.texts("form.stack button"), ["Save name", "Change email", "Change password"]);
    assert_eq!(page.texts("main h2"), ["Profile", "Password", "Security", "Delete account"]);
    assert!(page.texts("main a").contains(&"Delete my account".to_owned()));
    assert_eq!(page.attribute(".foot-user a", "href"), "/account");
}

#[actix_web::test]
async fn account_page_says_whether_the_second_factor_is_on_and_how_many_sign_ins_there_are() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let rows = async || ada.get("/account").await.html().texts(".setting-rows h3");

    let before = rows().await;
    app.log_in("ada").await;
    turn_on(&ada).await;

    assert_eq!(before, ["Second factor Off", "Sign-ins 1"]);
    assert_eq!(rows().await, ["Second factor On", "Sign-ins 2"]);
    assert!(ada.get("/account").await.body.contains("10 recovery codes left"));
}

#[actix_web::test]
async fn name_is_changed_everywhere() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;

    let wrong = ada.post("/account", &[("name", " "), ("email", "ada@example.org")]).await;
    ada.post("/account", &[("name", "Ada King"), ("email", "ada@example.org")])
        .await
        .assert_sent_to("/account");

    assert_eq!(wrong.status, 422);
    assert!(!wrong.html().text("#hint-name .wrong").is_empty());
    assert_eq!(page_flash(&ada).await, "Name changed.");
    assert_eq!(ada.get("/sessions").await.html().text(".foot-user"), "Ada King");
    assert_eq!(audit_lines(&app, &client).last().unwrap(), r#"member.changed {"changed":"name"}"#);
}

#[actix_web::test]
async fn new_password_needs_the_current_one_and_ends_all_other_sign_ins() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    let other = app.log_in("ada").await;
    assert_eq!(smtp.next().await.text("subject"), "A new device logged in to your Uptok account");
    let form = |current, new| [("currentPassword", current), ("newPassword", new)];

    for (fields, field) in [
        (form("", ""), "newPassword"),
        (form("", ""), "currentPassword"),
        (form("", "short"), "currentPassword"),
        (form("", NEW_PASSWORD), "currentPassword"),
        (form("not my password!", NEW_PASSWORD), "currentPassword"),
        (form(PASSWORD, "short"), "newPassword"),
        (form(PASSWORD, "ada@example.org"), "newPassword"),
    ] {
        let reply = ada.post("/account", &fields).await;
        assert_eq!(reply.status, 422, "{fields:?}");
        assert!(!reply.html().text(&format!("#hint-{field} .wrong")).is_empty());
        assert_eq!(reply.html().attribute("#field-currentPassword", "value"), "");
    }
    assert_eq!(other.get("/sessions").await.status, 200);
    ada.post("/account", &form(PASSWORD, NEW_PASSWORD)).await.assert_sent_to("/account");

    assert!(page_flash(&ada).await.contains("Password changed"));
    other.get("/sessions").await.assert_sent_to("/login");
    assert_eq!(smtp.next().await.text("subject"), "Your Uptok password was changed");
    assert_eq!(log_in(&app, "ada@example.org", PASSWORD).await, 422);
    assert_eq!(log_in(&app, "ada@example.org", NEW_PASSWORD).await, 303);
}

#[actix_web::test]
async fn new_email_counts_once_its_link_is_confirmed_and_the_old_one_is_told() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;

    ada.post("/account", &[("email", "Ada@King.example")]).await.assert_sent_to("/account");
    let mail = smtp.next().await;
    let link = mail.link(&app.url);
    assert!(page_flash(&ada).await.contains("A link is on its way to ada@king.example."));
    assert_eq!(mail.recipients(), "ada@king.example");
    assert_eq!(app.visitor().get(&link).await.status, 200);
    assert_eq!(log_in(&app, "ada@king.example", PASSWORD).await, 422, "opening the link changes nothing");
    let confirmed = app.visitor().post(&link, &[]).await;

    assert_eq!(confirmed.status, 200, "{}", confirmed.body);
    let report = smtp.next().await;
    assert_eq!(
        (report.recipients().as_str(), report.text("subject").as_str()),
        ("ada@example.org", "The email of your Uptok account was changed")
    );
    assert_eq!(log_in(&app, "ada@king.example", PASSWORD).await, 303);
    assert_eq!(log_in(&app, "ada@example.org", PASSWORD).await, 422);
    assert_eq!(ada.get("/sessions").await.status, 200, "the sign-in goes on");
    assert_eq!(app.visitor().post(&link, &[]).await.status, 404);
    assert!(audit_lines(&app, &client).contains(&r#"member.changed {"changed":"email"}"#.to_owned()));
}

#[actix_web::test]
async fn email_of_another_account_is_refused_only_to_its_owner() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    app.sign_up("eve").await;

    ada.post("/account", &[("email", "eve@example.org")]).await.assert_sent_to("/account");
    let link = smtp.next().await.link(&app.url);
    let taken = app.visitor().post(&link, &[]).await;

    assert_eq!(taken.status, 409);
    assert!(taken.html().text("[role=alert]").contains("Another account has the email eve@example.org"));
    assert_eq!(log_in(&app, "ada@example.org", PASSWORD).await, 303);
}

#[actix_web::test]
async fn malformed_email_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for email in ["", "ada", "a@b\r\nBcc: eve@example.org", &format!("{}@example.org", "a".repeat(310))] {
        let reply = ada.post("/account", &[("email", email)]).await;
        assert_eq!(reply.status, 422, "{email:?}");
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from account_links"), "0");
}

#[actix_web::test]
async fn new_email_needs_the_password_an_hour_after_the_login() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    make_logins_old(&app);

    let page = ada.get("/account").await.html();
    assert_eq!(
        page.texts("form.stack label"),
        ["Name", "Email", "Password", "Current password", "New password"],
        "the form for the email has a field of its own"
    );
    let without = ada.post("/account", &[("email", "ada@king.example")]).await;
    assert_eq!(without.html().text("#hint-emailPassword .wrong"), "Enter your current password.");
    assert_eq!(without.html().texts("#hint-currentPassword .wrong"), [""; 0]);
    let with = ada.post("/account", &[("email", "ada@king.example"), ("currentPassword", PASSWORD)]).await;

    assert_eq!((without.status.as_u16(), with.status.as_u16()), (422, 200));
}

#[actix_web::test]
async fn without_mail_the_page_shows_the_link_that_confirms_an_email() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let page = ada.post("/account", &[("email", "ada@king.example")]).await;
    let link = page.html().attribute(".notice a", "href");
    assert!(page.body.contains("sends no email"));
    assert_eq!(
        page.html().attribute("#field-email", "value"),
        "ada@example.org",
        "it is still the present one"
    );
    assert_eq!(page.html().text("#hint-email"), "Waiting for you to confirm ada@king.example.");
    assert_eq!(ada.post(&link, &[]).await.status, 200);

    assert_eq!(log_in(&app, "ada@king.example", PASSWORD).await, 303);
    assert_eq!(app.db.query_text("select count(*)::text as answer from outbox"), "0");
}

#[actix_web::test]
async fn only_owner_of_a_client_cannot_delete_the_account() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let eve = app.sign_up("eve").await;
    let client = ada.client_id().await;
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) select '{client}', user_id, 'owner' from users where name = 'eve'"
    ));

    let refused = eve.post("/account/delete", &[]).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.html().texts("main [role=alert] strong"), ["eve"]);
    assert_eq!(eve.get("/account/delete").await.html().texts("main [role=alert] strong"), ["eve"]);
    app.db.execute("update users set disabled_at = now() where name = 'eve'");
    let alone = ada.post("/account/delete", &[]).await;
    assert_eq!(alone.status, 409, "owners who are disabled do not count");
    app.db.execute("update users set disabled_at = null");
    make_logins_old(&app);
    assert_eq!(ada.post("/account/delete", &[]).await.status, 422, "the login was too long ago");
    let deleted = ada.post("/account/delete", &[("currentPassword", PASSWORD)]).await;

    assert_eq!(deleted.status, 200, "{}", deleted.body);
    ada.get("/account").await.assert_sent_to("/login");
    assert_eq!(log_in(&app, "ada@example.org", PASSWORD).await, 422);
    assert_eq!(app.db.query_text("select count(*)::text as answer from users"), "1");
    let last = audit_lines(&app, &client).pop().unwrap();
    assert_eq!(last, r#"member.removed {"reason":"account deleted","role":"owner"}"#);
}

#[actix_web::test]
async fn of_two_owners_who_delete_their_accounts_at_once_one_stays() {
    for _ in 0..5 {
        let app = TestApp::start().await;
        let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
        let client = ada.client_id().await;
        app.db.execute("update memberships set role = 'member'");
        app.db.execute(&format!(
            "insert into memberships (client_id, user_id, role) select '{client}', user_id, 'owner' from users \
             on conflict (client_id, user_id) do update set role = 'owner'"
        ));

        let (one, two) =
            futures_util::future::join(ada.post("/account/delete", &[]), eve.post("/account/delete", &[]))
                .await;

        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

/// Runs `uptok user` and returns what it printed.
fn run_user(app: &TestApp, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("user").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET).env("UPTOK_PUBLIC_URL", &app.url);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[actix_web::test]
async fn operator_can_print_a_reset_link_and_delete_a_user() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let link = run_user(&app, &["reset-link", "--email", "ada@example.org"]).unwrap();
    let path = link.trim().strip_prefix(&app.url).unwrap();
    assert_eq!(app.visitor().post(path, &[("newPassword", NEW_PASSWORD)]).await.status, 200);
    assert_eq!(log_in(&app, "ada@example.org", NEW_PASSWORD).await, 303);
    ada.get("/sessions").await.assert_sent_to("/login");
    let unknown = run_user(&app, &["reset-link", "--email", "eve@example.org"]).unwrap_err();
    let only_owner = run_user(&app, &["delete", "--email", "ada@example.org"]).unwrap_err();
    app.db.execute("update memberships set role = 'member'");
    run_user(&app, &["delete", "--email", "ada@example.org"]).unwrap();

    assert!(unknown.contains("there is no user eve@example.org"), "{unknown}");
    assert!(only_owner.contains("the only owner of ada"), "{only_owner}");
    assert_eq!(app.db.query_text("select count(*)::text as answer from users"), "0");
}
