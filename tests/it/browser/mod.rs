//! Tests in a real Chromium.

mod accessibility;
mod accounts;
mod back_forward_cache;
mod clients;
mod copy_id;
mod drop_zone;
mod keyboard;
mod lighthouse;
mod links;
mod markup;
mod origins;
mod phone;
mod second_factor;
mod selection;
mod tables;
mod theme;
mod walk;
mod whole_key;

use thirtyfour::Key;

use crate::support::Browser;

/// Presses Copy and returns what the clipboard then holds.
async fn copy_key(browser: &Browser) -> String {
    browser.click("[data-copy]").await;
    browser.see("[data-copy-label]", "Copied").await;
    paste(browser).await
}

/// Pastes the clipboard into the empty form field and returns its value.
async fn paste(browser: &Browser) -> String {
    let field = browser.input("Name").await;
    field.send_keys(Key::Control + "v").await.unwrap();
    field.prop("value").await.unwrap().unwrap()
}

/// Opens the action menu of the only key and chooses an entry.
async fn choose_action(browser: &Browser, entry: &str) {
    browser.click("tbody .actions summary").await;
    browser.see(".actions[open] ul", entry).await;
    browser.follow(entry).await;
}
