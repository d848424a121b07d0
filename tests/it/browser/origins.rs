//! What pages of other origins can do: call the API, but neither submit our forms nor frame our pages.

use crate::support::{Browser, OtherSite, TestApp, test_app::PASSWORD};

#[actix_web::test]
async fn javascript_sample_works_on_the_page_that_prints_it() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 60);
    let key = ada.generate("docs").await;
    let browser = Browser::open().await;

    browser.go(&format!("{}/docs", app.url)).await;
    let sample = browser.text("#sample-javascript").await.replace("YOUR_API_KEY", &key);
    let logged = browser
        .run_async(&format!(
            "return new Promise((done) => {{
               console.log = (total, sessions) => done([total, sessions.length]);
               {sample}
             }});"
        ))
        .await;

    assert_eq!(logged, serde_json::json!([60, 50]), "{sample}");
    assert_eq!(browser.read_complaints().await, [""; 0]);
}

/// The first documentation set `Content-Type` by hand, so the request has no multipart boundary. Such pages
/// must keep working.
fn first_documentation_sample(app: &TestApp, key: &str) -> String {
    format!(
        "const formData = new FormData()
         formData.append('clientKey', '{key}')
         formData.append('page', 2)
         formData.append('perPage', 50)
         const Url = '{}/api/sessions/export-csv-data'
         return fetch(Url, {{ method: 'POST', body: formData, headers: {{ 'Content-Type': 'multipart/form-data' }} }})
           .then(res => res.json())
           .then(data => [data.totalSessions, data.totalPages, data.recordsPerPage, data.data.length])",
        app.url
    )
}

#[actix_web::test]
async fn sample_of_the_first_documentation_works_on_other_sites() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.record(&ada.client_id().await, 60);
    let sample = first_documentation_sample(&app, &ada.generate("docs").await);
    // A shop's page that contains a sandboxed frame, whose origin is `null`.
    let site = OtherSite::serve("<title>A shop</title><iframe sandbox='allow-scripts' srcdoc='x'></iframe>");
    let browser = Browser::open().await;

    browser.go(&site.cross_site()).await;
    let from_site = browser.run_async(&sample).await;
    browser.driver().enter_frame(0).await.unwrap();
    let from_null_origin = browser.run_async(&sample).await;

    assert_eq!(from_site, serde_json::json!([60, 2, 50, 10]));
    assert_eq!(browser.run("return origin").await, "null");
    assert_eq!(from_null_origin, from_site);
}

/// Serves a page that submits a form to `url` as soon as it loads.
fn serve_trap(url: &str, fields: &[(&str, &str)]) -> OtherSite {
    let inputs = fields.iter().map(|(name, value)| format!("<input name='{name}' value='{value}'>"));
    OtherSite::serve(format!(
        "<body onload='document.forms[0].submit()'><form method='post' action='{url}'>{}</form>",
        inputs.collect::<Vec<_>>().concat()
    ))
}

/// Opens a trap, waits for our page at `path`, and returns its HTTP status.
async fn open_trap(browser: &Browser, trap: &str, path: &str) -> serde_json::Value {
    browser.go(trap).await;
    browser.see("main h1", "").await;
    assert_eq!(browser.path().await, path);
    browser.run("return performance.getEntriesByType('navigation')[0].responseStatus").await
}

/// Checks everything that a forged form could have changed.
async fn assert_nothing_has_changed(app: &TestApp, browser: &Browser, url: &str, key: &str) {
    assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "1");
    assert_eq!(app.db.query_text("select count(*)::text as answer from questions"), "0");
    browser.go(&format!("{url}/settings/api-keys")).await;
    assert!(browser.text(".foot-user").await.contains("ada"), "{}", browser.page().await);
}

/// Submits forged forms for every kind of write while signed in at `url`. `lure` returns the URL to open for
/// a trap.
async fn assert_forged_forms_are_refused(
    app: &TestApp,
    browser: &Browser,
    url: &str,
    lure: impl Fn(&OtherSite) -> String,
) {
    let mallory = [("email", "mallory@example.org"), ("password", PASSWORD)];
    app.sign_up("mallory").await;
    browser.sign_up(url, "ada").await;
    let key = browser.generate("Warehouse").await;
    let delete = format!("/settings/api-keys/{}/delete", &key[..18]);
    let question = [("name", "Ada"), ("email", "ada@example.org"), ("question", "Why?")];
    let traps: [(&str, &[(&str, &str)]); 5] = [
        ("/settings/api-keys", &[("name", "Mine")]),
        (&delete, &[]),
        ("/logout", &[]),
        ("/login", &mallory),
        ("/questions", &question),
    ];
    for (path, fields) in traps {
        let trap = serve_trap(&format!("{url}{path}"), fields);

        let status = open_trap(browser, &lure(&trap), path).await;

        assert_eq!(status, 403, "{path}");
        assert_nothing_has_changed(app, browser, url, &key).await;
    }
}

#[actix_web::test]
async fn forms_from_another_site_are_refused() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;

    assert_forged_forms_are_refused(&app, &browser, &app.url, OtherSite::cross_site).await;
}

/// Another port is the same site: the browser sends the cookies, and only the origin differs.
#[actix_web::test]
async fn forms_from_another_port_of_the_same_host_are_refused() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;

    assert_forged_forms_are_refused(&app, &browser, &app.url, OtherSite::same_site).await;
}

/// Browsers send no `Sec-Fetch-Site` to plain HTTP.
#[actix_web::test]
async fn forms_from_another_site_are_refused_over_plain_http() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let browser =
        Browser::open_with_hosts(&[("shop.test", &app.url), ("evil.test:*", "http://127.0.0.1")]).await;

    let lure = |trap: &OtherSite| trap.cross_site().replace("localhost", "evil.test");
    assert_forged_forms_are_refused(&app, &browser, "http://shop.test", lure).await;
}

#[actix_web::test]
async fn other_sites_cannot_frame_our_pages() {
    let app = TestApp::start().await;
    let site = OtherSite::serve(format!("<title>A shop</title><iframe src='{}/login'></iframe>", app.url));
    let browser = Browser::open().await;

    for url in [site.cross_site(), site.same_site()] {
        browser.go(&url).await;
        browser.driver().enter_frame(0).await.unwrap();

        assert_eq!(browser.count("main").await, 0, "{}", browser.page().await);
        let complaints = browser.read_complaints().await;
        assert!(complaints.iter().any(|it| it.contains("frame-ancestors")), "{complaints:?}");
    }
}
