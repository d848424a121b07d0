//! Copying an id from the page of a session.

use thirtyfour::Key;

use crate::support::{Browser, TestApp};

/// Signs up, records a session, opens its page and returns its `sessionId`.
async fn open_session(browser: &Browser, app: &TestApp) -> String {
    browser.sign_up(&app.url, "ada").await;
    let client = browser.text(".foot-block code").await;
    app.record(&client, 1);
    let session_id = app.db.query_text("select session_id::text as answer from sessions");
    browser.go(&format!("{}/sessions/{session_id}", app.url)).await;
    session_id
}

#[actix_web::test]
async fn id_is_copied_from_the_button_beside_it() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    let session_id = open_session(&browser, &app).await;

    browser.click("[aria-label='Copy Session ID']").await;
    browser.see("[aria-label='Copy Session ID']", "Copied").await;
    let announced = browser.run("return document.querySelector('[data-copied]').textContent").await;
    browser.go(&format!("{}/sessions", app.url)).await;
    let search = browser.input("Search").await;
    search.send_keys(Key::Control + "v").await.unwrap();

    assert_eq!(search.prop("value").await.unwrap(), Some(session_id));
    assert_eq!(announced, "Copied");
    assert_eq!(browser.read_complaints().await, [""; 0]);
}

#[actix_web::test]
async fn without_javascript_there_is_no_button_to_copy() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    open_session(&browser, &app).await;

    browser.see("h1", "Missed video call").await;
    assert_eq!(browser.count("[data-copy]:not([hidden])").await, 0);
}
