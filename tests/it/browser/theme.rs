//! The theme switch, with and without JavaScript.

use thirtyfour::By;

use crate::support::{Browser, TestApp};

const BACKGROUND: &str = "return getComputedStyle(document.body).backgroundColor";
const DARK: &str = "rgb(18, 20, 26)";
const LIGHT: &str = "rgb(255, 255, 255)";

async fn press_theme(browser: &Browser, theme: &str) {
    browser.click(&format!(".themes [value={theme}]")).await;
}

#[actix_web::test]
async fn theme_changes_at_once_and_keeps_what_the_page_shows() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.emulate(1280, "light").await;
    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;

    press_theme(&browser, "dark").await;

    assert_eq!(browser.run(BACKGROUND).await, DARK);
    assert_eq!(browser.text("[data-whole-key-text]").await, key, "the page is not loaded again");
    press_theme(&browser, "light").await;
    press_theme(&browser, "dark").await;
    browser.see(".themes [value=dark][aria-pressed=true]", "").await;
    browser.follow("Sessions").await;
    assert_eq!(browser.run(BACKGROUND).await, DARK);
    assert_eq!(browser.read_complaints().await, [""; 0]);
}

#[actix_web::test]
async fn system_theme_follows_the_system() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.go(&format!("{}/login", app.url)).await;
    press_theme(&browser, "light").await;
    browser.emulate(1280, "dark").await;
    assert_eq!(browser.run(BACKGROUND).await, LIGHT);

    press_theme(&browser, "system").await;

    assert_eq!(browser.run(BACKGROUND).await, DARK);
    browser.emulate(1280, "light").await;
    assert_eq!(browser.run(BACKGROUND).await, LIGHT);
}

#[actix_web::test]
async fn theme_works_without_javascript() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    browser.sign_up(&app.url, "ada").await;
    browser.go(&format!("{}/settings/usage?per=hour", app.url)).await;

    browser.click_and_leave(By::Css(".themes [value=dark]")).await;

    browser.see("h1", "Usage").await;
    assert_eq!(browser.path().await, "/settings/usage");
    assert_eq!(browser.count("html[data-theme=dark]").await, 1);
    browser.click_and_leave(By::Css(".themes [value=system]")).await;
    assert_eq!(browser.count("html[data-theme]").await, 0);
}

/// The drawer is a popover, which the browser opens without scripts.
#[actix_web::test]
async fn menu_opens_on_a_phone_without_javascript() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    browser.sign_up(&app.url, "ada").await;
    browser.emulate(390, "light").await;
    assert_eq!(browser.text(".side").await.trim(), "Uptok\nMenu", "the bar is one line");

    browser.click(".side > .panel-button").await;

    browser.see(".menu a", "Sessions").await;
    browser.follow("Sessions").await;
    browser.see("h1", "Sessions").await;
}

#[actix_web::test]
async fn unchecked_boxes_do_not_look_disabled_in_the_dark() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.emulate(1280, "dark").await;
    browser.click(".more > summary").await;
    let of_box = |property: &str| {
        let find = "document.querySelector('.boxes input:not(:checked)')";
        format!("const it = {find}; return getComputedStyle(it)['{property}']")
    };

    // The browser's own unchecked box is filled with grey, which is how it draws a disabled one.
    assert_eq!(browser.run(&of_box("appearance")).await, "none");
    assert_eq!(browser.run(&of_box("opacity")).await, "1");
    let card = browser.run("return getComputedStyle(document.querySelector('.card')).backgroundColor").await;
    assert_eq!(browser.run(&of_box("backgroundColor")).await, card);
}
