//! Forgotten passwords and lost sign-ins in Chromium, with and without JavaScript.

use crate::support::{Browser, SmtpServer, TestApp, test_app::PASSWORD};

const NEW_PASSWORD: &str = "another long password";

async fn log_in(browser: &Browser, password: &str) {
    browser.fill("Email", "ada@example.org").await;
    browser.fill("Password", password).await;
    browser.press("Log in").await;
}

async fn set_new_password(browser: Browser) {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let other = app.sign_up("ada").await;

    browser.go(&format!("{}/login", app.url)).await;
    browser.follow("Forgot password?").await;
    browser.fill("Email", "ada@example.org").await;
    browser.press("Send link").await;
    browser.see("[role=status]", "a link is on its way").await;
    let link = smtp.next().await.link(&app.url);
    browser.go(&format!("{}{link}", app.url)).await;
    browser.fill("New password", NEW_PASSWORD).await;
    browser.press("Set password").await;
    browser.see("[role=status]", "The new password of ada@example.org is set.").await;
    browser.follow("Log in").await;
    log_in(&browser, NEW_PASSWORD).await;

    browser.see("h1", "API Keys").await;
    other.get("/sessions").await.assert_sent_to("/login");
    assert_eq!(browser.read_complaints().await, Vec::<String>::new());
}

#[actix_web::test]
async fn forgotten_password_is_set_with_a_mailed_link() {
    set_new_password(Browser::open().await).await;
}

#[actix_web::test]
async fn forgotten_password_is_set_without_javascript() {
    set_new_password(Browser::open_without_javascript().await).await;
}

async fn lose_no_form(browser: Browser) {
    let app = TestApp::start().await;
    browser.sign_up(&app.url, "ada").await;
    browser.fill("Name", "Warehouse").await;
    app.db.execute("delete from sign_ins");

    browser.press("Generate Key").await;
    browser.see("[role=status]", "You were logged out.").await;
    log_in(&browser, PASSWORD).await;
    browser.see("h1", "Send your form").await;
    browser.press("Send").await;

    assert!(browser.text("[data-whole-key-text]").await.starts_with("uptok_"));
    browser.see("tbody th", "Warehouse").await;
}

#[actix_web::test]
async fn form_that_was_sent_after_the_sign_in_had_ended_is_not_lost() {
    lose_no_form(Browser::open().await).await;
}

#[actix_web::test]
async fn form_is_not_lost_without_javascript() {
    lose_no_form(Browser::open_without_javascript().await).await;
}

#[actix_web::test]
async fn typed_password_can_be_shown_and_is_hidden_again_before_it_is_sent() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    let browser = Browser::open().await;
    browser.go(&format!("{}/login", app.url)).await;
    browser.fill("Email", "ada@example.org").await;
    browser.fill("Password", PASSWORD).await;
    let kind = async || browser.input("Password").await.attr("type").await.unwrap().unwrap();

    assert_eq!(kind().await, "password");
    browser.click("[aria-label='Show password']").await;
    assert_eq!(kind().await, "text");
    browser.click("[aria-label='Hide password']").await;
    assert_eq!(kind().await, "password");
    browser.click("[aria-label='Show password']").await;
    let sent = "const form = document.querySelector('main form'), types = []; \
                form.addEventListener('submit', (event) => { event.preventDefault(); \
                types.push(form.elements.password.type); }); form.requestSubmit(); return types";
    assert_eq!(browser.run(sent).await, serde_json::json!(["password"]));
}
