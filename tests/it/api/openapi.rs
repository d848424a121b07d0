//! The OpenAPI document, against a running node: a program that knows nothing but the document makes up requests and
//! looks whether the answers are as it says. `bin/test` installs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{TestApp, Visitor};

fn schemathesis() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("schemathesis/bin/schemathesis")
}

/// A key that may do everything and is not limited.
async fn unlimited(app: &TestApp, visitor: &Visitor, name: &str) -> String {
    let boxes = ["sessions:read", "sessions:write", "keys:manage"].map(|scope| (scope, "yes"));
    let fields = [&[("name", name), ("chooseScopes", "yes")], boxes.as_slice()].concat();
    let reply = visitor.post("/settings/api-keys", &fields).await;
    app.db.execute("update api_keys set requests_per_minute = 0");
    reply.html().text("[data-whole-key-text]")
}

/// Tries these operations with this key; the same requests each time.
async fn tried(app: &TestApp, key: &str, operations: &[&str], unchecked: &'static str) {
    let mut command = Command::new(schemathesis());
    command
        .args([
            "run",
            &format!("{}/api/openapi.json", app.url),
            "--header",
            &format!("Authorization: Bearer {key}"),
        ])
        .args(["--checks", "all", "--exclude-checks", unchecked])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10"])
        .args(["--generation-deterministic", "--no-color"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    for operation in operations {
        command.args(["--include-operation-id", operation]);
    }
    let run =
        move || command.output().unwrap_or_else(|error| panic!("{}: {error}", schemathesis().display()));
    let output: Output = actix_web::web::block(run).await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" passed"), "{said}");
}

// That what fits the schemas is accepted is not checked: a name may be taken, an end be before a beginning. Nor is it
// where fields are read that what does not fit is refused: an empty one counts as absent.
const FIELDS: &str = "positive_data_acceptance,negative_data_rejection";

#[actix_web::test]
async fn calls_about_sessions_are_as_the_document_says() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 30);
    let key = unlimited(&app, &ada, "sessions").await;

    let calls = ["exportSessions", "listSessions", "recordSessions", "getSession", "getDocument"];
    tried(&app, &key, &calls, FIELDS).await;
}

#[actix_web::test]
async fn calls_about_keys_are_as_the_document_says() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.signed_up("ada").await;
    let key = unlimited(&app, &ada, "keys").await;

    let calls = ["listKeys", "createKey", "getKey", "getCurrentKey"];
    tried(&app, &key, &calls, "positive_data_acceptance").await;
}

/// These may end the key that makes them, and then answer as they have to.
#[actix_web::test]
async fn calls_that_end_keys_are_as_the_document_says() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.signed_up("ada").await;
    for call in ["changeKey", "replaceKey", "deleteKey"] {
        let key = unlimited(&app, &ada, call).await;

        tried(&app, &key, &[call], "positive_data_acceptance").await;
    }
    let key = unlimited(&app, &ada, "revokeKey").await;
    tried(&app, &key, &["revokeKey"], FIELDS).await;
}
