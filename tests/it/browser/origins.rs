//! What pages of this and of other sites may do.

use crate::support::{Browser, OtherSite, TestApp, test_app::PASSWORD};

#[actix_web::test]
async fn the_javascript_sample_works_on_the_page_that_prints_it() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
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
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// What the first documentation told people to write: a `Content-Type` by hand, so that no boundary is sent.
fn first_sample(app: &TestApp, key: &str) -> String {
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
async fn the_first_documentations_sample_works_on_other_sites() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    app.record(&ada.client_id().await, 60);
    let sample = first_sample(&app, &ada.generate("docs").await);
    // Their page, and in it one whose origin is `null`.
    let site =
        OtherSite::showing("<title>A shop</title><iframe sandbox='allow-scripts' srcdoc='x'></iframe>");
    let browser = Browser::open().await;

    browser.go(&site.cross_site()).await;
    let to_a_site = browser.run_async(&sample).await;
    browser.driver().enter_frame(0).await.unwrap();
    let to_null = browser.run_async(&sample).await;

    assert_eq!(to_a_site, serde_json::json!([60, 2, 50, 10]));
    assert_eq!(browser.run("return origin").await, "null");
    assert_eq!(to_null, to_a_site);
}

/// A page that sends a form as soon as it is open.
fn trap(url: &str, fields: &[(&str, &str)]) -> OtherSite {
    let inputs = fields.iter().map(|(name, value)| format!("<input name='{name}' value='{value}'>"));
    OtherSite::showing(format!(
        "<body onload='document.forms[0].submit()'><form method='post' action='{url}'>{}</form>",
        inputs.collect::<Vec<_>>().concat()
    ))
}

/// Opens a trap and returns the status of the page it ends at, which is one of ours.
async fn sprung(browser: &Browser, trap: &str, path: &str) -> serde_json::Value {
    browser.go(trap).await;
    browser.see("main h1", "").await;
    assert_eq!(browser.path().await, path);
    browser.run("return performance.getEntriesByType('navigation')[0].responseStatus").await
}

/// Everything that a form of another site could want to change.
async fn assert_nothing_has_changed(app: &TestApp, browser: &Browser, url: &str, key: &str) {
    assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    assert_eq!(app.db.ask("select count(*)::text as answer from api_keys"), "1");
    assert_eq!(app.db.ask("select count(*)::text as answer from questions"), "0");
    browser.go(&format!("{url}/settings/api-keys")).await;
    assert!(browser.text(".foot-user").await.contains("ada"), "{}", browser.page().await);
}

/// Springs every trap on somebody who is logged in at `url`; `lure` says at which address a trap stands.
async fn assert_traps_are_refused(
    app: &TestApp,
    browser: &Browser,
    url: &str,
    lure: impl Fn(&OtherSite) -> String,
) {
    let mallory = [("email", "mallory@example.org"), ("password", PASSWORD)];
    app.signed_up("mallory").await;
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
        let trap = trap(&format!("{url}{path}"), fields);

        let status = sprung(browser, &lure(&trap), path).await;

        assert_eq!(status, 403, "{path}");
        assert_nothing_has_changed(app, browser, url, &key).await;
    }
}

#[actix_web::test]
async fn forms_of_another_site_are_refused() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;

    assert_traps_are_refused(&app, &browser, &app.url, OtherSite::cross_site).await;
}

/// Their requests carry the cookies: only where they come from tells them apart.
#[actix_web::test]
async fn forms_of_another_port_of_our_host_are_refused() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;

    assert_traps_are_refused(&app, &browser, &app.url, OtherSite::same_site).await;
}

/// Where browsers send no `Sec-Fetch-Site`.
#[actix_web::test]
async fn forms_of_another_site_are_refused_on_plain_http_too() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let browser = Browser::knowing(&[("shop.test", &app.url), ("evil.test:*", "http://127.0.0.1")]).await;

    let lure = |trap: &OtherSite| trap.cross_site().replace("localhost", "evil.test");
    assert_traps_are_refused(&app, &browser, "http://shop.test", lure).await;
}

#[actix_web::test]
async fn no_page_of_another_site_can_frame_ours() {
    let app = TestApp::start().await;
    let site = OtherSite::showing(format!("<title>A shop</title><iframe src='{}/login'></iframe>", app.url));
    let browser = Browser::open().await;

    for url in [site.cross_site(), site.same_site()] {
        browser.go(&url).await;
        browser.driver().enter_frame(0).await.unwrap();

        assert_eq!(browser.count("main").await, 0, "{}", browser.page().await);
        let complaints = browser.complaints().await;
        assert!(complaints.iter().any(|it| it.contains("frame-ancestors")), "{complaints:?}");
    }
}
