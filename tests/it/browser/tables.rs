//! No table overflows its page at any width, with names as long as names can be.

use serde_json::Value;

use crate::{
    sessions::import_pages::{upload_accepted, wait_until_settled},
    support::{Browser, TestApp},
};

const WIDTHS: [u32; 5] = [360, 768, 1280, 1440, 1920];
/// Maximum height of a row of the key list from 1280 px on, in pixels.
const ROW_MAX: u64 = 56;
/// 64 characters: with spaces, and as one word.
const LONG_NAMES: [&str; 2] = [
    "Monthly settlement report for the northern warehouses, read only",
    "MonthlySettlementReportForTheNorthernWarehouses_read_only_v2_EU1",
];
/// Lists what does not fit: the page, a table in the page, the text of a cell, or a cut text without a title. Cells that
/// are hidden visually are one pixel wide.
const OVERFLOW: &str = "
    const found = [], { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`the page is ${scrollWidth} px wide`);
    const side = document.querySelector('.side');
    if (side.scrollWidth > side.clientWidth) found.push(`the side bar is ${side.scrollWidth} px wide`);
    const main = document.querySelector('main');
    const end = main.getBoundingClientRect().right - parseFloat(getComputedStyle(main).paddingRight) + 1;
    for (const table of document.querySelectorAll('main table')) {
        if (!table.checkVisibility()) continue;
        const name = table.getAttribute('aria-label');
        const right = table.getBoundingClientRect().right;
        if (right > end) found.push(`${name} ends at ${right} px, the page at ${end} px`);
        for (const cell of table.querySelectorAll('th, td')) {
            const isCut = getComputedStyle(cell).overflowX !== 'visible'
                && (cell.clientWidth <= 1 || cell.closest('[title]') || cell.querySelector('[title]'));
            if (cell.scrollWidth > cell.clientWidth + 1 && !isCut) found.push(`${name}: ${cell.textContent}`);
            for (const part of cell.querySelectorAll('*')) {
                const isCut = part.checkVisibility({ contentVisibilityAuto: true })
                    && getComputedStyle(part).overflowX !== 'visible' && part.clientWidth > 1
                    && (part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight + 2);
                if (isCut && !part.closest('[title]')) found.push(`${name}: cut without a title: ${part.textContent}`);
            }
        }
    }
    return found";
/// The heights of the rows without a whole key, in whole pixels.
const ROW_HEIGHTS: &str = "
    const rows = document.querySelectorAll('.keys tbody tr:not(.is-new)');
    return [...rows].map((row) => Math.ceil(row.getBoundingClientRect().height - 0.01))";

/// Collects what does not fit on the current page at each width.
async fn collect_overflow(browser: &Browser, page: &str, findings: &mut Vec<String>) {
    for width in WIDTHS {
        browser.emulate(width, "light").await;
        let found = browser.run(OVERFLOW).await;
        let found = found.as_array().unwrap_or_else(|| panic!("{page}: {found}"));
        findings.extend(found.iter().map(|finding| format!("{page}, {width} px: {finding}")));
    }
    browser.emulate(1280, "light").await;
}

/// A client whose every table has rows with long texts.
async fn open_full_client(app: &TestApp) -> (Browser, Vec<String>) {
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let client = browser.text(".foot-block code").await;
    app.record(&client, 3);
    let mut keys = Vec::new();
    for name in LONG_NAMES.into_iter().chain(["Laptop"]) {
        keys.push(browser.generate(name).await[..18].to_owned());
    }
    let [name, word] = LONG_NAMES;
    app.db.execute(&format!("update users set name = '{name}'"));
    app.db.execute(&format!("update clients set name = '{name}'"));
    app.db.change_sessions(&format!(
        "update sessions set agent_name = '{name}', shopper_name = '{word}', queue_name = '{name}', \
         order_id = 'order-1', order_value_minor = 123456789, currency = 'EUR'"
    ));
    app.db.execute(
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select client_id, public_key, now() - interval '29 days', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', \
         repeat('settlement-report/1.0 ', 9) from api_keys",
    );
    app.db.execute(
        "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
         select client_id, public_key, date_trunc('hour', now()), 'POST /api/sessions/export-csv-data', class, \
         123456789 from api_keys, (values (2), (4)) classes (class)",
    );
    app.db.execute(
        "insert into key_errors (client_id, request_id, public_key, answered_at, endpoint, status, code) \
         select client_id, gen_random_uuid(), public_key, now(), 'POST /api/sessions/export-csv-data', 403, \
         'address_not_allowed' from api_keys",
    );
    (browser, keys)
}

/// Uploads a file whose columns have to be mapped and one with wrong lines. Returns the paths of their pages.
async fn import_files(app: &TestApp) -> [String; 2] {
    let ada = app.log_in("ada").await;
    let [name, word] = LONG_NAMES;
    let to_map =
        upload_accepted(&ada, &format!("{word}.csv"), format!("{name},{word}\n{name},{word}\n")).await;
    let wrong = format!("status,channel,createdAt,endedAt\n{word},video,{word},2026-01-01T10:00:00Z\n");
    let wrong = upload_accepted(&ada, &format!("{name}.csv"), wrong).await;
    wait_until_settled(&ada, &wrong).await;
    [to_map, wrong]
}

#[actix_web::test]
async fn no_table_overflows_at_any_width() {
    let app = TestApp::start().await;
    let (browser, keys) = open_full_client(&app).await;
    let [to_map, wrong] = import_files(&app).await;
    let mut findings = Vec::new();
    collect_overflow(&browser, "a new key", &mut findings).await;
    let usage = format!("/settings/api-keys/{}/usage", keys[0]);
    for path in [
        "/settings/api-keys",
        "/settings/usage",
        &usage,
        "/settings/audit",
        "/sessions",
        "/sessions/import",
        &to_map,
        &wrong,
        "/docs",
    ] {
        browser.go(&format!("{}{path}", app.url)).await;
        collect_overflow(&browser, path, &mut findings).await;
    }

    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[actix_web::test]
async fn rows_of_used_keys_are_low_on_wide_screens() {
    let app = TestApp::start().await;
    let (browser, _keys) = open_full_client(&app).await;
    let mut findings = Vec::new();
    for path in ["", "?status=active"] {
        if !path.is_empty() {
            browser.go(&format!("{}/settings/api-keys{path}", app.url)).await;
        }
        for width in [1280, 1440, 1920] {
            browser.emulate(width, "light").await;
            let heights = browser.run(ROW_HEIGHTS).await;
            let heights = heights.as_array().unwrap().iter().filter_map(Value::as_u64).collect::<Vec<_>>();
            assert!(heights.len() >= 2, "{path}: {heights:?}");
            findings.extend(
                heights
                    .iter()
                    .filter(|height| **height > ROW_MAX)
                    .map(|height| format!("{path}, {width} px: {height} px")),
            );
        }
    }

    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
