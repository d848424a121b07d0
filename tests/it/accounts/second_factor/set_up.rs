//! Turning the second factor on.

use reqwest::Method;

use super::{Authenticator, PAGE, count, send_password, turn_on};
use crate::support::{Reply, TestApp};

const SET_UP: &str = "/account/second-factor/set-up";
const TURN_ON: &str = "/account/second-factor/turn-on";

#[actix_web::test]
async fn set_up_shows_a_qr_code_and_its_secret() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    assert!(ada.get("/account").await.html().texts("main a").contains(&"Set up second factor".to_owned()));
    assert_eq!(ada.get(PAGE).await.html().text("main button"), "Set up");
    let page = ada.post(SET_UP, &[]).await.html();

    let secret = page.text(".secret code");
    assert_eq!(secret.len(), 32, "{secret}");
    assert_eq!(page.texts("form.stack label"), ["Code"]);
    assert!(page.attribute("svg.qr path", "d").starts_with("M4 4h1v1h-1z"));
    let link = format!("otpauth://totp/Uptok:ada%40example.org?secret={secret}&issuer=Uptok");
    assert!(page.attributes("main a", "href").contains(&link));
}

#[actix_web::test]
async fn set_up_is_complete_only_after_a_right_code() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let first = ada.post(SET_UP, &[]).await.html().text(".secret code");
    let authenticator = Authenticator::new(&first);

    for wrong in ["", authenticator.wrong_code(), "not a code", "0123-4567-89ab-cdef-ghjk-mnpq"] {
        let reply = ada.post(TURN_ON, &[("code", wrong)]).await;
        assert_eq!(reply.status, 422, "{wrong}");
        assert!(!reply.html().text("#hint-code .wrong").is_empty());
        assert_eq!(reply.html().text(".secret code"), first, "the set-up goes on");
    }
    send_password(&app.visitor()).await.assert_sent_to("/settings/api-keys");
    let reply = ada.post(TURN_ON, &[("code", &authenticator.code(0))]).await;

    assert_eq!(reply.status, 200);
    assert!(reply.html().text("main [role=status].notice").contains("Your second factor is on."));
    send_password(&app.visitor()).await.assert_sent_to(super::CODE_PAGE);
}

#[actix_web::test]
async fn set_up_that_is_begun_again_keeps_the_secret_for_an_hour() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let secret = async || ada.post(SET_UP, &[]).await.html().text(".secret code");
    let first = secret().await;
    assert_eq!(secret().await, first);

    app.db.execute("update second_factors set created_at = now() - interval '61 minutes'");
    let late = ada.post(TURN_ON, &[("code", &Authenticator::new(&first).code(0))]).await;

    late.assert_sent_to(PAGE);
    assert!(ada.get(PAGE).await.html().text("[role=alert]").contains("took too long"));
    assert_ne!(secret().await, first);
}

#[actix_web::test]
async fn code_without_a_set_up_leads_back() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    ada.post(TURN_ON, &[("code", "123456")]).await.assert_sent_to(PAGE);
    turn_on(&ada).await;
    ada.post(TURN_ON, &[("code", "123456")]).await.assert_sent_to(PAGE);
    ada.post(SET_UP, &[]).await.assert_sent_to(PAGE);

    assert!(ada.get(PAGE).await.html().text("[role=status]").contains("on already"));
}

#[actix_web::test]
async fn recovery_codes_are_shown_once() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;

    let (_authenticator, codes) = turn_on(&ada).await;

    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.len() == 29), "{codes:?}");
    let page = ada.get(PAGE).await;
    assert_eq!(page.html().texts(".facts dd").pop().unwrap(), "10 left");
    assert!(codes.iter().all(|code| !page.body.contains(code)));
}

/// Everything that the tables hold, as text and as bytes in hexadecimal digits.
fn dump_tables(app: &TestApp) -> String {
    let tables = ["second_factors", "recovery_codes", "pending_logins", "audit_log", "sign_ins"];
    let rows = tables.map(|table| {
        app.db.query_text(&format!("select coalesce(string_agg(t::text, ' '), '') as answer from {table} t"))
    });
    rows.join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[actix_web::test]
async fn database_holds_neither_the_secret_nor_a_recovery_code() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let secret = ada.post(SET_UP, &[]).await.html().text(".secret code");
    let (_authenticator, codes) = turn_on(&ada).await;

    let stored = dump_tables(&app);

    let bytes = totp_rs::Secret::try_from_base32(&secret).unwrap().as_bytes().to_vec();
    for text in [secret.clone(), hex(&bytes), hex(secret.as_bytes())] {
        assert!(!stored.contains(&text), "{text} in {stored}");
    }
    for code in &codes {
        let bare = code.replace('-', "");
        for text in [code.clone(), hex(bare.as_bytes()), bare] {
            assert!(!stored.contains(&text), "{text} in {stored}");
        }
    }
    assert_eq!(count(&app, "recovery_codes"), "10");
}

#[actix_web::test]
async fn pages_with_secrets_are_neither_stored_nor_compressed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let post = async |path: &str, code: &str| {
        let request = ada.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin");
        let request = request.header("Accept-Encoding", "br, gzip").form(&[("code", code)]);
        Reply::read(request.send().await.unwrap()).await
    };

    let set_up = post(SET_UP, "").await;
    let authenticator = Authenticator::read(&set_up.html());
    let wrong = post(TURN_ON, "").await;
    let codes = post(TURN_ON, &authenticator.code(0)).await;
    let new_codes = post(&format!("{PAGE}/recovery-codes"), "").await;

    for reply in [set_up, wrong, codes, new_codes] {
        assert_eq!((reply.header("cache-control"), reply.header("content-encoding")), ("no-store", ""));
        assert!(reply.html().attribute("[data-address]", "data-address") == PAGE);
    }
}

#[actix_web::test]
async fn secret_of_another_installation_is_no_secret() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    turn_on(&ada).await;
    app.db
        .execute("update second_factors set secret = decode(repeat('00', 60), 'hex'), last_used_step = null");

    let login = super::begin_login(&app).await;
    let reply = super::send_code(&login, "123456").await;

    assert_eq!(reply.status, 422, "the operator can reset it");
}
