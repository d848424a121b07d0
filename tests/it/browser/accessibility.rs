//! axe finds no violation on any page in any state: light and dark, wide and narrow, and no page scrolls
//! sideways.

use reqwest::Method;

use crate::{
    accounts::second_factor::Authenticator,
    support::{Browser, SmtpServer, TestApp, test_app::PASSWORD},
    usage,
};

const AXE: &str = "tests/browser/node_modules/axe-core/axe.min.js";
/// Lists axe violations: the rule and the elements that break it.
const FINDINGS: &str = "
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap((it) => it.nodes.map((node) => `${it.id}: ${node.html} ${node.failureSummary}`))";
const OVERFLOW: &str = "
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? scrollWidth : null";

/// Collects the findings on several pages, so that one run reports all of them.
struct Inspection {
    browser: Browser,
    url: String,
    axe: String,
    findings: Vec<String>,
}

impl Inspection {
    async fn new(app: &TestApp) -> Self {
        let axe = std::fs::read_to_string(AXE)
            .unwrap_or_else(|error| panic!("{AXE}: {error}: run bin/test, or npm ci in tests/browser"));
        Self { browser: Browser::open().await, url: app.url.clone(), axe, findings: Vec::new() }
    }

    async fn visit(&mut self, path: &str, state: &str) {
        self.browser.go(&format!("{}{path}", self.url)).await;
        self.inspect(&format!("{path}, {state}")).await;
    }

    /// Inspects the current page at both widths and in both colour schemes.
    async fn inspect(&mut self, page: &str) {
        self.browser.run(&self.axe).await;
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
            self.browser.emulate(width, scheme).await;
            let at = format!("{page}, {scheme}, {width} px");
            let found = self.browser.run_async(FINDINGS).await;
            let found = found.as_array().unwrap_or_else(|| panic!("{at}: {found}"));
            self.findings.extend(found.iter().map(|finding| format!("{at}: {finding}")));
            let overflow = self.browser.run(OVERFLOW).await;
            if !overflow.is_null() {
                self.findings.push(format!("{at}: {overflow} px wide"));
            }
        }
        self.browser.emulate(1280, "light").await;
    }

    fn assert_clean(self) {
        assert!(self.findings.is_empty(), "{}", self.findings.join("\n"));
    }
}

