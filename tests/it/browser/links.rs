//! Mailed links that are followed from a page of another site, such as webmail, also through its redirects.

use crate::{
    accounts::second_factor::{Authenticator, PAGE, forget_used_codes, turn_on},
    support::{Browser, OtherSite, SmtpServer, TestApp, test_app::PASSWORD},
};

const NEW_PASSWORD: &str = "another long password";

/// How the other site leads to the link.
#[derive(Clone, Copy, Debug)]
enum Way {
    Link,
    Redirect,
}

/// Follows the link from a page of `host`, which is another site.
async fn follow_from(browser: &Browser, host: &str, way: Way, link: &str) {
    let redirect = OtherSite::redirect(link);
    let target = match way {
        Way::Link => link.to_owned(),
        Way::Redirect => redirect.cross_site().replace("localhost", host),
    };
    let webmail =
        OtherSite::serve(format!("<title>Webmail</title><h1>Inbox</h1><a href='{target}'>The link</a>"));
    browser.go(&webmail.cross_site().replace("localhost", host)).await;
    browser.see("h1", "Inbox").await;
    browser.follow("The link").await;
    browser.see("main h1", "").await;
}

/// Invites Bea to Ada's client, and returns the link.
async fn invite_bea(app: &TestApp) -> String {
    let ada = app.sign_up("ada").await;
    let page = ada.post("/settings/members", &[("email", "bea@example.org"), ("role", "admin")]).await;
    page.html().text("[data-link]")
}

async fn accept_while_logged_in(browser: &Browser, url: &str, host: &str, way: Way, link: &str) {
    browser.sign_up(url, "bea").await;

    follow_from(browser, host, way, link).await;
    browser.see("h1", "Join ada").await;
    assert_eq!(browser.count("main input[type=password]").await, 0, "{way:?}: the person is known");
    browser.press("Accept").await;

    browser.see("[role=status]", "You joined ada with the role Admin.").await;
    assert!(browser.text(".foot-client bdi").await.starts_with("ada"));
}

#[actix_web::test]
async fn invitation_is_accepted_by_the_person_who_is_logged_in() {
    for way in [Way::Link, Way::Redirect] {
        let app = TestApp::start().await;
        let link = invite_bea(&app).await;
        let browser = Browser::open().await;
        accept_while_logged_in(&browser, &app.url, "localhost", way, &link).await;
        assert_eq!(browser.read_complaints().await, [""; 0]);
    }
}

#[actix_web::test]
async fn invitation_is_accepted_without_javascript() {
    let app = TestApp::start().await;
    let link = invite_bea(&app).await;
    let browser = Browser::open_without_javascript().await;
    accept_while_logged_in(&browser, &app.url, "localhost", Way::Link, &link).await;
}

/// Browsers send no `Sec-Fetch-Site` to plain HTTP, and no origin from a page without a referrer.
#[actix_web::test]
async fn invitation_is_accepted_over_plain_http() {
    let app = TestApp::start_with(&["--public-url", "http://shop.test"]).await;
    let link = invite_bea(&app).await;
    let hosts = [("shop.test", app.url.as_str()), ("webmail.test:*", "http://127.0.0.1")];
    let browser = Browser::open_with_hosts(&hosts).await;
    assert!(link.starts_with("http://shop.test/invitations/"), "{link}");

    accept_while_logged_in(&browser, "http://shop.test", "webmail.test", Way::Link, &link).await;
}

#[actix_web::test]
async fn invitation_is_accepted_with_password_and_code() {
    let app = TestApp::start().await;
    let link = invite_bea(&app).await;
    let (authenticator, _codes): (Authenticator, _) = turn_on(&app.sign_up("bea").await).await;
    forget_used_codes(&app);
    let browser = Browser::open().await;

    follow_from(&browser, "localhost", Way::Link, &link).await;
    browser.fill("Password", PASSWORD).await;
    browser.press("Accept").await;
    browser.see("h1", "Enter a code").await;
    browser.fill("Code", &authenticator.code(0)).await;
    browser.press("Log in").await;

    browser.see("h1", "API Keys").await;
    browser.go(&format!("{}{PAGE}", app.url)).await;
    browser.see(".facts", "On since").await;
}

#[actix_web::test]
async fn new_email_is_confirmed_and_a_password_is_reset() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;

    browser.go(&format!("{}/account", app.url)).await;
    browser.input("Email").await.clear().await.unwrap();
    browser.fill("Email", "ada@king.example").await;
    browser.press("Change email").await;
    let link = format!("{}{}", app.url, smtp.next().await.link(&app.url));
    follow_from(&browser, "localhost", Way::Link, &link).await;
    assert!(browser.text(".foot-user").await.contains("ada"), "the person is known");
    browser.press("Confirm email").await;
    browser.see("[role=status]", "ada@king.example").await;
    assert_eq!(smtp.next().await.recipients(), "ada@example.org");

    app.visitor().post("/password/forgot", &[("email", "ada@king.example")]).await;
    let link = format!("{}{}", app.url, smtp.next().await.link(&app.url));
    follow_from(&browser, "localhost", Way::Redirect, &link).await;
    browser.fill("New password", NEW_PASSWORD).await;
    browser.press("Set password").await;
    browser.see("[role=status]", "The new password of ada@king.example is set.").await;
}

#[actix_web::test]
async fn page_that_a_mail_leads_to_is_shown_to_the_person_who_is_logged_in() {
    let app = TestApp::start().await;
    let browser = Browser::open().await;
    browser.sign_up(&app.url, "ada").await;

    follow_from(&browser, "localhost", Way::Link, &format!("{}/account/sign-ins", app.url)).await;

    browser.see("h1", "Sign-ins").await;
}
