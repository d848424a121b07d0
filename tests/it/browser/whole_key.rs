//! The whole key is shown once: it can be copied and cannot be brought back.

use super::copy_key;
use crate::support::{Browser, TestApp};

const INDEX: &str = "/settings/api-keys";

/// Asserts that the page does not contain the key's secret, and that a page was loaded at all.
async fn assert_no_secret(browser: &Browser, key: &str, when: &str) {
    let source = browser.driver().source().await.unwrap();
    assert!(!source.contains(&key[19..51]), "the secret is back {when}: {source}");
    assert!(source.contains("<body"), "{when}: {source}");
}

#[actix_web::test]
async fn copy_works_over_plain_http_without_the_clipboard_api() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let browser = Browser::open_with_hosts(&[("shop.test", &app.url)]).await;
    browser.sign_up("http://shop.test", "ada").await;
    let key = browser.generate("Warehouse").await;

    let copied = copy_key(&browser).await;

    assert_eq!(browser.run("return typeof navigator.clipboard").await, "undefined");
    assert_eq!(copied, key);
}

#[actix_web::test]
async fn back_and_forward_do_not_show_the_secret_again() {
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

/// Chromium does not put the response to a form into its back/forward cache, but other browsers do. They fire
/// `pagehide` first.
#[actix_web::test]
async fn secret_is_wiped_before_the_page_enters_the_back_forward_cache() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    let leave = async |persisted: bool| {
        browser
            .run(&format!("dispatchEvent(new PageTransitionEvent('pagehide', {{ persisted: {persisted} }}))"))
            .await
    };

    leave(false).await;

    assert_no_secret(&browser, &key, "after pagehide").await;
    assert_eq!(browser.text("tbody code").await, format!("{}_••••", &key[..18]));
    leave(true).await;
    assert_eq!(browser.count("body").await, 0);
}

/// The history has the list instead of the form, so Back does not ask whether to send the form again.
#[actix_web::test]
async fn back_after_generate_shows_the_list() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;

    browser.driver().back().await.unwrap();

    browser.see("tbody th", "Warehouse").await;
    assert_no_secret(&browser, &key, "after Back").await;
    assert_eq!(browser.count("tbody tr").await, 1);
}

#[actix_web::test]
async fn back_after_replace_shows_the_list() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.generate("Warehouse").await;
    super::choose_action(&browser, "Replace").await;
    browser.press("Replace").await;
    let key = browser.text("[data-whole-key-text]").await;
    assert_eq!(browser.path().await, INDEX);
    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;

    browser.driver().back().await.unwrap();

    browser.see("tbody th", "Warehouse").await;
    assert_no_secret(&browser, &key, "after Back").await;
    assert_eq!((browser.path().await.as_str(), browser.count("tbody tr").await), (INDEX, 1));
}

#[actix_web::test]
async fn reload_shows_the_list_without_the_secret() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;

    browser.driver().refresh().await.unwrap();

    browser.see("tbody th", "Warehouse").await;
    assert_no_secret(&browser, &key, "after a reload").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    assert_eq!(browser.count("main [role=status], main [role=alert]").await, 0);
}

#[actix_web::test]
async fn reload_without_javascript_shows_no_secret_and_creates_no_second_key() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;

    // WebDriver's reload confirms the browser's question whether to submit the form again.
    browser.driver().refresh().await.unwrap();

    browser.see("[role=status]", "This form has already created a key").await;
    assert_no_secret(&browser, &key, "after a reload").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
}

#[actix_web::test]
async fn resubmitting_after_back_shows_no_secret_and_creates_no_second_key() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;

    browser.driver().back().await.unwrap();
    browser.driver().refresh().await.unwrap();

    browser.see("[role=status]", "This form has already created a key").await;
    assert_no_secret(&browser, &key, "after Back and a reload").await;
    assert_eq!(browser.count("tbody tr").await, 1);
}

/// The response to a second submission would replace that to the first and has no key to show.
#[actix_web::test]
async fn double_click_creates_one_key_and_shows_it() {
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
async fn back_shows_no_keys_after_logging_out() {
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
