//! Lighthouse gives full marks for accessibility, best practices and SEO. `make bench` prints its mark for speed, which
//! depends on the machine.

use std::process::Command;

use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};

use crate::support::{TestApp, test_app::PASSWORD};

const PAGES: [&str; 5] = ["/login", "/settings/api-keys", "/sessions", "/docs", "/settings/usage"];

/// Logs in and returns the header `Cookie` of a browser that did the same.
async fn sign_in_cookie(app: &TestApp, name: &str) -> String {
    let request =
        app.visitor().request(reqwest::Method::POST, "/login").header("Sec-Fetch-Site", "same-origin");
    let email = format!("{name}@example.org");
    let reply = request.form(&[("email", email.as_str()), ("password", PASSWORD)]).send().await.unwrap();
    let cookies = reply.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let pairs: Vec<_> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
    pairs.join("; ")
}

async fn run_lighthouse(app: &TestApp, cookie: &str, paths: &[&str]) -> Vec<Value> {
    let mut node = Command::new("node");
    node.args(["tests/browser/lighthouse.mjs", "accessibility,best-practices,seo", cookie]);
    node.args(paths.iter().map(|path| format!("{}{path}", app.url)));
    let output = actix_web::web::block(move || node.output()).await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn lighthouse_gives_full_marks_on_phones_and_desktops() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 60);
    ada.generate("A name as long as names can be: sixty-four characters, not more").await;
    app.use_keys();
    let cookie = sign_in_cookie(&app, "ada").await;

    let mut results = run_lighthouse(&app, "", &["/login", "/docs"]).await;
    results
        .extend(run_lighthouse(&app, &cookie, &["/settings/api-keys", "/sessions", "/settings/usage"]).await);

    let mut seen = Vec::new();
    for result in &results {
        let full_marks = json!({"accessibility": 100, "best-practices": 100, "seo": 100});
        assert_eq!(result["scores"], full_marks, "{}", serde_json::to_string_pretty(result).unwrap());
        seen.push((result["path"].as_str().unwrap(), result["device"].as_str().unwrap()));
    }
    for page in PAGES {
        assert!(seen.contains(&(page, "mobile")) && seen.contains(&(page, "desktop")), "{page}: {seen:?}");
    }
}
