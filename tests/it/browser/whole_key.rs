//! The whole key is shown once: it can be copied, and it does not come back.

use super::copied;
use crate::support::{Browser, TestApp};

const INDEX: &str = "/settings/api-keys";

/// Asserts that nothing of this page has the secret of the key, and that it is not the browser's blank page.
async fn assert_no_secret(browser: &Browser, key: &str, when: &str) {
    let source = browser.driver().source().await.unwrap();
    assert!(!source.contains(&key[19..51]), "the secret is back {when}: {source}");
    assert!(source.contains("<body"), "{when}: {source}");
}

#[actix_web::test]
async fn copy_works_on_plain_http_where_there_is_no_clipboard() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let browser = Browser::knowing(&[("shop.test", &app.url)]).await;
    browser.sign_up("http://shop.test", "ada").await;
    let key = browser.generate("Warehouse").await;

    let copied = copied(&browser).await;

    assert_eq!(browser.run("return typeof navigator.clipboard").await, "undefined");
    assert_eq!(copied, key);
}

#[actix_web::test]
async fn the_secret_does_not_come_back_with_back_or_forward() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    let driver = browser.driver();

    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;
    driver.back().await.unwrap();
    assert_no_secret(&browser, &key, "after Back").await;
    driver.back().await.unwrap();
    browser.see("h1", "API Keys").await;
    assert_no_secret(&browser, &key, "after Back twice").await;
    driver.forward().await.unwrap();
    assert_no_secret(&browser, &key, "after Forward").await;
    driver.forward().await.unwrap();
    browser.see("h1", "Sessions").await;

    assert_no_secret(&browser, &key, "after Forward twice").await;
}

/// Chromium keeps no page in its back/forward cache that answered a form; others do. They say `pagehide` before.
#[actix_web::test]
async fn the_secret_is_wiped_before_a_browser_keeps_the_page() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;

    browser.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))").await;

    assert_no_secret(&browser, &key, "after pagehide").await;
    assert_eq!(browser.text("tbody code").await, format!("{}_••••", &key[..18]));
}

#[actix_web::test]
async fn a_reload_shows_no_secret_and_makes_no_second_key() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;

    // WebDriver's reload is one whose question, whether to send the form again, was answered with yes.
    browser.driver().refresh().await.unwrap();

    browser.see("[role=status]", "This form has made its key already.").await;
    assert_no_secret(&browser, &key, "after a reload").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
}

#[actix_web::test]
async fn a_form_sent_again_after_back_shows_no_secret_and_makes_no_second_key() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;

    browser.driver().back().await.unwrap();
    browser.driver().refresh().await.unwrap();

    browser.see("[role=status]", "This form has made its key already.").await;
    assert_no_secret(&browser, &key, "after Back and a reload").await;
    assert_eq!(browser.count("tbody tr").await, 1);
}

/// A second form that is sent before the answer to the first would be shown instead of it, and has no key to show.
#[actix_web::test]
async fn a_double_click_makes_one_key_and_shows_it() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.fill("Name", "Warehouse").await;

    let times_sent = browser
        .run(
            "let times = 0;
             addEventListener('submit', (event) => { if (!event.defaultPrevented) times++; });
             const button = document.querySelector('form.generate button');
             button.click();
             button.click();
             return times;",
        )
        .await;

    browser.see("[role=status]", "The key “Warehouse” is ready.").await;
    let key = browser.text("[data-whole-key-text]").await;
    assert_eq!(times_sent, 1);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    browser.go(&format!("{}{INDEX}", app.url)).await;
    assert_eq!(browser.count("tbody tr").await, 1);
}

#[actix_web::test]
async fn after_logging_out_back_shows_no_keys() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    browser.go(&format!("{}{INDEX}", app.url)).await;

    browser.press("Log out").await;
    browser.see("h1", "Log in").await;
    browser.driver().back().await.unwrap();

    assert_no_secret(&browser, &key, "after logging out and Back").await;
    browser.see("h1", "Log in").await;
    assert_eq!(browser.count("tbody tr").await, 0);
}
