//! Keys are selected and deleted together, with and without JavaScript.

use crate::support::{Browser, TestApp};

const INDEX: &str = "/settings/api-keys";

/// Opens the list of a client with three keys.
async fn open_list(app: &TestApp, browser: &Browser) {
    browser.sign_up(&app.url, "ada").await;
    for name in ["a", "b", "c"] {
        browser.generate(name).await;
    }
    browser.go(&format!("{}{INDEX}", app.url)).await;
}

const DELETE: &str = ".selection button:not([type])";

async fn is_delete_enabled(browser: &Browser) -> bool {
    browser.run(&format!("return !document.querySelector('{DELETE}').disabled")).await == true
}

#[actix_web::test]
async fn header_selects_all_and_the_bar_counts() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    open_list(&app, &browser).await;
    let select_all = "thead [data-select-all]";
    let is_mixed = format!("return document.querySelector('{select_all}').indeterminate");
    assert!(!is_delete_enabled(&browser).await, "nothing to delete");
    let is_shown = format!("return document.querySelector('{DELETE}').checkVisibility()");
    assert_eq!(browser.run(&is_shown).await, false, "the bar is for a selection");

    browser.click("tbody tr:first-child input").await;
    browser.see("[data-selection-count]", "1 selected").await;
    browser.see(DELETE, "Delete 1 key").await;
    assert_eq!(browser.run(&is_mixed).await, true);
    browser.click(select_all).await;
    browser.see("[data-selection-count]", "3 selected").await;
    assert!(is_delete_enabled(&browser).await);
    browser.click(select_all).await;
    assert_eq!(browser.run(&is_shown).await, false);
    browser.click(select_all).await;
    browser.click("[data-selection-clear]").await;
    assert_eq!(browser.run(&is_shown).await, false);
    assert_eq!(browser.count("tbody input:checked").await, 0);
    browser.click(select_all).await;
    browser.press("Delete 3 keys").await;

    browser.see("h1", "Delete these 3 API keys?").await;
}

/// In cards the header is not visible, so the bar has the box.
#[actix_web::test]
async fn bar_selects_all_on_a_phone_and_stays_in_view() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    open_list(&app, &browser).await;
    browser.emulate(360, "light").await;

    browser.click(".selection [data-select-all]").await;
    browser.see("[data-selection-count]", "3 selected").await;
    browser.see(DELETE, "Delete 3 keys").await;
    browser.run("document.querySelector('tbody tr:last-child').scrollIntoView({ block: 'start', behavior: 'instant' })").await;

    let top = browser.run("return document.querySelector('.selection').getBoundingClientRect().top").await;
    assert!((0.0..800.0).contains(&top.as_f64().unwrap()), "the window is 800 px high: {top}");
}

#[actix_web::test]
async fn deleting_nothing_without_javascript_is_an_error() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    open_list(&app, &browser).await;
    assert!(is_delete_enabled(&browser).await);

    browser.press("Delete selected keys").await;

    browser.see("[role=alert]", "No keys selected.").await;
    assert_eq!(browser.driver().title().await.unwrap(), "Error: API Keys · Uptok");
    assert_eq!(browser.count("[role=alert]:focus").await, 1);
    assert_eq!(browser.count("tbody tr").await, 3);
}