#[actix_web::test]
async fn public_pages_are_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;

    inspection.visit("/login", "empty").await;
    inspection.browser.fill("Email", "ada@example.org").await;
    inspection.browser.fill("Password", "not hers at all").await;
    inspection.browser.press("Log in").await;
    inspection.browser.see("[role=alert]", "").await;
    inspection.inspect("/login, refused").await;
    inspection.visit("/register", "empty").await;
    inspection.browser.run("document.querySelector('main form').noValidate = true").await;
    inspection.browser.press("Create account").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("/register, refused").await;
    inspection.visit("/docs", "for everybody").await;
    inspection.visit("/nowhere", "for everybody").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn account_pages_are_accessible() {
    let smtp = SmtpServer::start();
    let app = TestApp::start_with(&smtp.settings()).await;
    let mut inspection = Inspection::new(&app).await;

    inspection.visit("/password/forgot", "empty").await;
    inspection.browser.fill("Email", "nobody@example.org").await;
    inspection.browser.press("Send link").await;
    inspection.inspect("/password/forgot, sent").await;
    inspection.visit("/password/reset/unknown", "a link that does not work").await;
    inspection.browser.sign_up(&app.url, "ada").await;
    app.log_in("ada").await;
    app.db.execute(
        "update users set name = 'A person with a name as long as names can be, which goes on and on'",
    );
    inspection.visit("/account", "filled in").await;
    inspection.browser.fill("New password", "too short, it is").await;
    inspection.browser.fill("Current password", "not her password").await;
    inspection.browser.press("Change password").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("/account, refused").await;
    inspection.visit("/account/sign-ins", "two").await;
    inspection.visit("/account/delete", "the only owner").await;
    app.db.execute("update memberships set role = 'member'");
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours'");
    inspection.visit("/account/delete", "asked").await;
    app.db.execute("delete from sign_ins");
    inspection.visit("/account", "logged out").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn second_factor_pages_are_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;

    inspection.visit("/account/second-factor", "off").await;
    inspection.browser.press("Set up").await;
    inspection.inspect("/account/second-factor, set up").await;
    let authenticator = Authenticator::new(&inspection.browser.text(".secret code").await);
    inspection.browser.fill("Code", authenticator.wrong_code()).await;
    inspection.browser.press("Turn on").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("/account/second-factor, a code refused").await;
    inspection.browser.fill("Code", &authenticator.code(0)).await;
    inspection.browser.press("Turn on").await;
    inspection.browser.see("h1", "Recovery codes").await;
    inspection.inspect("/account/second-factor, recovery codes").await;
    inspection.visit("/account/second-factor", "on").await;
    app.db.execute("delete from recovery_codes");
    inspection.visit("/account/second-factor", "no codes left").await;
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours'");
    inspection.browser.press("Create new recovery codes").await;
    inspection.browser.see("h1", "Confirm it’s you").await;
    inspection.inspect("/confirm, asked").await;
    inspection.browser.press("Confirm").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("/confirm, refused").await;
    app.db.execute("delete from sign_ins");
    inspection.visit("/login", "with a second factor").await;
    inspection.browser.fill("Email", "ada@example.org").await;
    inspection.browser.fill("Password", PASSWORD).await;
    inspection.browser.press("Log in").await;
    inspection.browser.see("h1", "Enter a code").await;
    inspection.inspect("/login/second-factor, empty").await;
    inspection.browser.fill("Code", authenticator.wrong_code()).await;
    inspection.browser.press("Log in").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("/login/second-factor, refused").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn api_key_pages_are_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;

    inspection.inspect("API keys, none").await;
    let key =
        inspection.browser.generate("A name as long as names can be: sixty-four characters, not more").await;
    inspection.inspect("API keys, just generated").await;
    inspection.browser.click("[data-copy]").await;
    inspection.browser.see("[data-copy-label]", "Copied").await;
    inspection.inspect("API keys, copied").await;
    inspection.browser.generate("Warehouse").await;
    inspection.visit("/settings/api-keys", "with keys").await;
    inspection.browser.click("tbody .actions summary").await;
    inspection.inspect("API keys, an open menu").await;
    inspection.browser.fill("Name", "Warehouse").await;
    inspection.browser.press("Generate Key").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("API keys, a name refused").await;
    inspection.visit(&format!("/settings/api-keys/{}/delete", &key[..18]), "asked").await;
    inspection.visit(&format!("/settings/api-keys/{}/replacement", &key[..18]), "asked").await;
    inspection.browser.press("Replace").await;
    inspection.browser.see("[role=status]", "The new key").await;
    inspection.inspect("API keys, just replaced").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn keys_are_accessible_in_every_status() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;
    let mut keys = Vec::new();
    for name in ["Warehouse", "A name as long as names can be: sixty-four characters, not more", "Till"] {
        keys.push(inspection.browser.generate(name).await[..18].to_owned());
    }
    let page = |key: &str, rest: &str| format!("/settings/api-keys/{key}{rest}");
    inspection.visit(&page(&keys[0], "/replacement"), "a grace to choose").await;
    inspection.browser.click("input[name=graceSeconds][value='86400']").await;
    inspection.browser.press("Replace").await;
    for (key, days) in keys.iter().skip(1).zip([3, -3]) {
        app.db.execute(&format!(
            "update api_keys set expires_at = now() + interval '{days} days' where public_key = '{key}'"
        ));
    }
    app.db.execute(
        "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
         select client_id, public_key, now(), '2001:db8::1', 'a program/1.0' from api_keys",
    );

    inspection.visit("/settings/api-keys", "keys in every state").await;
    inspection.browser.click(".more > summary").await;
    inspection.inspect("API keys, every field").await;
    inspection.visit("/settings/api-keys?q=nothing", "no match").await;
    inspection.visit(&page(&keys[0], ""), "replaced").await;
    inspection.visit(&page(&keys[1], ""), "to be changed").await;
    inspection.browser.run("document.querySelector('[name=requestsPerMinute]').value = 'x'").await;
    inspection.browser.press("Save changes").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("an API key, a change refused").await;
    inspection.visit(&page(&keys[1], "/delete"), "in use").await;
    inspection.visit(&format!("/settings/api-keys/delete?key={}&key={}", keys[1], keys[2]), "several").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn session_and_question_pages_are_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;
    let client = inspection.browser.text(".foot-block code").await;

    inspection.visit("/sessions", "none").await;
    app.record(&client, 120);
    inspection.visit("/sessions", "with rows").await;
    inspection.visit("/sessions?status=declined", "no match").await;
    inspection.visit("/sessions?q=session-1&status=missed", "searched and filtered").await;
    inspection.visit("/sessions?from=x", "a filter refused").await;
    inspection.visit("/sessions?from=2026-10-05&through=2026-10-04", "an empty range").await;
    app.db.change_sessions(
        "update sessions set shopper_id = 'S-77', erased_at = now(), notes = 'Grey', rating = 4",
    );
    inspection.visit("/sessions?q=session-11", "before a session").await;
    inspection.browser.click(".table tbody th a").await;
    inspection.browser.see("h1", "call · S-77").await;
    inspection.inspect("/sessions, one").await;
    inspection.visit("/sessions/erase", "asked").await;
    inspection.browser.fill("Shopper ID", "S-77").await;
    inspection.browser.press("Find sessions").await;
    inspection.browser.see("h1", "Erase this shopper?").await;
    inspection.inspect("/sessions/erase, found").await;
    inspection.visit("/docs", "for a user").await;
    inspection.browser.fill("Name", "Ada").await;
    inspection.browser.fill("Email", "ada@example.org").await;
    inspection.browser.fill("Question", "Why?").await;
    inspection.browser.press("Send").await;
    inspection.browser.see("[role=status]", "Thank you!").await;
    inspection.inspect("/questions, thanks").await;
    inspection.visit("/nowhere", "for a user").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn usage_pages_are_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;
    let key =
        inspection.browser.generate("A name as long as names can be: sixty-four characters, not more").await;
    let key_usage_path = format!("/settings/api-keys/{}/usage", &key[..18]);

    inspection.visit("/settings/usage", "none").await;
    inspection.visit(&key_usage_path, "never used").await;
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200);
    let session = app.visitor().request(Method::GET, "/api/sessions/0198c0de-0000-7000-8000-000000000000");
    assert_eq!(session.bearer_auth(&key).send().await.unwrap().status(), 404);
    usage::wait_until(&app.db, usage::COUNTED_REQUESTS, "2").await;
    inspection.visit("/settings/usage", "by day").await;
    inspection.browser.click(".chart-numbers summary").await;
    inspection.inspect("/settings/usage, the numbers").await;
    inspection.visit("/settings/usage?per=hour", "by hour").await;
    inspection.visit(&key_usage_path, "used").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn audit_log_is_accessible() {
    let app = TestApp::start().await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;
    inspection.browser.generate("A name as long as names can be: sixty-four characters, not more").await;

    inspection.visit("/settings/audit", "all").await;
    inspection.visit("/settings/audit?act=key.expired", "none").await;
    inspection.visit("/settings/audit?from=x", "wrong").await;

    inspection.assert_clean();
}

