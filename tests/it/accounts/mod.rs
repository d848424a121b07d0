//! Registration, login and logout, and when a sign-in ends.

use diesel_migrations::MigrationHarness as _;
use reqwest::Method;
use uptok::db::{Db, migrations::MIGRATIONS};

use crate::support::{TestApp, Visitor, test_app::PASSWORD};

mod account;
mod attacks;
mod commands;
mod device_cookie;
mod email_spelling;
mod ended_sign_in;
mod members;
mod other_user;
mod password_reset;
pub(crate) mod second_factor;
mod sign_ins;

/// What a user enters in the form of a new key, with everything that forms can hold.
pub(crate) const KEY_FORM: [(&str, &str); 4] = [
    ("name", "Ware <house> & co"),
    ("allowedNetworks", "10.0.0.0/8\r\n192.0.2.0/24"),
    ("chooseScopes", "yes"),
    ("sessions:read", "yes"),
];

const LAST_MIGRATION: &str = "select max(version) as answer from __diesel_schema_migrations";

async fn register(visitor: &Visitor, replacement: (&str, &str)) -> crate::support::Reply {
    let mut fields = vec![
        ("name", "Ada"),
        ("company", "Engines Ltd"),
        ("email", "ada@example.org"),
        ("password", PASSWORD),
    ];
    if let Some(field) = fields.iter_mut().find(|(name, _)| *name == replacement.0) {
        field.1 = replacement.1;
    }
    visitor.post("/register", &fields).await
}

#[actix_web::test]
async fn registration_creates_a_user_and_a_client_and_signs_in() {
    let app = TestApp::start().await;
    let ada = app.visitor();

    register(&ada, ("", "")).await.assert_sent_to("/settings/api-keys");

    let page = ada.get("/settings/api-keys").await.html();
    assert_eq!(page.text(".foot-user"), "Ada");
    assert!(page.text(".foot-client").starts_with("Engines Ltd cl_"));
}

#[actix_web::test]
async fn forms_have_their_labels() {
    let app = TestApp::start().await;
    let register = app.visitor().get("/register").await.html();
    let login = app.visitor().get("/login").await.html();

    assert_eq!(register.texts("form.stack label"), ["Name", "Company", "Email", "Password"]);
    assert_eq!(login.texts("form.stack label"), ["Email", "Password"]);
}

#[actix_web::test]
async fn invalid_field_is_explained_and_the_others_are_kept() {
    let app = TestApp::start().await;
    for (field, value) in [
        ("name", " "),
        ("name", "a\u{202e}b"),
        ("company", ""),
        ("email", "no address"),
        ("password", "too short"),
        ("password", "passwordpassword"),
        ("password", "ada@example.org"),
    ] {
        let reply = register(&app.visitor(), (field, value)).await;

        assert_eq!(reply.status, 422, "{field}={value}");
        let page = reply.html();
        assert!(!page.text(&format!("#hint-{field} .wrong")).is_empty());
        let unchanged = if field == "email" { ("name", "Ada") } else { ("email", "ada@example.org") };
        assert_eq!(page.attribute(&format!("#field-{}", unchanged.0), "value"), unchanged.1);
        assert_eq!(page.attribute("#field-password", "value"), "");
    }
}

#[actix_web::test]
async fn email_is_unique_ignoring_case() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;

    let reply = register(&app.visitor(), ("email", "ADA@Example.org")).await;

    assert_eq!(reply.status, 422);
    assert!(reply.html().text("#hint-email").contains("Log in instead"));
}

#[actix_web::test]
async fn only_the_first_user_can_register_with_sign_up_first() {
    let app = TestApp::start_with(&["--sign-up", "first"]).await;

    register(&app.visitor(), ("", "")).await.assert_sent_to("/settings/api-keys");
    let second = register(&app.visitor(), ("email", "eve@example.org")).await;

    assert_eq!(second.status, 403);
    assert_eq!(app.db.query_text("select count(*)::text as answer from users"), "1");
}

#[actix_web::test]
async fn only_one_of_many_concurrent_registrations_is_the_first() {
    let app = TestApp::start_with(&["--sign-up", "first"]).await;
    let attempts = (0..8).map(|index| {
        let visitor = app.visitor();
        async move {
            let email = format!("user{index}@example.org");
            register(&visitor, ("email", &email)).await.status.as_u16()
        }
    });

    let statuses = futures_util::future::join_all(attempts).await;

    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(app.db.query_text("select count(*)::text as answer from clients"), "1");
}

#[actix_web::test]
async fn registration_can_be_closed() {
    let app = TestApp::start_with(&["--sign-up", "closed"]).await;
    let reply = register(&app.visitor(), ("", "")).await;

    assert_eq!(reply.status, 403);
    assert!(app.visitor().get("/register").await.body.contains("Registration is closed"));
}

