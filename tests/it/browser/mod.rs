//! What a person sees and does, in a real Chromium.

mod accessibility;
mod keyboard;
mod markup;
mod origins;
mod walk;
mod whole_key;

use thirtyfour::Key;

use crate::support::Browser;

/// Presses Copy, and pastes.
async fn copied(browser: &Browser) -> String {
    browser.click("[data-copy]").await;
    browser.see("[data-copied]", "Copied").await;
    pasted(browser).await
}

/// Pastes what the clipboard has into the empty field of the form.
async fn pasted(browser: &Browser) -> String {
    let field = browser.input("Name").await;
    field.send_keys(Key::Control + "v").await.unwrap();
    field.prop("value").await.unwrap().unwrap()
}

/// Opens the action menu of the only key and chooses an entry.
async fn choose(browser: &Browser, entry: &str) {
    browser.click(".actions summary").await;
    browser.see(".actions[open] ul", entry).await;
    browser.follow(entry).await;
}