#[actix_web::test]
async fn client_and_member_pages_are_accessible() {
    let app = TestApp::start().await;
    app.sign_up("bea").await;
    let mut inspection = Inspection::new(&app).await;
    inspection.browser.sign_up(&app.url, "ada").await;
    let first = inspection.browser.text(".foot-block code").await;
    let key = inspection.browser.generate("Warehouse").await[..18].to_owned();

    inspection.visit("/settings/client", "filled in").await;
    inspection.visit("/settings/members", "alone").await;
    inspection.browser.fill("Email", "cleo@example.org").await;
    inspection.browser.press("Invite").await;
    inspection.browser.see("[role=status]", "Send the link").await;
    inspection.inspect("members, a new link").await;
    let link = inspection.browser.text("[data-link]").await;
    let path = link.strip_prefix(&app.url).unwrap().to_owned();
    inspection.browser.fill("Email", "cleo@example.org").await;
    inspection.browser.press("Invite").await;
    inspection.browser.see(".wrong", "").await;
    inspection.inspect("members, an address refused").await;
    inspection.visit(&path, "for someone else").await;
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) \
         select '{first}', user_id, 'admin' from users where name = 'bea'"
    ));
    app.db.execute("update users set name = repeat('Bea Beatrix ', 10) where name = 'bea'");
    let bea = app.db.query_text("select user_id::text as answer from users where name like 'Bea %'");
    app.db.execute("update api_keys set created_by = (select user_id from users where name like 'Bea %')");
    inspection.visit("/settings/members", "two members").await;
    inspection.browser.click("tbody .actions summary").await;
    inspection.inspect("members, an open menu").await;
    inspection.visit(&format!("/settings/members/{bea}/role"), "asked").await;
    inspection.visit(&format!("/settings/members/{bea}/remove"), "with a key").await;
    inspection.visit(&format!("/settings/members/{bea}/keys"), "with a key").await;
    inspection.visit("/settings/members/leave", "asked").await;
    inspection.browser.press("Leave").await;
    inspection.browser.see("[role=alert]", "only owner").await;
    inspection.inspect("leaving, refused").await;
    inspection.visit("/clients/new", "empty").await;
    inspection.browser.fill("Company", "A company whose name is as long as some are, in several words").await;
    inspection.browser.press("Create client").await;
    inspection.browser.see("[role=status]", "Created ").await;
    inspection.inspect("API keys, two clients").await;
    inspection.visit(&format!("/settings/api-keys/{key}"), "of the other client").await;
    inspection.visit("/settings/api-keys", "to be refused").await;
    let forget = format!("document.querySelector('.generate [name=clientId]').value = '{first}'");
    inspection.browser.run(&forget).await;
    inspection.browser.fill("Name", "Till").await;
    inspection.browser.press("Generate Key").await;
    inspection.browser.see("h1", "Which client is this key for?").await;
    inspection.inspect("a form of the other client").await;
    app.db.execute("delete from memberships");
    app.db.execute("update sign_ins set client_id = null");
    inspection.visit("/clients/new", "no client").await;
    app.db.execute("delete from sign_ins");
    inspection.visit(&path, "for a new person").await;

    inspection.assert_clean();
}
