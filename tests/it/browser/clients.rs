//! Inviting a person, who joins, switches between clients and is removed; with and without JavaScript.

use thirtyfour::By;

use super::choose_action;
use crate::support::{Browser, TestApp, test_app::PASSWORD};

async fn log_out_and_in(browser: &Browser, url: &str, name: &str) {
    browser.press("Log out").await;
    browser.go(&format!("{url}/login")).await;
    browser.fill("Email", &format!("{name}@example.org")).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Log in").await;
    browser.see("h1", "API Keys").await;
}

/// Ada invites Bea, who registers through the link, creates a client of her own, switches back, and is removed.
async fn invite_accept_switch_and_remove(browser: Browser) {
    let app = TestApp::start().await;
    browser.sign_up(&app.url, "ada").await;
    browser.follow("Members").await;
    browser.fill("Email", "bea@example.org").await;
    browser.press("Invite").await;
    browser.see("[role=status]", "Send the link to bea@example.org").await;
    let link = browser.text("[data-link]").await;
    browser.press("Log out").await;

    browser.go(&link).await;
    browser.see("h1", "Join ada").await;
    browser.fill("Name", "bea").await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Accept").await;
    browser.see("[role=status]", "You joined ada with the role Member").await;
    browser.click(".client-menu summary").await;
    browser.follow("New client").await;
    browser.fill("Company", "Second Ltd").await;
    browser.press("Create client").await;
    browser.see("[role=status]", "Created Second Ltd").await;
    assert!(browser.text(".foot-client bdi").await.starts_with("Second Ltd"));
    let switch = browser.driver().find(By::Css(".client-menu form .button")).await.unwrap();
    assert!(!switch.is_displayed().await.unwrap());
    browser.click(".client-menu summary").await;
    browser.press("Switch to ada").await;
    browser.see("h1", "API Keys").await;
    assert!(browser.text(".foot-client bdi").await.starts_with("ada"));

    log_out_and_in(&browser, &app.url, "ada").await;
    browser.follow("Members").await;
    browser.click("tbody tr:nth-child(2) .actions summary").await;
    browser.follow("Remove").await;
    browser.see("h1", "Remove bea?").await;
    browser.press("Remove").await;
    browser.see("[role=status]", "bea is no longer a member.").await;
    assert_eq!(browser.count("[aria-label=Members] tbody tr").await, 1);

    log_out_and_in(&browser, &app.url, "bea").await;
    assert!(browser.text(".foot-client bdi").await.starts_with("Second Ltd"));
    assert_eq!(browser.count(".client-menu form").await, 0);
    assert_eq!(browser.read_complaints().await, [""; 0]);
}

#[actix_web::test]
async fn person_is_invited_joins_switches_and_is_removed() {
    invite_accept_switch_and_remove(Browser::open().await).await;
}

#[actix_web::test]
async fn person_is_invited_joins_switches_and_is_removed_without_javascript() {
    invite_accept_switch_and_remove(Browser::open_without_javascript().await).await;
}

#[actix_web::test]
async fn new_link_is_copied() {
    let app = TestApp::start().await;
    let ada = Browser::open().await;
    ada.sign_up(&app.url, "ada").await;
    ada.follow("Members").await;
    ada.fill("Email", "bea@example.org").await;
    ada.press("Invite").await;
    let link = ada.text("[data-link]").await;

    ada.click("[data-copy]").await;
    ada.see("[data-copy]", "Copied").await;

    let field = ada.input("Email").await;
    field.send_keys(thirtyfour::Key::Control + "v").await.unwrap();
    assert_eq!(field.prop("value").await.unwrap().unwrap(), link);
}

#[actix_web::test]
async fn form_of_a_client_that_is_no_longer_active_is_sent_after_switching() {
    let app = TestApp::start().await;
    let ada = Browser::open().await;
    ada.sign_up(&app.url, "ada").await;
    ada.click(".client-menu summary").await;
    ada.follow("New client").await;
    ada.fill("Company", "Second Ltd").await;
    ada.press("Create client").await;
    ada.see("h1", "API Keys").await;
    ada.fill("Name", "Warehouse").await;
    let switched = ada.run_async(
        "const other = document.querySelector('.client-menu [name=clientId]').value;
         const sent = await fetch('/clients/active', { method: 'POST', body: new URLSearchParams({ clientId: other }) });
         return sent.ok",
    );
    assert_eq!(switched.await, true);

    ada.press("Generate Key").await;
    ada.see("h1", "Which client is this key for?").await;
    ada.press("Generate Key").await;

    ada.see("[role=status]", "The key “Warehouse” is ready.").await;
    assert!(ada.text(".foot-client bdi").await.starts_with("Second Ltd"));
    choose_action(&ada, "Delete").await;
}
