//! `uptok user rename`, `change-email`, `sign-ins` and `end-sign-ins`.

use std::process::Command;

use crate::support::{
    SmtpServer, TestApp,
    test_app::{PASSWORD, SECRET},
};

/// Runs `uptok user` with these settings and returns what it printed.
fn run_user(app: &TestApp, settings: &[&str], arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command
        .args(settings)
        .arg("user")
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET).env("UPTOK_PUBLIC_URL", &app.url);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn last_record(app: &TestApp) -> String {
    app.db.query_text(
        "select act || ' by ' || actor_kind || ' ' || details as answer from audit_log order by at desc limit 1",
    )
}

async fn log_in(app: &TestApp, email: &str) -> u16 {
    app.visitor().post("/login", &[("email", email), ("password", PASSWORD)]).await.status.as_u16()
}

#[actix_web::test]
async fn operator_renames_a_user() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let rename = |email, name| run_user(&app, &[], &["rename", "--email", email, "--name", name]);

    assert_eq!(rename("ada@example.org", "Ada King").unwrap(), "ada@example.org is now called Ada King\n");

    assert_eq!(ada.get("/sessions").await.html().text(".foot-user"), "Ada King");
    assert_eq!(last_record(&app), r#"member.changed by command_line {"changed":"name"}"#);
    assert!(rename("eve@example.org", "Eve").unwrap_err().contains("there is no user eve@example.org"));
    assert!(rename("ada@example.org", " ").is_err());
}

#[actix_web::test]
async fn operator_changes_an_email_at_once_and_the_old_one_is_told() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    app.sign_up("eve").await;
    let change = |email, new_email| {
        run_user(&app, &smtp.settings(), &["change-email", "--email", email, "--new-email", new_email])
    };
    ada.post("/account", &[("email", "other@king.example")]).await.assert_sent_to("/account");
    let earlier_link = smtp.next().await.link(&app.url);

    let changed = change("ada@example.org", "Ada@King.example").unwrap();

    assert_eq!(changed, "ada@example.org now logs in as ada@king.example\n");
    let mail = smtp.next().await;
    assert_eq!(mail.recipients(), "ada@example.org");
    assert_eq!(mail.text("subject"), "The email of your Uptok account was changed");
    assert_eq!(last_record(&app), r#"member.changed by command_line {"changed":"email"}"#);
    assert_eq!(ada.get("/sessions").await.status, 200, "the sign-in goes on");
    assert_eq!(log_in(&app, "ada@king.example").await, 303);
    assert_eq!(log_in(&app, "ada@example.org").await, 422);
    assert_eq!(app.visitor().post(&earlier_link, &[]).await.status, 404, "an earlier link could undo it");
    let taken = change("ada@king.example", "eve@example.org").unwrap_err();
    assert!(taken.contains("eve@example.org already has an account"), "{taken}");
    assert!(change("ada@example.org", "x@example.org").unwrap_err().contains("there is no user"));
}

#[actix_web::test]
async fn operator_lists_sign_ins_and_ends_one_or_all() {
    let app = TestApp::start().await;
    let first = app.sign_up("ada").await;
    let (second, third) = (app.log_in("ada").await, app.log_in("ada").await);
    let eve = app.sign_up("eve").await;
    app.db.execute("update sign_ins set user_agent = 'curl/8.5.0' where id_hash = (select id_hash from sign_ins order by created_at limit 1)");
    let email = ["--email", "ada@example.org"];
    let run =
        |command, arguments: &[&str]| run_user(&app, &[], &[&[command], &email[..], arguments].concat());

    let listed = run("sign-ins", &[]).unwrap();
    let curl = listed.lines().find(|line| line.ends_with("\t127.0.0.1\tcurl")).unwrap();
    let id = curl.split('\t').next().unwrap();
    let ended = run("end-sign-ins", &["--id", id]).unwrap();

    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert_eq!(ended, format!("The sign-in {id} of ada@example.org has ended\n"));
    first.get("/sessions").await.assert_sent_to("/login");
    assert_eq!(second.get("/sessions").await.status, 200);
    assert_eq!(last_record(&app), r#"sign_in.ended by command_line {"count":"1"}"#);
    assert!(run("end-sign-ins", &["--id", id]).unwrap_err().contains("no sign-in with this ID"));
    assert!(run("end-sign-ins", &[]).is_err(), "one or all");

    assert_eq!(run("end-sign-ins", &["--all"]).unwrap(), "2 sign-ins of ada@example.org ended\n");
    for ended in [&second, &third] {
        ended.get("/sessions").await.assert_sent_to("/login");
    }
    assert_eq!(last_record(&app), r#"sign_in.ended by command_line {"count":"2"}"#);
    assert_eq!(run("sign-ins", &[]).unwrap(), "");
    assert_eq!(eve.get("/sessions").await.status, 200);
}

#[actix_web::test]
async fn password_set_by_the_operator_ends_links_that_were_mailed_before() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    ada.post("/account", &[("email", "mallory@example.org")]).await.assert_sent_to("/account");
    let link = smtp.next().await.link(&app.url);

    let email = "ada@example.org".parse().unwrap();
    uptok::accounts::set_password(&mut app.db.connect(), &TestApp::audit_context(), &email, "none").unwrap();

    assert_eq!(app.visitor().post(&link, &[]).await.status, 404);
}

#[actix_web::test]
async fn links_of_a_disabled_user_do_not_work_once_it_is_enabled_again() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    app.sign_up("eve").await;
    app.db.execute(
        "insert into memberships (client_id, user_id, role) \
         select m.client_id, u.user_id, 'owner' from memberships m, users u where m.user_id <> u.user_id",
    );
    let email = ["--email", "ada@example.org"];
    let run = |command| run_user(&app, &[], &[&[command], &email[..]].concat()).unwrap();
    let link = run("reset-link");

    run("disable");
    run("enable");

    let path = link.trim().strip_prefix(&app.url).unwrap();
    assert_eq!(app.visitor().get(path).await.status, 404);
}
