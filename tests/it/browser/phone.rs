//! The list of sessions and the page header on a phone, 390 px wide.

use serde_json::Value;
use thirtyfour::By;

use crate::support::{Browser, TestApp};

const WIDTH: u32 = 390;
/// Maximum height of the list with 50 sessions, in CSS pixels.
const LIST_HEIGHT_MAX: u64 = 5_500;

async fn open_list(browser: &Browser, app: &TestApp) {
    browser.emulate(WIDTH, "light").await;
    browser.go(&format!("{}/sessions", app.url)).await;
}

/// Signs up and records 60 sessions: the first two without an agent, the third without a shopper.
async fn record_sessions(browser: &Browser, app: &TestApp) {
    browser.sign_up(&app.url, "ada").await;
    let client = browser.text(".foot-block code").await;
    app.record(&client, 60);
    app.db.change_sessions(
        "update sessions set created_at = (now() at time zone 'UTC' - sequence * interval '1 minute') at time zone 'UTC', ended_at = now(), \
         agent_name = case when sequence > 2 then 'Amélie Laurent' end, \
         shopper_name = case when sequence <> 3 then 'Hannah Schulz-Wagenknecht' end, \
         duration_seconds = case when sequence % 2 = 0 then 1271 end, wait_seconds = 12, queue_name = 'Kitchens', \
         rating = 4, order_id = 'A-10007'",
    );
}

/// The roles of the accessible elements inside the table of sessions, without those that are ignored.
async fn count_roles(browser: &Browser, role: &str) -> usize {
    browser.devtools("Accessibility.enable", serde_json::json!({})).await;
    let table = browser
        .devtools(
            "Runtime.evaluate",
            serde_json::json!({ "expression": "document.querySelector('table.session-table')" }),
        )
        .await;
    let object = table["result"]["objectId"].clone();
    let found = browser
        .devtools("Accessibility.queryAXTree", serde_json::json!({ "objectId": object, "role": role }))
        .await;
    let is_exposed = |node: &&Value| node["ignored"] == false;
    found["nodes"].as_array().unwrap().iter().filter(is_exposed).count()
}

#[actix_web::test]
async fn fifty_sessions_are_short_and_remain_a_table() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    record_sessions(&browser, &app).await;

    open_list(&browser, &app).await;

    assert_eq!(browser.count(".session-table tbody tr").await, 50);
    let height = browser.run("return document.documentElement.scrollHeight").await.as_u64().unwrap();
    assert!(height <= LIST_HEIGHT_MAX, "50 sessions are {height} px high");
    let roles = ["table", "row", "columnheader", "rowheader", "cell"];
    let mut counts = Vec::new();
    for role in roles {
        counts.push(count_roles(&browser, role).await);
    }
    // Created At, Status, Agent, Shopper and Duration; the first of them is the heading of the row.
    assert_eq!(counts, [1, 51, 5, 50, 200], "{roles:?}");
}

#[actix_web::test]
async fn rows_have_two_lines_without_absent_facts() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    record_sessions(&browser, &app).await;
    open_list(&browser, &app).await;

    // The tops of the visible cells of a row, in the order of the columns.
    let lines = browser
        .run(
            "return [...document.querySelectorAll('.session-table tbody tr')].slice(0, 3).map((row) => {
                const cells = [...row.children].filter((it) => it.getBoundingClientRect().width > 1);
                const middles = cells.map((it) => Math.round(it.getBoundingClientRect().bottom / 12));
                return cells.map((it, index) => [it.dataset.label, middles.indexOf(middles[index])].join(' ')) })",
        )
        .await;
    let lines: Vec<Vec<String>> = serde_json::from_value(lines).unwrap();

    let labels = |row: usize| lines[row].iter().map(|it| it.split(' ').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(labels(0), ["Created", "Status", "Shopper"], "no agent and no duration");
    assert_eq!(labels(1), ["Created", "Status", "Shopper", "Duration"], "no agent");
    assert_eq!(labels(2), ["Created", "Status", "Agent"], "no shopper and no duration");
    let heights =
        "return [...document.querySelectorAll('.session-table tbody tr')].map((it) => it.offsetHeight)";
    let heights: Vec<u64> = serde_json::from_value(browser.run(heights).await).unwrap();
    assert!(heights.iter().all(|height| *height <= 76), "{heights:?}");
}

#[actix_web::test]
async fn filters_and_navigation_open_without_javascript() {
    let app = TestApp::start().await;
    let browser = Browser::open_without_javascript().await;
    record_sessions(&browser, &app).await;
    open_list(&browser, &app).await;

    browser.click(".filter-panel > summary").await;
    browser.find(By::Css(".filter-panel[open] #status")).await.send_keys("missed").await.unwrap();
    browser.press("Apply").await;
    browser.see(".list-head p", "20 sessions match.").await;
    browser.see(".filter-count", "1").await;
    browser.click(".panel-button").await;
    browser.follow("Usage").await;

    browser.see("h1", "Usage").await;
}

#[actix_web::test]
async fn header_is_one_line() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    record_sessions(&browser, &app).await;
    open_list(&browser, &app).await;

    let heights = "return ['.side', '.page-head'].map((it) => document.querySelector(it).offsetHeight)";
    let heights: Vec<u64> = serde_json::from_value(browser.run(heights).await).unwrap();

    assert!(heights.iter().all(|height| *height <= 60), "{heights:?}");
}

#[actix_web::test]
async fn wide_page_shows_filters_and_all_columns() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    record_sessions(&browser, &app).await;
    browser.go(&format!("{}/sessions", app.url)).await;

    let is_visible =
        "return document.querySelector('#status').checkVisibility({ contentVisibilityAuto: true })";
    assert_eq!(browser.run(is_visible).await, true);
    assert_eq!(count_roles(&browser, "columnheader").await, 10);
    assert_eq!(count_roles(&browser, "cell").await, 450);
}
