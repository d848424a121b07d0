//! The second factor and confirmations in Chromium, with and without JavaScript.

use crate::{
    accounts::second_factor::{Authenticator, CODE_PAGE, PAGE, forget_used_codes, wait_for_young_step},
    support::{Browser, TestApp, test_app::PASSWORD},
};

async fn log_in(browser: &Browser, url: &str, code: &str) {
    browser.go(&format!("{url}/login")).await;
    browser.fill("Email", "ada@example.org").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Log in").await;
    browser.see("h1", "Enter a code").await;
    assert_eq!(browser.path().await, CODE_PAGE);
    browser.fill("Code", code).await;
    browser.press("Log in").await;
}

/// Sets the second factor up, and returns the app and the recovery codes.
async fn set_up(browser: &Browser, url: &str) -> (Authenticator, Vec<String>) {
    browser.go(&format!("{url}/account")).await;
    browser.follow("Set up second factor").await;
    browser.press("Set up").await;
    let secret = browser.text(".secret code").await;
    let authenticator = Authenticator::new(&secret);
    browser.fill("Code", authenticator.wrong_code()).await;
    browser.press("Turn on").await;
    browser.see(".wrong", "That code is wrong.").await;
    assert_eq!(browser.text(".secret code").await, secret);
    browser.fill("Code", &authenticator.code(0)).await;
    browser.press("Turn on").await;
    browser.see("h1", "Recovery codes").await;
    let codes: Vec<String> = browser.text(".codes").await.lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    browser.follow("Done").await;
    browser.see(".facts", "10 left").await;
    (authenticator, codes)
}

async fn use_second_factor(browser: Browser) {
    let app = TestApp::start().await;
    browser.sign_up(&app.url, "ada").await;
    let (authenticator, codes) = set_up(&browser, &app.url).await;

    browser.press("Log out").await;
    wait_for_young_step().await;
    let code = authenticator.code(1);
    log_in(&browser, &app.url, &code).await;
    browser.see("h1", "API Keys").await;

    browser.press("Log out").await;
    log_in(&browser, &app.url, &code).await;
    browser.see(".wrong", "wrong or was already used").await;
    forget_used_codes(&app);
    log_in(&browser, &app.url, &authenticator.code(-2)).await;
    browser.see(".wrong", "wrong or was already used").await;
    wait_for_young_step().await;
    log_in(&browser, &app.url, &authenticator.code(-1)).await;
    browser.see("h1", "API Keys").await;

    browser.press("Log out").await;
    log_in(&browser, &app.url, &codes[0]).await;
    browser.see("h1", "API Keys").await;
    browser.press("Log out").await;
    log_in(&browser, &app.url, &codes[0]).await;
    browser.see(".wrong", "wrong or was already used").await;
    log_in(&browser, &app.url, &codes[1]).await;
    browser.go(&format!("{}{PAGE}", app.url)).await;
    browser.see(".facts", "8 left").await;
    browser.press("Turn off").await;
    browser.see("[role=status]", "Your second factor is off.").await;
    assert_eq!(browser.read_complaints().await, Vec::<String>::new());
}

#[actix_web::test]
async fn second_factor_is_set_up_and_used() {
    use_second_factor(Browser::open().await).await;
}

#[actix_web::test]
async fn second_factor_is_set_up_and_used_without_javascript() {
    use_second_factor(Browser::open_without_javascript().await).await;
}

async fn confirm_form(browser: Browser) {
    let app = TestApp::start().await;
    browser.sign_up(&app.url, "ada").await;
    browser.fill("Name", "Warehouse").await;
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours'");

    browser.press("Generate Key").await;
    browser.see("h1", "Confirm it’s you").await;
    browser.fill("Password", "not my password!").await;
    browser.press("Confirm").await;
    browser.see(".wrong", "Incorrect password.").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Confirm").await;

    assert!(browser.text("[data-whole-key-text]").await.starts_with("uptok_"));
    browser.see("tbody th", "Warehouse").await;
    assert_eq!(browser.read_complaints().await, Vec::<String>::new());
}

#[actix_web::test]
async fn form_is_completed_after_a_confirmation() {
    confirm_form(Browser::open().await).await;
}

#[actix_web::test]
async fn form_is_completed_after_a_confirmation_without_javascript() {
    confirm_form(Browser::open_without_javascript().await).await;
}

#[actix_web::test]
async fn reload_and_back_show_no_secret_and_send_no_form() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.go(&format!("{}{PAGE}", app.url)).await;
    browser.press("Set up").await;
    let authenticator = Authenticator::new(&browser.text(".secret code").await);
    assert_eq!(browser.path().await, PAGE);
    browser.fill("Code", &authenticator.code(0)).await;
    browser.press("Turn on").await;
    browser.see("h1", "Recovery codes").await;
    assert_eq!(browser.path().await, PAGE);

    browser.driver().refresh().await.unwrap();
    browser.see("h1", "Second factor").await;
    assert_eq!(browser.count(".codes").await, 0);
    browser.go(&format!("{}/sessions", app.url)).await;
    browser.driver().back().await.unwrap();
    browser.see("h1", "Second factor").await;
    assert_eq!(browser.count(".codes").await, 0);
}
