//! Clients that require a second factor of their members.

use super::{invite, list_events, read_output, run_command};
use crate::{
    accounts::second_factor::{Authenticator, CODE_PAGE, PAGE, send_code, turn_on},
    support::{TestApp, Visitor, test_app::PASSWORD},
};

const SETTINGS: &str = "/settings/client";

async fn assert_gated(visitor: &Visitor) {
    for path in ["/sessions", "/settings/api-keys", "/account", SETTINGS] {
        visitor.get(path).await.assert_sent_to(PAGE);
    }
}

#[actix_web::test]
async fn owner_requires_a_second_factor_with_a_checkbox() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    turn_on(&ada).await;
    let page = ada.get(SETTINGS).await.html();
    assert_eq!(page.texts(".boxes label"), ["Require second factor"]);
    assert!(page.attributes("[name=requireSecondFactor][checked]", "name").is_empty());

    let on = [("company", "ada"), ("requireSecondFactor", "yes")];
    ada.post(SETTINGS, &on).await.assert_sent_to(SETTINGS);
    ada.post(SETTINGS, &on).await.assert_sent_to(SETTINGS);

    ada.post(SETTINGS, &[("part", "name"), ("company", "ada")]).await.assert_sent_to(SETTINGS);
    let page = ada.get(SETTINGS).await.html();
    assert_eq!(page.attributes("[name=requireSecondFactor][checked]", "name").len(), 1, "the name alone");
    ada.post(SETTINGS, &[("company", "ada")]).await.assert_sent_to(SETTINGS);
    let events = list_events(&app, &client);
    assert_eq!(
        events[events.len() - 2..],
        [
            r#"client.changed by user {"changed":"secondFactor","to":"required"}"#,
            r#"client.changed by user {"changed":"secondFactor","to":"optional"}"#,
        ]
    );
    let log = ada.get("/settings/audit").await.html().text("main");
    assert!(log.contains("Required a second factor of all members"), "{log}");
}

#[actix_web::test]
async fn members_without_one_can_only_set_it_up() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let on = [("company", "Engines"), ("requireSecondFactor", "yes")];
    ada.post(SETTINGS, &on).await.assert_sent_to(SETTINGS);

    assert_gated(&ada).await;
    let page = ada.get(PAGE).await.html();
    assert_eq!(page.text("main .notice-warn"), "Engines requires a second factor. Set one up to go on.");
    turn_on(&ada).await;
    assert_eq!(ada.get("/sessions").await.status, 200);

    let login = app.visitor();
    login
        .post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)])
        .await
        .assert_sent_to(CODE_PAGE);
    ada.post(&format!("{PAGE}/turn-off"), &[]).await.assert_sent_to(PAGE);
    assert_gated(&ada).await;
    ada.post("/logout", &[]).await.assert_sent_to("/login");
}

#[actix_web::test]
async fn other_clients_can_be_switched_to_and_no_form_leads_around_it() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let first = ada.client_id().await;
    let key = ada.generate("checkout till").await[..18].to_owned();
    ada.post("/clients/new", &[("company", "Second")]).await.assert_sent_to("/settings/api-keys");
    app.db.execute(&format!("update clients set requires_second_factor = true where client_id = '{first}'"));

    assert_eq!(ada.get("/sessions").await.status, 200, "the second client does not require one");
    let delete = format!("/settings/api-keys/{key}/delete");
    let refused = ada.post(&delete, &[("clientId", &first)]).await;
    assert_eq!(refused.status, 409);
    assert!(!refused.body.contains("checkout till"), "the name of a key of the first client");
    let offer = ada.get(&format!("/settings/api-keys/{key}")).await;
    assert_eq!(offer.status, 409);
    assert!(!offer.body.contains("checkout till"), "the name of a key of the first client");
    let fields = [("clientId", first.as_str()), ("switchClient", "yes"), ("name", "sneaky")];
    ada.post("/settings/api-keys", &fields).await.assert_sent_to(PAGE);

    assert_eq!(app.db.query_text("select string_agg(name, ' ') as answer from api_keys"), "checkout till");
    ada.post("/clients/active", &[("clientId", &first)]).await;
    assert_gated(&ada).await;
}

