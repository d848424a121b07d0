//! A key from registration to deletion, with and without JavaScript.

use thirtyfour::{By, Key};

use super::{choose_action, copy_key};
use crate::support::{Browser, TestApp};

#[actix_web::test]
async fn key_is_generated_copied_used_and_deleted() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;

    browser.sign_up(&app.url, "ada").await;
    let key = browser.generate("Warehouse").await;
    let copied = copy_key(&browser).await;
    let reply = app.export(&[("clientKey", &copied)]).await;
    choose_action(&browser, "Delete").await;
    browser.see("h1", "Delete this API key?").await;
    browser.press("Delete").await;

    browser.see("[role=status]", "“Warehouse” was deleted").await;
    assert_eq!(copied, key);
    assert_eq!((reply.status.as_u16(), &reply.json()["totalSessions"]), (200, &0.into()));
    assert_eq!(browser.count("tbody tr").await, 0);
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401);
    assert_eq!(browser.read_complaints().await, [""; 0]);
}

#[actix_web::test]
async fn key_is_selected_replaced_and_deleted_without_javascript() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;

    browser.sign_up(&app.url, "ada").await;
    let old = browser.generate("Warehouse").await;
    let selected = select_and_copy_key(&browser).await;
    choose_action(&browser, "Replace").await;
    browser.see("h1", "Replace this API key?").await;
    browser.press("Replace").await;
    browser.see("[role=status]", "The new key “Warehouse” is ready.").await;
    let new = browser.text("[data-whole-key-text]").await;

    assert_eq!(selected, old);
    assert_eq!(app.export(&[("clientKey", &old)]).await.status, 401);
    assert_eq!(app.export(&[("clientKey", &new)]).await.json()["totalSessions"], 0);
    choose_action(&browser, "Delete").await;
    browser.press("Delete").await;
    browser.see("[role=status]", "“Warehouse” was deleted").await;
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 401);
}

#[actix_web::test]
async fn key_gets_a_lifetime_and_is_replaced_with_grace_without_javascript() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;

    browser.sign_up(&app.url, "ada").await;
    assert_eq!(browser.text(".send .hint").await, "Expires in 90 days");
    browser.click(".more > summary").await;
    browser.click("input[name=expires][value='30']").await;
    browser.click(".more > summary").await;
    assert_eq!(browser.text(".send .hint").await, "Expires in 30 days");
    let old = browser.generate("Warehouse").await;
    browser.see("[role=status]", "It expires in 30 days.").await;
    choose_action(&browser, "Replace").await;
    browser.click("input[name=graceSeconds][value='86400']").await;
    browser.press("Replace").await;
    browser.see("[role=status]", "The old one ends in 24 hours").await;
    let new = browser.text("[data-whole-key-text]").await;

    for key in [&old, &new] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    }
    browser.go(&format!("{}/settings/api-keys?status=replaced", app.url)).await;
    browser.click("input[name=key]").await;
    browser.press("Delete selected keys").await;
    browser.see("h1", "Delete this API key?").await;
    browser.press("Delete").await;
    browser.see("[role=status]", "1 key was deleted.").await;
    assert_eq!(app.export(&[("clientKey", &old)]).await.status, 401);
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 200);
}

/// Selects and copies the field that holds the key, and returns the clipboard.
async fn select_and_copy_key(browser: &Browser) -> String {
    let field =
        browser.find(By::XPath("//label[starts-with(normalize-space(), 'The whole key')]/input")).await;
    assert_eq!(field.attr("readonly").await.unwrap().as_deref(), Some("true"));
    assert!(!browser.driver().find(By::Css("[data-copy]")).await.unwrap().is_displayed().await.unwrap());
    field.send_keys(Key::Control + "a").await.unwrap();
    field.send_keys(Key::Control + "c").await.unwrap();
    super::paste(browser).await
}
