//! Runs the samples of `docs/tools.md` whose tools `bin/test` installs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;

use super::{python_tool, run_tool};
use crate::support::{Reply, TestApp};

/// The Python program below this heading.
fn sample(heading: &str) -> String {
    let text = fs::read_to_string("docs/tools.md").unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    section.split("```python\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// Downloads the sessions of a client with an order and two refunds, as CSV.
async fn download_sessions(name: &str) -> PathBuf {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 2300);
    app.db.change_sessions(
        "update sessions set currency = 'EUR', shopper_phone = '+4930123456', \
         order_value_minor = case sequence when 7 then 4000000000 else -4990 end where sequence in (7, 1200, 2300)",
    );
    let key = ada.generate_recorder("tools").await;
    let request = ada.request(Method::GET, "/api/sessions.csv").bearer_auth(&key);
    let file = Reply::read(request.send().await.unwrap()).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools").join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("sessions.csv"), &file.body).unwrap();
    folder
}

/// Asserts that the sample adds up the three orders to the cent.
async fn assert_sample_adds_up(heading: &str) {
    let folder = download_sessions(heading).await;
    let mut python = python_tool("python");
    python.args(["-c", &sample(heading)]).current_dir(folder);
    let out = run_tool(python).await;
    let words: Vec<&str> = out.split(['│', '┆', ' ', '\n']).filter(|word| !word.is_empty()).collect();
    assert!(words.windows(3).any(|it| it == ["EUR", "3999990020", "3"]), "{out}");
}

#[actix_web::test]
async fn duckdb_adds_up_the_orders() {
    assert_sample_adds_up("DuckDB").await;
}

#[actix_web::test]
async fn polars_adds_up_the_orders() {
    assert_sample_adds_up("Polars").await;
}
