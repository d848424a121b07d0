//! Every task can be done with the keyboard alone, with a visible focus.

use thirtyfour::Key;

use crate::support::{Browser, TestApp, test_app::PASSWORD};

/// Whether the focused element is in view, not covered, and has a focus ring.
const FOCUS_IS_VISIBLE: &str = "
    const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return it.matches(':focus-visible') && it.contains(top)
        && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2";

async fn has_focus(browser: &Browser, css: &str) -> bool {
    browser.run(&format!("return document.activeElement.matches('{css}')")).await == true
}

async fn assert_focus_is_visible(browser: &Browser) {
    let element = browser.run("return document.activeElement.outerHTML").await;
    assert_eq!(browser.run(FOCUS_IS_VISIBLE).await, true, "one cannot see that the focus is on {element}");
}

/// Presses Tab until the focus is on a matching element, and checks at each stop that the focus is visible.
async fn tab_to(browser: &Browser, css: &str) {
    for _stop in 0..20 {
        browser.keys(Key::Tab).await;
        assert_focus_is_visible(browser).await;
        if has_focus(browser, css).await {
            return;
        }
    }
    panic!("20 times Tab do not reach {css}\n{}", browser.page().await);
}

#[actix_web::test]
async fn keyboard_reaches_everything_from_login_to_deleting_a_key() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    let browser = Browser::open().await;
    browser.go(&format!("{}/login", app.url)).await;

    assert!(has_focus(&browser, "#field-email").await, "typing can begin at once");
    assert_focus_is_visible(&browser).await;
    browser.keys("ada@example.org").await;
    tab_to(&browser, "#field-password").await;
    browser.keys(PASSWORD).await;
    tab_to(&browser, ".stack > .button").await;
    browser.keys(Key::Enter).await;
    browser.see("h1", "API Keys").await;
    tab_to(&browser, "#key-name").await;
    browser.keys("Warehouse").await;
    tab_to(&browser, ".generate button").await;
    browser.keys(Key::Enter).await;
    browser.see("[role=status]", "The key “Warehouse” is ready.").await;
    assert!(has_focus(&browser, "[data-copy]").await, "Copy is next");
    assert_focus_is_visible(&browser).await;
    browser.keys(Key::Enter).await;
    browser.see("[data-copy-label]", "Copied").await;
    tab_to(&browser, "tbody .actions summary").await;
    browser.keys(Key::Enter).await;
    tab_to(&browser, ".actions[open] a[href$=delete]").await;
    browser.keys(Key::Enter).await;

    browser.see("h1", "Delete this API key?").await;
}

#[actix_web::test]
async fn escape_closes_the_action_menu_and_keeps_the_focus_on_it() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.generate("Warehouse").await;
    tab_to(&browser, "tbody .actions summary").await;
    browser.keys(Key::Enter).await;
    tab_to(&browser, ".actions[open] a").await;

    browser.keys(Key::Escape).await;

    assert_eq!(browser.count(".actions[open]").await, 0);
    assert!(has_focus(&browser, "tbody .actions summary").await);
    assert_focus_is_visible(&browser).await;
}

#[actix_web::test]
async fn first_tab_stop_skips_to_the_content() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.go(&format!("{}/settings/api-keys", app.url)).await;

    browser.keys(Key::Tab).await;
    assert_focus_is_visible(&browser).await;
    browser.keys(Key::Enter).await;
    browser.keys(Key::Tab).await;

    assert!(has_focus(&browser, "main *").await);
}
