//! Logging in with a second factor.

use super::{
    CODE_PAGE, PAGE, begin_login, count, forget_used_codes, send_code, send_password, turn_on,
    wait_for_young_step,
};
use crate::support::{TestApp, Visitor, test_app::PASSWORD};

const HOME: &str = "/settings/api-keys";

async fn assert_signed_out(visitor: &Visitor) {
    visitor.get("/sessions").await.assert_sent_to("/login");
}

#[actix_web::test]
async fn right_password_alone_signs_nobody_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    turn_on(&ada).await;
    let sign_ins = count(&app, "sign_ins");

    let visitor = begin_login(&app).await;

    assert_signed_out(&visitor).await;
    assert_eq!(count(&app, "sign_ins"), sign_ins);
    let page = visitor.get(CODE_PAGE).await;
    assert_eq!(page.html().texts("form.stack label"), ["Code"]);
    assert!(!page.body.contains("ada@example.org"));
    assert_eq!(visitor.get("/login").await.status, 200);
}

#[actix_web::test]
async fn right_code_signs_in_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let visitor = begin_login(&app).await;

    let reply = send_code(&visitor, &authenticator.code(1)).await;

    reply.assert_sent_to(HOME);
    assert!(reply.set_cookie("uptok_login").contains("Max-Age=0"), "the cookie is removed");
    assert!(!reply.set_cookie("uptok_device").is_empty());
    assert_eq!(visitor.get("/sessions").await.status, 200);
    visitor.get(CODE_PAGE).await.assert_sent_to(HOME);
    assert_eq!(count(&app, "pending_logins"), "0");
}

#[actix_web::test]
async fn cookie_of_a_pending_login_is_kept_from_scripts_and_other_sites() {
    let app = TestApp::start().await;
    turn_on(&app.sign_up("ada").await).await;

    let reply = send_password(&app.visitor()).await;
    let cookie = reply.set_cookie("uptok_login");

    for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=600"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(
        !reply.headers.get_all("set-cookie").iter().any(|it| it.to_str().unwrap().contains("uptok_sign_in"))
    );
}

#[actix_web::test]
async fn login_leads_to_the_page_that_was_wanted() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let visitor = app.visitor();
    let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("next", "/settings/usage")];

    visitor.post("/login", &fields).await.assert_sent_to(CODE_PAGE);
    assert_eq!(send_code(&visitor, authenticator.wrong_code()).await.status, 422);

    send_code(&visitor, &authenticator.code(1)).await.assert_sent_to("/settings/usage");
}

#[actix_web::test]
async fn lost_form_survives_both_steps() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let client = ada.client_id().await;
    app.db.execute("delete from sign_ins");

    let login = ada.post(HOME, &[("clientId", client.as_str()), ("name", "Warehouse")]).await;
    assert_eq!(login.status, 403);
    ada.log_in_from(&login.html()).await.assert_sent_to(CODE_PAGE);
    send_code(&ada, &authenticator.code(1)).await.assert_sent_to("/login/continue");

    assert_eq!(ada.get("/login/continue").await.html().attribute("main [name=name]", "value"), "Warehouse");
}

#[actix_web::test]
async fn code_works_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let code = authenticator.code(1);
    send_code(&begin_login(&app).await, &code).await.assert_sent_to(HOME);

    let again = send_code(&begin_login(&app).await, &code).await;

    assert_eq!(again.status, 422);
    assert!(again.html().text("#hint-code .wrong").contains("wrong or was already used"));
}

#[actix_web::test]
async fn code_of_the_set_up_does_not_log_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let page = ada.post(&format!("{PAGE}/set-up"), &[]).await;
    let authenticator = super::Authenticator::read(&page.html());
    let code = authenticator.code(0);
    assert_eq!(ada.post(&format!("{PAGE}/turn-on"), &[("code", &code)]).await.status, 200);

    assert_eq!(send_code(&begin_login(&app).await, &code).await.status, 422);
}

#[actix_web::test]
async fn code_works_for_one_of_many_requests_at_the_same_time() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, codes) = turn_on(&ada).await;
    for code in [authenticator.code(1), codes[0].clone()] {
        let mut visitors = Vec::new();
        for _ in 0..6 {
            visitors.push(begin_login(&app).await);
        }

        let replies = futures_util::future::join_all(visitors.iter().map(|it| send_code(it, &code))).await;

        let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 422, 422, 422, 422, 422], "{code}");
    }
}

