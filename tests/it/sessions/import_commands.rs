//! `uptok imports`: the operator discards what a user has uploaded.

use std::process::{Command, Output};

use super::import_pages::{upload_accepted, wait_until_settled};
use crate::support::{TestApp, test_app::SECRET};

const CSV: &str = "externalId,status,channel,createdAt,endedAt\nx-1,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";

fn run(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.arg("imports").args(arguments).env("DATABASE_URL", &app.db.url).env("UPTOK_SECRET", SECRET);
    command.output().unwrap()
}

#[actix_web::test]
async fn operator_lists_imports_and_discards_one_that_waits() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let import = upload_accepted(&ada, "calls of May.csv", CSV).await;
    wait_until_settled(&ada, &import).await;
    let id = import.rsplit('/').next().unwrap();
    let list = || String::from_utf8(run(&app, &["list", "--client", &client]).stdout).unwrap();
    let discard = |client: &str, id: &str| {
        let output = run(&app, &["discard", "--client", client, id]);
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };

    let before = list();
    assert!(before.starts_with(&format!("{id}\tNeeds review\t20")), "{before}");
    assert!(before.ends_with("\tada\tcalls of May.csv\n"), "{before}");
    assert_eq!(discard(&client, id), (true, format!("{id} is discarded\n")));

    assert!(list().contains("\tDiscarded\t"));
    assert!(ada.get(&import).await.body.contains("Import discarded"));
    assert_eq!(app.db.query_text("select count(*)::text as answer from import_chunks"), "0");
    let other_client = app.sign_up("eve").await.client_id().await;
    let unknown = discard(&other_client, id);
    assert!(!unknown.0 && unknown.1.contains(&format!("{other_client} has no import {id}")), "{}", unknown.1);
}

#[actix_web::test]
async fn import_that_was_stored_is_not_discarded() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let import = upload_accepted(&ada, "calls.csv", CSV).await;
    wait_until_settled(&ada, &import).await;
    ada.post(&format!("{import}/start"), &[]).await.assert_sent_to(&import);
    wait_until_settled(&ada, &import).await;

    let output = run(&app, &["discard", "--client", &client, import.rsplit('/').next().unwrap()]);

    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("does not wait any more"), "{error}");
    assert_eq!(app.db.query_text("select count(*)::text as answer from sessions"), "1");
}
