//! Generated clients pass strict type checks and go through the API: `tests/openapi/client.py` and `client.ts`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{create_unlimited_key, node_tool, python_tool, run_tool, save_document};
use crate::support::TestApp;

/// An empty folder for the generated client.
fn create_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program of a generated client as a new client of the node.
async fn assert_works(app: &TestApp, mut program: Command) {
    let ada = app.sign_up("ada").await;
    let key = create_unlimited_key(app, &ada, "client").await;
    program.env("UPTOK_URL", &app.url).env("UPTOK_API_KEY", key);
    assert_eq!(run_tool(program).await, "The generated client works.\n");
}

#[actix_web::test]
async fn generated_python_client_works() {
    let app = TestApp::start().await;
    let folder = create_folder("client-python");
    let mut generator = python_tool("openapi-python-client");
    generator.args(["generate", "--overwrite", "--config", "tests/openapi/python-client.yaml"]);
    generator.arg("--path").arg(save_document(&app, "python").await).arg("--output-path").arg(&folder);
    run_tool(generator).await;
    let mut type_checker = python_tool("mypy");
    type_checker.args(["--strict", "--cache-dir=/dev/null", "tests/openapi/client.py"]);
    type_checker.env("MYPYPATH", &folder);
    run_tool(type_checker).await;

    let mut program = python_tool("python");
    program.arg("tests/openapi/client.py").env("PYTHONPATH", &folder);
    assert_works(&app, program).await;
}

#[actix_web::test]
async fn generated_typescript_client_works() {
    let app = TestApp::start().await;
    let folder = create_folder("client-typescript");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi/node_modules");
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
    fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
    for file in ["client.ts", "tsconfig.json"] {
        fs::copy(Path::new("tests/openapi").join(file), folder.join(file)).unwrap();
    }
    let mut generator = node_tool("openapi-typescript");
    generator.arg(save_document(&app, "typescript").await).arg("--output").arg(folder.join("uptok.d.ts"));
    run_tool(generator).await;
    let mut compiler = node_tool("tsc");
    compiler.arg("--project").arg(&folder);
    run_tool(compiler).await;

    let mut program = Command::new("node");
    program.arg(folder.join("client.js"));
    assert_works(&app, program).await;
}