#[actix_web::test]
async fn login_is_completed_by_one_of_many_codes_at_the_same_time() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (_authenticator, codes) = turn_on(&ada).await;
    let before = count(&app, "sign_ins").parse::<u32>().unwrap();
    let visitor = begin_login(&app).await;

    let replies =
        futures_util::future::join_all(codes[..4].iter().map(|code| send_code(&visitor, code))).await;

    assert_eq!(
        replies.iter().filter(|reply| reply.status == 303 && reply.header("location") == HOME).count(),
        1
    );
    assert_eq!(count(&app, "sign_ins"), (before + 1).to_string());
}

#[actix_web::test]
async fn clock_of_the_app_may_be_off_by_one_step() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    wait_for_young_step().await;
    for (steps, status) in [(-2, 422), (-1, 303), (0, 303), (1, 303), (2, 422)] {
        forget_used_codes(&app);
        let reply = send_code(&begin_login(&app).await, &authenticator.code(steps)).await;
        assert_eq!(reply.status.as_u16(), status, "{steps} steps ahead");
    }
}

#[actix_web::test]
async fn earlier_code_is_refused_after_a_later_one() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    forget_used_codes(&app);
    let (earlier, later) = (authenticator.code(0), authenticator.code(1));

    send_code(&begin_login(&app).await, &later).await.assert_sent_to(HOME);

    assert_eq!(send_code(&begin_login(&app).await, &earlier).await.status, 422);
}

#[actix_web::test]
async fn recovery_code_works_once_however_it_is_typed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (_authenticator, codes) = turn_on(&ada).await;
    let visitor = begin_login(&app).await;

    send_code(&visitor, &codes[3].to_uppercase().replace('-', " ")).await.assert_sent_to(HOME);

    assert_eq!(send_code(&begin_login(&app).await, &codes[3]).await.status, 422);
    assert_eq!(visitor.get(PAGE).await.html().texts(".facts dd").pop().unwrap(), "9 left");
    for code in &codes[4..] {
        send_code(&begin_login(&app).await, code).await.assert_sent_to(HOME);
    }
    let notice = visitor.get(PAGE).await.html().text("main .notice");
    assert!(notice.contains("Only 3 recovery codes left."), "{notice}");
    assert_eq!(visitor.get("/account").await.html().texts(".setting-rows strong"), ["3 recovery codes left"]);
}

#[actix_web::test]
async fn code_of_another_user_is_wrong() {
    let app = TestApp::start().await;
    turn_on(&app.sign_up("ada").await).await;
    let (eves, eves_codes) = turn_on(&app.sign_up("eve").await).await;
    let visitor = begin_login(&app).await;

    for code in [&eves.code(1), &eves_codes[0]] {
        assert_eq!(send_code(&visitor, code).await.status, 422);
    }
}

#[actix_web::test]
async fn five_wrong_codes_end_the_login() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let visitor = app.visitor();
    let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("next", "/settings/usage")];
    visitor.post("/login", &fields).await.assert_sent_to(CODE_PAGE);
    for _ in 0..5 {
        assert_eq!(send_code(&visitor, authenticator.wrong_code()).await.status, 422);
    }

    let sixth = send_code(&visitor, &authenticator.code(1)).await;

    assert_eq!(sixth.status, 403);
    assert!(sixth.html().text("[role=alert]").contains("Log in again."));
    assert_signed_out(&visitor).await;
    visitor.log_in_from(&sixth.html()).await.assert_sent_to(CODE_PAGE);
    send_code(&visitor, &authenticator.code(1)).await.assert_sent_to("/settings/usage");
}

#[actix_web::test]
async fn empty_code_uses_up_no_attempt() {
    let app = TestApp::start().await;
    turn_on(&app.sign_up("ada").await).await;
    let visitor = begin_login(&app).await;

    let reply = send_code(&visitor, "").await;

    assert_eq!(reply.status, 422);
    assert_eq!(app.db.query_text("select max(attempts)::text as answer from pending_logins"), "0");
}