#[actix_web::test]
async fn operator_requires_it_and_no_longer() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let run = |more: &[&str]| {
        let arguments = [&["client", "require-second-factor", "--client", client.as_str()], more].concat();
        read_output(&run_command(&app, &arguments))
    };

    assert_eq!(run(&[]), format!("Members of {client} need a second factor\n"));
    assert_gated(&ada).await;
    assert_eq!(run(&["--off"]), format!("Members of {client} no longer need a second factor\n"));

    assert_eq!(ada.get("/sessions").await.status, 200);
}

/// Bea, who has a second factor and whom Ada invited to her client.
struct InvitedUser {
    app: TestApp,
    ada: Visitor,
    bea: Visitor,
    authenticator: Authenticator,
    link: String,
    /// A second browser of Bea's: it has opened the link and given the password, and is asked for the code.
    visitor: Visitor,
}

async fn give_password_of_invited_user() -> InvitedUser {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let bea = app.sign_up("bea").await;
    let (authenticator, _codes) = turn_on(&bea).await;
    let link = invite(&ada, "bea@example.org", "member").await;
    let visitor = app.visitor();
    visitor.post(&link, &[("password", PASSWORD)]).await.assert_sent_to(CODE_PAGE);
    InvitedUser { app, ada, bea, authenticator, link, visitor }
}

#[actix_web::test]
async fn invitation_does_not_replace_the_code() {
    let InvitedUser { app, ada, authenticator, link, visitor, .. } = give_password_of_invited_user().await;

    visitor.get("/sessions").await.assert_sent_to("/login");
    assert_eq!(count_clients_of_bea(&app), "1", "the password alone accepts nothing");
    assert_eq!(app.visitor().get(&link).await.status, 200, "the link still works");
    assert_eq!(send_code(&visitor, authenticator.wrong_code()).await.status, 422);
    assert_eq!(visitor.get(CODE_PAGE).await.status, 200);
    assert_eq!(count_clients_of_bea(&app), "1");

    send_code(&visitor, &authenticator.code(1)).await.assert_sent_to("/settings/api-keys");

    assert_eq!(count_clients_of_bea(&app), "2");
    assert_eq!(visitor.client_id().await, ada.client_id().await);
    assert_eq!(app.visitor().get(&link).await.status, 404);
    assert_eq!(
        list_events(&app, &ada.client_id().await).last().unwrap(),
        r#"member.added by user {"role":"member"}"#
    );
}

#[actix_web::test]
async fn user_whose_invitation_was_withdrawn_before_the_code_is_logged_in_and_joins_nothing() {
    let InvitedUser { app, bea, authenticator, visitor, .. } = give_password_of_invited_user().await;
    app.db.execute("delete from invitations");

    send_code(&visitor, &authenticator.code(1)).await.assert_sent_to("/settings/api-keys");

    let page = visitor.get("/settings/api-keys").await;
    assert!(page.html().text("[role=alert]").contains("This invitation no longer works"), "{}", page.body);
    assert_eq!(visitor.client_id().await, bea.client_id().await);
    assert_eq!(count_clients_of_bea(&app), "1");
}

#[actix_web::test]
async fn wrong_codes_leave_the_invitation_pending() {
    let InvitedUser { app, authenticator, link, visitor, .. } = give_password_of_invited_user().await;

    for _ in 0..5 {
        assert_eq!(send_code(&visitor, authenticator.wrong_code()).await.status, 422);
    }
    let over = send_code(&visitor, &authenticator.code(1)).await;

    assert_eq!(over.status, 403);
    assert!(over.body.contains("Open the link of your invitation again"), "{}", over.body);
    assert_eq!(count_clients_of_bea(&app), "1");
    visitor.post(&link, &[("password", PASSWORD)]).await.assert_sent_to(CODE_PAGE);
}

fn count_clients_of_bea(app: &TestApp) -> String {
    app.db.query_text(
        "select count(*)::text as answer from memberships \
         join users using (user_id) where email = 'bea@example.org'",
    )
}
