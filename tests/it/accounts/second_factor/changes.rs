//! New recovery codes, turning the second factor off, and its reset by the operator.

use std::process::Command;

use super::{CODE_PAGE, PAGE, begin_login, count, send_code, send_password, turn_on};
use crate::support::{SmtpServer, TestApp, test_app::SECRET};

const HOME: &str = "/settings/api-keys";

/// The events of second factors in the log of a client, the oldest first.
fn audit_lines(app: &TestApp, client: &str) -> Vec<String> {
    let lines = app.db.query_text(&format!(
        "select coalesce(string_agg(act || ' ' || actor_kind || ' ' || details, E'\\n' order by sequence), '') as answer \
         from audit_log where client_id = '{client}' and (act like 'second_factor%' or act like 'recovery_code%')"
    ));
    lines.lines().map(str::to_owned).collect()
}

#[actix_web::test]
async fn new_recovery_codes_replace_the_earlier_ones() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (_authenticator, earlier) = turn_on(&ada).await;

    let page = ada.post(&format!("{PAGE}/recovery-codes"), &[]).await.html();
    let codes = page.texts(".codes code");

    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| !earlier.contains(code)));
    assert_eq!(send_code(&begin_login(&app).await, &earlier[0]).await.status, 422);
    send_code(&begin_login(&app).await, &codes[0]).await.assert_sent_to(HOME);
}

#[actix_web::test]
async fn second_factor_that_is_off_has_no_codes() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    ada.post(&format!("{PAGE}/recovery-codes"), &[]).await.assert_sent_to(PAGE);
    assert!(ada.get(PAGE).await.html().text("[role=alert]").contains("Set up a second factor first."));
    ada.post(&format!("{PAGE}/set-up"), &[]).await;
    ada.post(&format!("{PAGE}/recovery-codes"), &[]).await.assert_sent_to(PAGE);

    assert_eq!(count(&app, "recovery_codes"), "0");
}

#[actix_web::test]
async fn turning_off_leaves_the_password_alone_and_nothing_in_the_database() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    turn_on(&ada).await;

    ada.post(&format!("{PAGE}/turn-off"), &[]).await.assert_sent_to(PAGE);

    let page = ada.get(PAGE).await.html();
    assert_eq!(page.text("[role=status]"), "Your second factor is off.");
    assert_eq!(page.text("main button"), "Set up");
    send_password(&app.visitor()).await.assert_sent_to(HOME);
    assert_eq!(
        (count(&app, "second_factors"), count(&app, "recovery_codes")),
        ("0".to_owned(), "0".to_owned())
    );
    ada.post(&format!("{PAGE}/turn-off"), &[]).await.assert_sent_to(PAGE);
    assert!(ada.get(PAGE).await.html().text("[role=status]").contains("off already"));
}

#[actix_web::test]
async fn every_change_is_told_by_mail_and_recorded_for_each_client() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let ada = app.sign_up("ada").await;
    let (client, other) = (ada.client_id().await, app.sign_up("eve").await.client_id().await);
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) \
         select '{other}', user_id, 'member' from users where email = 'ada@example.org'"
    ));
    let subject = async || smtp.next().await.text("subject");

    let (_authenticator, codes) = turn_on(&ada).await;
    assert_eq!(subject().await, "Your Uptok account has a second factor now");
    let login = begin_login(&app).await;
    send_code(&login, &codes[0]).await.assert_sent_to(HOME);
    let mut mails = [subject().await, subject().await];
    mails.sort();
    assert_eq!(
        mails,
        ["A new device logged in to your Uptok account", "A recovery code of your Uptok account was used"]
    );
    ada.post(&format!("{PAGE}/recovery-codes"), &[]).await;
    assert_eq!(subject().await, "Your Uptok account has new recovery codes");
    ada.post(&format!("{PAGE}/turn-off"), &[]).await;
    let mail = smtp.next().await;

    assert_eq!(mail.text("subject"), "The second factor of your Uptok account was turned off");
    assert_eq!(mail.recipients(), "ada@example.org");
    assert_eq!(mail.link(&app.url), PAGE);
    let expected = [
        "second_factor.added user {}",
        r#"recovery_code.used user {"left":"9"}"#,
        "recovery_codes.created user {}",
        "second_factor.removed user {}",
    ];
    for client in [client, other] {
        assert_eq!(audit_lines(&app, &client), expected);
    }
    let page = ada.get("/settings/audit").await.html().text("main");
    for sentence in
        ["Added a second factor for ada", "Used a recovery code of ada", "Removed the second factor of ada"]
    {
        assert!(page.contains(sentence), "{page}");
    }
}

fn run_command(app: &TestApp, email: &str) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_uptok"))
        .args(["user", "reset-second-factor", "--email", email])
        .env_clear()
        .env("DATABASE_URL", &app.db.url)
        .env("UPTOK_SECRET", SECRET)
        .output()
        .unwrap()
}

#[actix_web::test]
async fn operator_removes_a_lost_second_factor() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    turn_on(&ada).await;
    send_password(&app.visitor()).await.assert_sent_to(CODE_PAGE);

    let output = run_command(&app, "ada@example.org");

    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("ada@example.org is removed"), "{output:?}");
    send_password(&app.visitor()).await.assert_sent_to(HOME);
    assert_eq!(audit_lines(&app, &client).last().unwrap(), "second_factor.removed command_line {}");
    for (email, error) in
        [("ada@example.org", "has no second factor"), ("eve@example.org", "there is no user")]
    {
        let output = run_command(&app, email);
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(error), "{output:?}");
    }
}
