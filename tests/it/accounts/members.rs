//! `uptok user role`, `remove`, `disable` and `enable`: what they do to whoever is logged in, and what they leave in the log.

use std::process::{Command, Output};

use crate::support::{
    TestApp,
    test_app::{PASSWORD, SECRET},
};

fn user(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("user").args(arguments).env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

/// What the log tells of members beyond their being added, in its order.
fn told(app: &TestApp) -> String {
    app.db.ask(
        "select coalesce(string_agg(act || ' ' || details, ' ' order by sequence), '') as answer from audit_log \
         where act in ('member.changed', 'member.removed')",
    )
}

/// Waits until so many failed logins are told: a record comes after the answer.
async fn wait_for_failed(app: &TestApp, count: usize) {
    let sql = "select count(*)::text as answer from audit_log where act = 'sign_in.failed'";
    for _ in 0..400 {
        if app.db.ask(sql) == count.to_string() {
            return;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(app.db.ask(sql), count.to_string());
}

#[actix_web::test]
async fn a_disabled_owner_is_none() {
    let app = TestApp::start().await;
    let client = app.signed_up("ada").await.client_id().await;
    app.signed_up("eve").await;
    let role = |email, role| user(&app, &["role", "--email", email, "--client", &client, "--role", role]);
    assert!(role("eve@example.org", "owner").status.success());
    assert!(user(&app, &["disable", "--email", "eve@example.org"]).status.success());

    assert!(said(&role("ada@example.org", "member")).contains("is the only owner of"));
    assert!(user(&app, &["enable", "--email", "eve@example.org"]).status.success());
    assert!(role("ada@example.org", "member").status.success());
}

#[actix_web::test]
async fn a_role_holds_from_the_next_request_on() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let client = ada.client_id().await;
    app.db.execute("update memberships set role = 'admin'");
    let role =
        |role| user(&app, &["role", "--email", "ada@example.org", "--client", &client, "--role", role]);

    assert_eq!(said(&role("member")), format!("ada@example.org is member of {client}\n"));
    assert_eq!(ada.post("/settings/api-keys", &[("name", "x")]).await.status, 403);
    assert!(role("owner").status.success() && role("owner").status.success());
    assert_eq!(ada.post("/settings/api-keys", &[("name", "x")]).await.status, 200);

    let refused = role("member");
    assert!(
        !refused.status.success() && said(&refused).contains("is the only owner of"),
        "{}",
        said(&refused)
    );
    assert_eq!(
        told(&app),
        r#"member.changed {"changed":"role","from":"admin","to":"member"} member.changed {"changed":"role","from":"member","to":"owner"}"#
    );
}

#[actix_web::test]
async fn who_is_removed_is_out_with_the_next_request() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let client = ada.client_id().await;
    let key = ada.generate("laptop").await;
    let remove = || user(&app, &["remove", "--email", "ada@example.org", "--client", &client]);

    assert!(said(&remove()).contains("is the only owner of"));
    app.db.execute("update memberships set role = 'admin'");
    assert_eq!(said(&remove()), format!("ada@example.org is no member of {client} any more\n"));

    ada.get("/settings/api-keys").await.assert_sent_to("/login");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200, "keys stay");
    assert!(said(&remove()).contains("is no member of"));
    assert_eq!(told(&app), r#"member.removed {"role":"admin"}"#);
    assert_eq!(said(&user(&app, &["list"])), "ada@example.org\t-\t-\n");

    let back = user(&app, &["role", "--email", "ada@example.org", "--client", &client, "--role", "member"]);
    assert!(back.status.success(), "{}", said(&back));
    app.logged_in("ada").await;
}

#[actix_web::test]
async fn who_is_disabled_is_out_until_enabled_again() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let set = |command| user(&app, &[command, "--email", "ada@example.org"]);

    assert!(set("disable").status.success() && set("disable").status.success());
    assert!(said(&user(&app, &["list"])).ends_with("\tdisabled\n"));
    ada.get("/settings/api-keys").await.assert_sent_to("/login");
    for password in [PASSWORD, "not her password"] {
        let fields = [("email", "ada@example.org"), ("password", password)];
        assert_eq!(app.visitor().post("/login", &fields).await.status, 422);
    }
    wait_for_failed(&app, 2).await;
    assert!(set("enable").status.success());
    ada.get("/settings/api-keys").await.assert_sent_to("/login");

    app.logged_in("ada").await;
    assert_eq!(told(&app), r#"member.changed {"changed":"disabled"} member.changed {"changed":"enabled"}"#);
    assert!(said(&user(&app, &["disable", "--email", "eve@example.org"])).contains("there is no user"));
}
