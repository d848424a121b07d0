//! The API documentation says what the code does, and its samples work as printed.

use std::process::{Command, Output};

use crate::support::TestApp;

/// The sample `id` of the page, with this key in it.
async fn sample(app: &TestApp, id: &str, key: &str) -> String {
    let page = app.visitor().get("/docs").await;
    let document = scraper::Html::parse_document(&page.body);
    let selector = scraper::Selector::parse(&format!("#{id}")).unwrap();
    let code = document.select(&selector).next().unwrap().text().collect::<String>();
    assert!(code.contains("YOUR_API_KEY") && code.contains(&app.url), "{code}");
    code.replace("YOUR_API_KEY", key)
}

async fn run(program: &str, arguments: Vec<String>) -> String {
    let program = program.to_owned();
    let output: Output = actix_web::web::block(move || {
        Command::new(&program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
    })
    .await
    .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn client_with_60_sessions(app: &TestApp) -> String {
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 60);
    ada.generate("docs").await
}

#[actix_web::test]
async fn the_curl_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = client_with_60_sessions(&app).await;
    let sample = sample(&app, "sample-curl", &key).await;

    let answer: serde_json::Value =
        serde_json::from_str(&run("sh", vec!["-c".into(), sample]).await).unwrap();

    assert_eq!(answer["totalSessions"], 60);
    assert_eq!(answer["data"].as_array().unwrap().len(), 50);
}

#[actix_web::test]
async fn the_csv_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = client_with_60_sessions(&app).await;
    let file = std::env::temp_dir().join(format!("uptok-sample-{}.csv", std::process::id()));
    let sample = sample(&app, "sample-csv", &key).await.replace("sessions.csv", file.to_str().unwrap());

    run("sh", vec!["-c".into(), sample]).await;

    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 61);
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn the_javascript_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = client_with_60_sessions(&app).await;
    let sample = sample(&app, "sample-javascript", &key).await;

    assert!(run("node", vec!["-e".into(), sample]).await.starts_with("60 ["));
}

#[actix_web::test]
async fn the_python_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = client_with_60_sessions(&app).await;
    let sample = sample(&app, "sample-python", &key).await;

    assert_eq!(run("python3", vec!["-c".into(), sample]).await, "60 50\n");
}

/// What the first documentation told people to write: a `Content-Type` by hand, so that no boundary is sent.
#[actix_web::test]
async fn the_first_documentations_sample_works_in_node() {
    let app = TestApp::start().await;
    let key = client_with_60_sessions(&app).await;
    let script = format!(
        "const formData = new FormData()
         formData.append('clientKey', '{key}')
         formData.append('page', 2)
         formData.append('perPage', 50)
         const Url = '{}/api/sessions/export-csv-data'
         fetch(Url, {{ method: 'POST', body: formData, headers: {{ 'Content-Type': 'multipart/form-data' }} }})
           .then(res => res.json())
           .then(data => console.log(data.totalSessions, data.totalPages, data.recordsPerPage, data.data.length))",
        app.url
    );

    assert_eq!(run("node", vec!["-e".into(), script]).await, "60 2 50 10\n");
}

/// Runs a sample that prints JSON.
async fn answer_to(sample: String) -> serde_json::Value {
    serde_json::from_str(&run("sh", vec!["-c".into(), sample]).await).unwrap()
}

#[actix_web::test]
async fn the_samples_that_record_and_read_work_as_printed() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = ada.generate_recorder("docs").await;
    let record = sample(&app, "sample-record", &key).await;
    let read = sample(&app, "sample-get", &key).await;
    let partial = record
        .replace("/api/sessions ", "/api/sessions?partial=true ")
        .replace("shift-1", "shift-2")
        .replace("}]'", "}, {\"externalId\": \"x\"}]'");

    let first = answer_to(record.clone()).await;
    let again = answer_to(record.clone()).await;
    let other = answer_to(record.replace("call-1001", "call-1002")).await;
    let partial = answer_to(partial).await;
    let page = answer_to(read).await;

    let printed = app.visitor().get("/docs").await.html().texts("[aria-labelledby=recording] pre")[1].clone();
    let printed = printed.replace('…', first["results"][0]["sessionId"].as_str().unwrap());
    assert_eq!(first, serde_json::from_str::<serde_json::Value>(&printed).unwrap());
    assert_eq!(again, first, "the first answer comes again");
    assert_eq!(other["code"], "idempotency_key_reused");
    assert_eq!((&partial["unchanged"], &partial["rejected"]), (&1.into(), &1.into()));
    assert_eq!((&page["totalSessions"], &page["data"][0]["externalId"]), (&1.into(), &"call-1001".into()));
}

#[actix_web::test]
async fn the_sample_that_makes_a_key_works_as_printed() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let boxes =
        [("name", "manager"), ("chooseScopes", "yes"), ("sessions:read", "yes"), ("keys:manage", "yes")];
    let manager = ada.post("/settings/api-keys", &boxes).await.html().text("[data-whole-key-text]");

    let made = answer_to(sample(&app, "sample-keys", &manager).await).await;

    assert_eq!(made["clientKey"].as_str().unwrap().len(), 57, "{made}");
}

#[actix_web::test]
async fn the_page_names_every_error_that_the_api_gives() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/docs").await.html();
    let codes = page.texts("[aria-label=Errors] td code");
    let source = ["src/error.rs", "src/web/error_pages.rs"]
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    // Those that only pages give.
    let of_pages = ["signed_out", "cross_site", "forbidden"];
    for code in source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        if code.chars().all(|it| it.is_ascii_lowercase() || it == '_') && !of_pages.contains(&code) {
            assert!(codes.iter().any(|known| known == code), "{code} is not in {codes:?}");
        }
    }
}

#[actix_web::test]
async fn the_page_is_public_and_shows_the_way_for_whoever_is_logged_in() {
    let app = TestApp::start().await;
    let stranger = app.visitor().get("/docs").await;
    let ada = app.signed_up("ada").await;

    assert_eq!(stranger.status, 200);
    assert!(stranger.html().texts(".menu a").contains(&"Log in".to_owned()));
    assert!(ada.get("/docs").await.html().texts(".menu a").contains(&"API Keys".to_owned()));
}
