//! The guide at `/docs`: its samples work as printed, and its list of errors is complete.

use std::process::{Command, Output};

use crate::support::TestApp;

/// Returns the sample with this `id` from the guide, with `key` filled in.
async fn load_sample(app: &TestApp, id: &str, key: &str) -> String {
    let page = app.visitor().get("/docs").await;
    let document = scraper::Html::parse_document(&page.body);
    let selector = scraper::Selector::parse(&format!("#{id}")).unwrap();
    let code = document.select(&selector).next().unwrap().text().collect::<String>();
    assert!(code.contains("YOUR_API_KEY") && code.contains(&app.url), "{code}");
    code.replace("YOUR_API_KEY", key)
}

async fn run_program(program: &str, arguments: Vec<String>) -> String {
    let program = program.to_owned();
    let output: Output = actix_web::web::block(move || {
        Command::new(&program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
    })
    .await
    .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn create_client_with_60_sessions(app: &TestApp) -> String {
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 60);
    ada.generate("docs").await
}

#[actix_web::test]
async fn curl_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = create_client_with_60_sessions(&app).await;
    let sample = load_sample(&app, "sample-curl", &key).await;

    let answer: serde_json::Value =
        serde_json::from_str(&run_program("sh", vec!["-c".into(), sample]).await).unwrap();

    assert_eq!(answer["totalSessions"], 60);
    assert_eq!(answer["data"].as_array().unwrap().len(), 50);
}

#[actix_web::test]
async fn csv_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = create_client_with_60_sessions(&app).await;
    let file = std::env::temp_dir().join(format!("uptok-sample-{}.csv", std::process::id()));
    let sample = load_sample(&app, "sample-csv", &key).await.replace("sessions.csv", file.to_str().unwrap());

    run_program("sh", vec!["-c".into(), sample]).await;

    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 61);
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn javascript_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = create_client_with_60_sessions(&app).await;
    let sample = load_sample(&app, "sample-javascript", &key).await;

    assert!(run_program("node", vec!["-e".into(), sample]).await.starts_with("60 ["));
}

#[actix_web::test]
async fn python_sample_works_as_printed() {
    let app = TestApp::start().await;
    let key = create_client_with_60_sessions(&app).await;
    let sample = load_sample(&app, "sample-python", &key).await;

    assert_eq!(run_program("python3", vec!["-c".into(), sample]).await, "60 50\n");
}

/// The first documentation set `Content-Type` by hand, so the request has no multipart boundary. Such clients
/// must keep working.
#[actix_web::test]
async fn sample_of_the_first_documentation_works_in_node() {
    let app = TestApp::start().await;
    let key = create_client_with_60_sessions(&app).await;
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

    assert_eq!(run_program("node", vec!["-e".into(), script]).await, "60 2 50 10\n");
}

/// Runs a shell sample and parses the JSON it prints.
async fn run_json_sample(sample: String) -> serde_json::Value {
    serde_json::from_str(&run_program("sh", vec!["-c".into(), sample]).await).unwrap()
}

#[actix_web::test]
async fn recording_and_reading_samples_work_as_printed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate_recorder("docs").await;
    let record = load_sample(&app, "sample-record", &key).await;
    let read = load_sample(&app, "sample-get", &key).await;
    let partial = record
        .replace("/api/sessions ", "/api/sessions?partial=true ")
        .replace("shift-1", "shift-2")
        .replace("}]'", "}, {\"externalId\": \"x\"}]'");

    let first_reply = run_json_sample(record.clone()).await;
    let repeated_reply = run_json_sample(record.clone()).await;
    let other_reply = run_json_sample(record.replace("call-1001", "call-1002")).await;
    let partial = run_json_sample(partial).await;
    let page = run_json_sample(read).await;

    let printed = app.visitor().get("/docs").await.html().texts("[aria-labelledby=recording] pre")[1].clone();
    let printed = printed.replace('…', first_reply["results"][0]["sessionId"].as_str().unwrap());
    assert_eq!(first_reply, serde_json::from_str::<serde_json::Value>(&printed).unwrap());
    assert_eq!(repeated_reply, first_reply, "the first answer comes again");
    assert_eq!(other_reply["code"], "idempotency_key_reused");
    assert_eq!((&partial["unchanged"], &partial["rejected"]), (&1.into(), &1.into()));
    assert_eq!((&page["totalSessions"], &page["data"][0]["externalId"]), (&1.into(), &"call-1001".into()));
}

#[actix_web::test]
async fn key_creation_sample_works_as_printed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let boxes =
        [("name", "manager"), ("chooseScopes", "yes"), ("sessions:read", "yes"), ("keys:manage", "yes")];
    let manager = ada.post("/settings/api-keys", &boxes).await.html().text("[data-whole-key-text]");

    let made = run_json_sample(load_sample(&app, "sample-keys", &manager).await).await;

    assert_eq!(made["clientKey"].as_str().unwrap().len(), 57, "{made}");
}

#[actix_web::test]
async fn guide_links_to_the_example_programs() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/docs").await;
    for file in
        ["python/export.py", "typescript/export.ts", "php/export.php", "go/export.go", "rust/src/main.rs"]
    {
        let stem = file.rsplit_once('.').unwrap().0;
        let address = page.body.split('"').find(|it| it.starts_with(&format!("/static/examples/{stem}")));
        let program = app.visitor().get(address.unwrap_or_else(|| panic!("{file} is not linked"))).await;
        assert_eq!(program.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(program.body, std::fs::read_to_string(format!("examples/{file}")).unwrap());
    }
}

#[actix_web::test]
async fn guide_lists_every_api_error_code() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/docs").await.html();
    let codes = page.texts("[aria-label=Errors] td code");
    let source = ["src/error.rs", "src/web/middleware/error_responses.rs"]
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    // Codes that only HTML pages return.
    let page_codes = ["signed_out", "no_client", "cross_site", "forbidden"];
    for code in source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        if code.chars().all(|it| it.is_ascii_lowercase() || it == '_') && !page_codes.contains(&code) {
            assert!(codes.iter().any(|known| known == code), "{code} is not in {codes:?}");
        }
    }
}

#[actix_web::test]
async fn guide_is_public_and_its_menu_depends_on_the_sign_in() {
    let app = TestApp::start().await;
    let signed_out = app.visitor().get("/docs").await;
    let ada = app.sign_up("ada").await;

    assert_eq!(signed_out.status, 200);
    assert!(signed_out.html().texts(".menu a").contains(&"Log in".to_owned()));
    assert!(ada.get("/docs").await.html().texts(".menu a").contains(&"API Keys".to_owned()));
}