#[actix_web::test]
async fn wrong_password_and_unknown_email_get_the_same_answer() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    let visitor = app.visitor();

    let wrong_password =
        visitor.post("/login", &[("email", "ada@example.org"), ("password", "not my password!")]).await;
    let unknown_email =
        visitor.post("/login", &[("email", "eve@example.org"), ("password", "not my password!")]).await;

    assert_eq!(
        (wrong_password.status, unknown_email.status),
        (422.try_into().unwrap(), 422.try_into().unwrap())
    );
    assert_eq!(wrong_password.body.replace("ada@", ""), unknown_email.body.replace("eve@", ""));
}

#[actix_web::test]
async fn logout_ends_the_sign_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let cookie = app.db.query_text("select encode(id_hash, 'hex') as answer from sign_ins");

    ada.post("/logout", &[]).await.assert_sent_to("/login");

    ada.get("/settings/api-keys").await.assert_sent_to("/login");
    assert_eq!(app.db.query_text("select count(*)::text as answer from sign_ins"), "0");
    assert_eq!(cookie.len(), 64);
}

#[actix_web::test]
async fn login_issues_a_new_sign_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let before = app.db.query_text("select encode(id_hash, 'hex') as answer from sign_ins");

    ada.post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;

    assert_ne!(app.db.query_text("select encode(id_hash, 'hex') as answer from sign_ins"), before);
    assert_eq!(app.db.query_text("select count(*)::text as answer from sign_ins"), "1");
}

#[actix_web::test]
async fn logout_is_not_undone_by_a_request_in_flight() {
    let app = TestApp::start().await;
    for _ in 0..50 {
        let ada = if app.db.query_text("select count(*)::text as answer from users") == "0" {
            app.sign_up("ada").await
        } else {
            app.log_in("ada").await
        };
        let key = ada.generate("laptop").await[..18].to_owned();
        // Deleting a key sets a flash message, which changes the state of the sign-in.
        let delete = format!("/settings/api-keys/{key}/delete");
        futures_util::future::join(ada.post(&delete, &[]), ada.post("/logout", &[])).await;

        ada.get("/settings/api-keys").await.assert_sent_to("/login");
        app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where deleted_at is null");
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from sign_ins"), "0");
}

#[actix_web::test]
async fn removed_disabled_or_idle_users_are_signed_out_with_the_next_request() {
    for change in [
        "delete from memberships",
        "update users set disabled_at = now()",
        "update sign_ins set last_seen_at = now() - interval '13 hours'",
        "update sign_ins set ends_at = now()",
    ] {
        let app = TestApp::start().await;
        let ada = app.sign_up("ada").await;
        assert_eq!(ada.get("/sessions").await.status, 200);

        app.db.execute(change);

        ada.get("/sessions").await.assert_sent_to("/login");
    }
}

#[actix_web::test]
async fn tampered_cookie_is_refused() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let reply = ada.post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    let cookie = reply.set_cookie("uptok_sign_in").split(';').next().unwrap().to_owned();
    let tampered = cookie.replace(&cookie[cookie.len() - 4..], "AAAA");
    let visitor = app.visitor();

    let get_with_cookie =
        |cookie: String| visitor.request(Method::GET, "/sessions").header("Cookie", cookie).send();

    assert_eq!(get_with_cookie(cookie).await.unwrap().status(), 200);
    assert_eq!(get_with_cookie(tampered).await.unwrap().status(), 303);
}

#[actix_web::test]
async fn cookie_is_http_only_same_site_and_secure_over_https() {
    let app = TestApp::start().await;
    let reply = register(&app.visitor(), ("", "")).await;
    let cookie = reply.set_cookie("uptok_sign_in");

    for word in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let secure = TestApp::start_with(&["--public-url", "https://keys.example.org"]).await;
    let reply = register(&secure.visitor(), ("", "")).await;
    assert!(reply.set_cookie("__Host-uptok_sign_in").contains("Secure"), "{reply:?}");
}

#[actix_web::test]
async fn login_attempts_are_limited_per_address() {
    let app = TestApp::start_with(&["--logins-per-minute", "3"]).await;
    let visitor = app.visitor();
    let login = async |email: &str| {
        visitor.post("/login", &[("email", email), ("password", "not my password!")]).await
    };
    for _ in 0..3 {
        assert_eq!(login("ada@example.org").await.status, 422);
    }

    let fourth = login("eve@example.org").await;

    assert_eq!(fourth.status, 429);
    assert!((1..=60).contains(&fourth.header("retry-after").parse::<u32>().unwrap()));
    assert!(fourth.body.contains("Too many attempts"));
}

/// The migrations since the first release run on a database with users, memberships and sign-ins.
#[actix_web::test]
async fn upgrade_keeps_every_sign_in() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    while app.db.query_text(LAST_MIGRATION).as_str() > "20261126001" {
        app.db.connect().revert_last_migration(MIGRATIONS).unwrap();
    }
    let has_invitations = "select (to_regclass('invitations') is not null)::text as answer";
    assert_eq!(app.db.query_text(has_invitations), "false");

    Db::migrate(&app.db.url).unwrap();

    assert_eq!(ada.client_id().await, client);
    assert_eq!(app.db.query_text(has_invitations), "true");
}
