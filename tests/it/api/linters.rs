//! Three linters find nothing in the OpenAPI document.

use super::{node_tool, python_tool, run_tool, save_document};
use crate::support::TestApp;

/// Linters complain about servers on localhost.
async fn start_public_node() -> TestApp {
    TestApp::start_with(&["--public-url", "https://uptok.example"]).await
}

#[actix_web::test]
async fn openapi_spec_validator_accepts_the_document() {
    let mut linter = python_tool("openapi-spec-validator");
    linter.arg(save_document(&start_public_node().await, "validator").await);
    run_tool(linter).await;
}

#[actix_web::test]
async fn spectral_finds_nothing() {
    let mut linter = node_tool("spectral");
    linter.args(["lint", "--ruleset", "tests/openapi/.spectral.yaml", "--fail-severity", "hint"]);
    linter.arg(save_document(&start_public_node().await, "spectral").await);
    run_tool(linter).await;
}

#[actix_web::test]
async fn redocly_finds_nothing() {
    let mut linter = node_tool("redocly");
    linter.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    linter.args(["lint", "--config", "tests/openapi/redocly.yaml"]);
    linter.arg(save_document(&start_public_node().await, "redocly").await);
    run_tool(linter).await;
}