#[actix_web::test]
async fn pending_login_ends_with_its_time_its_password_and_its_user() {
    for change in [
        "update pending_logins set expires_at = now() - interval '1 second'",
        "update users set password_hash = '$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$aGFzaA'",
        "update users set disabled_at = now()",
        "delete from pending_logins",
    ] {
        let app = TestApp::start().await;
        let ada = app.sign_up("ada").await;
        let (authenticator, _codes) = turn_on(&ada).await;
        let visitor = begin_login(&app).await;

        app.db.execute(change);

        visitor.get(CODE_PAGE).await.assert_sent_to("/login");
        let reply = send_code(&visitor, &authenticator.code(1)).await;
        assert_eq!(reply.status, 403, "{change}");
        assert!(reply.html().text("[role=alert]").contains("Log in again."));
        assert_signed_out(&visitor).await;
    }
}

#[actix_web::test]
async fn expired_pending_logins_are_deleted() {
    let app = TestApp::start().await;
    turn_on(&app.sign_up("ada").await).await;
    begin_login(&app).await;
    app.db.execute("update pending_logins set expires_at = now() - interval '1 second'");

    begin_login(&app).await;

    assert_eq!(count(&app, "pending_logins"), "1");
}

#[actix_web::test]
async fn wrong_codes_count_against_the_throttle_of_logins() {
    let app = TestApp::start_with(&["--logins-per-minute", "5"]).await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let visitor = app.visitor();
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(send_password(&visitor).await.status.as_u16());
        statuses.push(send_code(&visitor, authenticator.wrong_code()).await.status.as_u16());
    }
    // Registering counted for the address too.
    assert_eq!(statuses, [303, 422, 303, 422]);

    assert_eq!(send_code(&visitor, authenticator.wrong_code()).await.status, 429);
    assert_eq!(send_password(&app.visitor()).await.status, 429);
}

#[actix_web::test]
async fn browser_that_logged_in_before_is_not_locked_out_by_strangers() {
    let app = TestApp::start_with(&["--logins-per-minute", "4"]).await;
    let ada = app.sign_up("ada").await;
    let (authenticator, codes) = turn_on(&ada).await;
    ada.post("/logout", &[]).await;
    let stranger = app.visitor();
    while send_password(&stranger).await.status != 429 {}

    send_password(&ada).await.assert_sent_to(CODE_PAGE);
    assert_eq!(send_code(&ada, authenticator.wrong_code()).await.status, 422);
    send_code(&ada, &codes[0]).await.assert_sent_to(HOME);
}

#[actix_web::test]
async fn ten_wrong_codes_end_the_trust_in_a_device_cookie() {
    let app = TestApp::start_with(&["--logins-per-minute", "1"]).await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    ada.post("/logout", &[]).await;
    for _ in 0..10 {
        send_password(&ada).await.assert_sent_to(CODE_PAGE);
        assert_eq!(send_code(&ada, authenticator.wrong_code()).await.status, 422);
    }

    assert_eq!(send_password(&ada).await.status, 429);
}

#[actix_web::test]
async fn failed_codes_are_in_the_audit_log() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let (authenticator, _codes) = turn_on(&ada).await;
    let failed = "select count(*)::text as answer from audit_log where act = 'sign_in.failed'";

    send_code(&begin_login(&app).await, authenticator.wrong_code()).await;

    crate::usage::wait_until(&app.db, failed, "1").await;
}

#[actix_web::test]
async fn reset_password_does_not_replace_the_code() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    turn_on(&ada).await;
    let token = "R".repeat(32);
    app.db.execute(&format!(
        "insert into account_links (token_digest, kind, user_id, expires_at) \
         select sha256('{token}'), 'password_reset', user_id, now() + interval '1 hour' from users"
    ));
    let new = "another long password";
    let visitor = app.visitor();

    let reset = visitor.post(&format!("/password/reset/{token}"), &[("newPassword", new)]).await;
    assert_eq!(reset.status, 200);
    assert_signed_out(&visitor).await;
    let reply = visitor.post("/login", &[("email", "ada@example.org"), ("password", new)]).await;

    reply.assert_sent_to(CODE_PAGE);
    assert_signed_out(&visitor).await;
}
