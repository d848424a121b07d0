//! Text from users and senders is shown literally and never runs as markup or script.

use thirtyfour::{By, extensions::query::ElementQueryable as _};

use crate::support::{Browser, TestApp};

/// Each payload has at most 64 characters, the maximum length of a key name.
const PAYLOADS: [&str; 16] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' autofocus onfocus=alert(1) x='",
    "\" autofocus onfocus=alert(1) x=\"",
    "</title></textarea><script>alert(1)</script>",
    "</noscript><img src=x onerror=alert(1)>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'>",
    "javascript:alert(1)//",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<details open ontoggle=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<a href=\"javascript:alert(1)\" autofocus>a</a>",
    "<style>*{display:none}</style>",
    "--><script>alert(1)</script><!--",
    "<base href=//127.0.0.1:9><link rel=stylesheet href=x>",
];

/// Returns the text of the element as it is in the document, not as laid out. Narrow windows do not show all columns.
async fn literal_text(browser: &Browser, css: &str) -> String {
    let element = browser.driver().query(By::Css(css)).first().await.unwrap();
    element.prop("textContent").await.unwrap().unwrap()
}

/// A payload that opened a dialog has already failed the test: `WebDriver` commands fail while one is open.
async fn assert_nothing_ran(browser: &Browser, payload: &str) {
    let complaints = browser.read_complaints().await;
    assert!(complaints.is_empty(), "{payload}: {complaints:?}");
    let foreign_elements =
        "return document.querySelectorAll('script:not([src^=\"/static/\"]), style, iframe, base').length";
    assert_eq!(browser.run(foreign_elements).await, 0, "{payload}");
}

#[actix_web::test]
async fn user_and_company_names_are_shown_literally() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    for (index, payload) in PAYLOADS.iter().enumerate() {
        browser.sign_up_as(&app.url, &format!("user{index}@example.org"), payload).await;

        assert_eq!(literal_text(&browser, ".foot-user bdi").await, *payload);
        assert_eq!(literal_text(&browser, ".foot-client bdi").await, *payload);
        assert_nothing_ran(&browser, payload).await;
        browser.driver().delete_all_cookies().await.unwrap();
    }
}

#[actix_web::test]
async fn key_names_are_shown_literally() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    for payload in PAYLOADS {
        browser.generate(payload).await;
        browser.see("[role=status]", &format!("The key “{payload}” is ready.")).await;
        assert_eq!(literal_text(&browser, ".is-new th bdi").await, payload);
        assert_nothing_ran(&browser, payload).await;

        super::choose_action(&browser, "Delete").await;
        assert_eq!(literal_text(&browser, ".facts bdi").await, payload);
        assert_nothing_ran(&browser, payload).await;

        browser.press("Delete").await;
        browser.see("[role=status]", &format!("The key “{payload}” was deleted.")).await;
        assert_nothing_ran(&browser, payload).await;
    }
}

#[actix_web::test]
async fn session_texts_are_shown_literally() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;
    let client = browser.text(".foot-block code").await;
    app.record(&client, PAYLOADS.len());
    for (sequence, payload) in (1..).zip(PAYLOADS) {
        app.db.change_sessions(&format!(
            "update sessions set queue_name = $text${payload}$text$, agent_name = $text${payload}$text$, \
             shopper_name = $text${payload}$text$ where sequence = {sequence}"
        ));
    }

    browser.go(&format!("{}/sessions", app.url)).await;

    // The list shows the newest session first.
    for (row, payload) in (1..).zip(PAYLOADS.iter().rev()) {
        for column in ["Queue", "Agent", "Shopper"] {
            let cell = format!("tbody tr:nth-child({row}) [data-label={column}]");
            assert_eq!(literal_text(&browser, &cell).await, *payload, "{column}");
        }
    }
    assert_nothing_ran(&browser, "sessions").await;
}

#[actix_web::test]
async fn refused_registration_form_returns_its_values_literally() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    for payload in PAYLOADS {
        browser.go(&format!("{}/register", app.url)).await;
        // Lets the server refuse the form instead of the browser.
        browser.run("document.querySelector('main form').noValidate = true").await;
        for label in ["Name", "Company", "Email"] {
            browser.fill(label, payload).await;
        }
        browser.press("Create account").await;

        for label in ["Name", "Company", "Email"] {
            let value = browser.input(label).await.prop("value").await.unwrap().unwrap();
            assert_eq!(value, payload, "{label}");
        }
        assert_nothing_ran(&browser, payload).await;
    }
}

#[actix_web::test]
async fn refused_question_form_returns_its_text_literally() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    let question = PAYLOADS.join("\n");

    browser.go(&format!("{}/docs", app.url)).await;
    browser.run("document.querySelector('form[action=\"/questions\"]').noValidate = true").await;
    browser.fill("Question", &question).await;
    browser.press("Send").await;

    assert_eq!(browser.input("Question").await.prop("value").await.unwrap().unwrap(), question);
    assert_nothing_ran(&browser, &question).await;
}
