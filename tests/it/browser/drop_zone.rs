//! Dropping a file on the import page.

use crate::support::{Browser, TestApp};

/// Dispatches a drag of one file to the element, and returns whether the page took the drop.
fn drop_script(css: &str) -> String {
    format!(
        "const transfer = new DataTransfer();
         const file = 'Kind,Start,End,State\\nchat,2026-01-01T10:00:00Z,2026-01-01T10:05:00Z,missed\\n';
         transfer.items.add(new File([file], 'calls.csv', {{ type: 'text/csv' }}));
         const target = document.querySelector('{css}');
         const options = {{ bubbles: true, cancelable: true, dataTransfer: transfer }};
         target.dispatchEvent(new DragEvent('dragover', options));
         return !target.dispatchEvent(new DragEvent('drop', options));"
    )
}

#[actix_web::test]
async fn file_dropped_on_the_area_is_chosen_and_uploaded() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    browser.go(&format!("{}/sessions/import", app.url)).await;
    browser.see("[data-drop-hint]", "Drop a file here").await;
    browser.see("[data-drop-zone] .button", "Choose file").await;

    let is_taken_beside = browser.run(&drop_script("h1")).await;
    let chosen_beside = browser.run("return document.querySelector('#file').files.length").await;
    browser.run(&drop_script("[data-drop-zone]")).await;

    assert_eq!((is_taken_beside, chosen_beside), (true.into(), 0.into()), "the page stays as it is");
    browser.see("[data-drop-status]", "calls.csv is ready to upload.").await;
    browser.run("document.querySelector('#encoding').value = 'utf-16'").await;
    browser.press("Upload").await;
    browser.see(".wrong", "The file is UTF-8.").await;
    browser.run(&drop_script("[data-drop-zone]")).await;
    browser.press("Upload").await;
    browser.see("h1", "Match your columns").await;
    browser.press("Check the file").await;
    browser.see("h1", "Review the import").await;
    browser.press("Import").await;
    browser.see("h1", "Sessions imported").await;
    assert_eq!(app.db.query_text("select status || ' ' || channel as answer from sessions"), "missed chat");
    assert!(browser.read_complaints().await.is_empty());
}

#[actix_web::test]
async fn without_javascript_there_is_only_the_file_input() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    browser.sign_up(&app.url, "ada").await;

    browser.go(&format!("{}/sessions/import", app.url)).await;

    browser.find(thirtyfour::By::Css("#file")).await;
    let text = browser.text("main").await;
    assert!(!text.contains("Drop a file") && !text.contains("Choose file"), "{text}");
}
