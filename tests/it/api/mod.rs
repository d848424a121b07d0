//! The OpenAPI document: what it says, and what tools make of it. `bin/test` installs the tools.

mod clients;
mod document;
mod linters;
mod openapi;
mod tools;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{TestApp, Visitor};

/// A tool from `PyPI`.
fn python_tool(name: &str) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    Command::new(target.join("schemathesis/bin").join(name))
}

/// A tool from npm.
fn node_tool(name: &str) -> Command {
    Command::new(format!("tests/openapi/node_modules/.bin/{name}"))
}

/// Runs the tool and returns what it printed. Panics with that if the tool fails.
async fn run_tool(mut tool: Command) -> String {
    let run = move || tool.output().unwrap_or_else(|error| panic!("{tool:?}: {error}"));
    let output = actix_web::web::block(run).await.unwrap();
    let printed = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    assert!(output.status.success(), "{printed}");
    printed
}

/// Writes the document of the node to a file with this name.
async fn save_document(app: &TestApp, name: &str) -> PathBuf {
    let document = app.visitor().get("/api/openapi.json").await;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openapi-{name}.json"));
    fs::write(&file, document.body).unwrap();
    file
}

/// Creates a key with every scope and without a request limit.
async fn create_unlimited_key(app: &TestApp, visitor: &Visitor, name: &str) -> String {
    let boxes = ["sessions:read", "sessions:write", "keys:manage"].map(|scope| (scope, "yes"));
    let fields = [&[("name", name), ("chooseScopes", "yes")], boxes.as_slice()].concat();
    let reply = visitor.post("/settings/api-keys", &fields).await;
    app.db.execute("update api_keys set requests_per_minute = 0");
    reply.html().text("[data-whole-key-text]")
}
