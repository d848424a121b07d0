//! The second factor: setting it up, logging in with it, and confirming with it.

use chrono::Utc;
use totp_rs::{Builder, Secret, Totp};

use crate::support::{Reply, TestApp, Visitor, html::Html, test_app::PASSWORD};

mod changes;
mod confirmation;
mod login;
mod set_up;

pub(crate) const PAGE: &str = "/account/second-factor";
pub(crate) const CODE_PAGE: &str = "/login/second-factor";

/// An authenticator app.
pub(crate) struct Authenticator(Totp);

impl Authenticator {
    /// Adds the account whose secret is on the page.
    pub(crate) fn read(page: &Html) -> Self {
        Self::new(&page.text(".secret code"))
    }

    pub(crate) fn new(secret: &str) -> Self {
        let secret = Secret::try_from_base32(secret).unwrap();
        Self(Builder::new().with_secret(secret).build().unwrap())
    }

    /// The code of an app whose clock is this many steps of 30 seconds ahead of ours.
    pub(crate) fn code(&self, steps_ahead: i64) -> String {
        let time = Utc::now().timestamp() + 30 * steps_ahead;
        self.0.generate(time.try_into().unwrap()).to_string()
    }

    /// A code that is wrong now and in the next minute.
    pub(crate) fn wrong_code(&self) -> &'static str {
        let right: Vec<String> = (-2..=4).map(|steps| self.code(steps)).collect();
        let wrong = ["000001", "000002", "000003", "000004", "000005", "000006", "000007", "000008"];
        wrong.into_iter().find(|code| right.iter().all(|it| it != code)).unwrap()
    }
}

/// Waits until the current step lasts for ten seconds more, so that a test that counts steps is not overtaken by the clock.
pub(crate) async fn wait_for_young_step() {
    let left = 30 - Utc::now().timestamp().rem_euclid(30);
    if left < 10 {
        actix_web::rt::time::sleep(std::time::Duration::from_secs(left.unsigned_abs())).await;
    }
}

/// Turns the second factor on, and returns the app and the recovery codes.
pub(crate) async fn turn_on(visitor: &Visitor) -> (Authenticator, Vec<String>) {
    let page = visitor.post(&format!("{PAGE}/set-up"), &[]).await;
    let authenticator = Authenticator::read(&page.html());
    let reply = visitor.post(&format!("{PAGE}/turn-on"), &[("code", &authenticator.code(0))]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    (authenticator, reply.html().texts(".codes code"))
}

/// As if the codes of the current time had not been used yet.
pub(crate) fn forget_used_codes(app: &TestApp) {
    app.db.execute("update second_factors set last_used_step = null");
}

/// Sends the password with this browser.
pub(crate) async fn send_password(visitor: &Visitor) -> Reply {
    visitor.post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await
}

/// Sends a code with this browser.
pub(crate) async fn send_code(visitor: &Visitor, code: &str) -> Reply {
    visitor.post(CODE_PAGE, &[("code", code)]).await
}

/// A browser that has sent the password and waits for a code.
pub(crate) async fn begin_login(app: &TestApp) -> Visitor {
    let visitor = app.visitor();
    send_password(&visitor).await.assert_sent_to(CODE_PAGE);
    visitor
}

pub(crate) fn count(app: &TestApp, table: &str) -> String {
    app.db.query_text(&format!("select count(*)::text as answer from {table}"))
}
