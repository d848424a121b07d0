//! Schemathesis generates requests from the OpenAPI document and checks that a running node answers as
//! documented.

use super::{create_unlimited_key, python_tool, run_tool};
use crate::support::TestApp;

/// Runs Schemathesis on these operations with `key`. The generated requests are the same in every run.
async fn assert_conforms(app: &TestApp, key: &str, operations: &[&str], excluded_checks: &'static str) {
    let mut command = python_tool("schemathesis");
    command
        .args([
            "run",
            &format!("{}/api/openapi.json", app.url),
            "--header",
            &format!("Authorization: Bearer {key}"),
        ])
        .args(["--checks", "all", "--exclude-checks", excluded_checks])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10"])
        .args(["--generation-deterministic", "--no-color"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"));
    for operation in operations {
        command.args(["--include-operation-id", operation]);
    }
    let report = run_tool(command).await;
    assert!(report.contains(" passed"), "{report}");
}

// Valid input may still be refused: a name may be taken, or an end may precede the beginning. Invalid form
// and query fields may be accepted: an empty field counts as absent.
const EXCLUDED_FOR_FIELDS: &str = "positive_data_acceptance,negative_data_rejection";

#[actix_web::test]
async fn session_endpoints_conform_to_the_openapi_document() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 30);
    let key = create_unlimited_key(&app, &ada, "sessions").await;

    let calls = [
        "exportSessions",
        "listSessions",
        "downloadSessionsCsv",
        "downloadSessionsNdjson",
        "recordSessions",
        "getSession",
        "getDocument",
    ];
    assert_conforms(&app, &key, &calls, EXCLUDED_FOR_FIELDS).await;
}

#[actix_web::test]
async fn key_endpoints_conform_to_the_openapi_document() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.sign_up("ada").await;
    let key = create_unlimited_key(&app, &ada, "keys").await;

    let calls = ["listKeys", "getKey", "getCurrentKey"];
    assert_conforms(&app, &key, &calls, "positive_data_acceptance").await;
    // A number of days is documented as text, which generators understand, and accepted as a number too.
    assert_conforms(&app, &key, &["createKey"], EXCLUDED_FOR_FIELDS).await;
}

/// These calls may end the key that makes them, so each gets its own key.
#[actix_web::test]
async fn endpoints_that_end_keys_conform_to_the_openapi_document() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = app.sign_up("ada").await;
    for call in ["changeKey", "replaceKey", "deleteKey"] {
        let key = create_unlimited_key(&app, &ada, call).await;

        assert_conforms(&app, &key, &[call], "positive_data_acceptance").await;
    }
    let key = create_unlimited_key(&app, &ada, "revokeKey").await;
    assert_conforms(&app, &key, &["revokeKey"], EXCLUDED_FOR_FIELDS).await;
}
