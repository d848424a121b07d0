//! Events of a user's account are in the log of each client that the user belongs to.

use uptok::accounts::{self, NewPassword, PasswordHasher};

use super::{list_records, wait_for_records};
use crate::{
    accounts::second_factor::{CODE_PAGE, PAGE, begin_login, send_code, turn_on},
    support::{TestApp, Visitor, test_app::PASSWORD},
};

const OTHER: &str = "cl_0000000001";

/// Ada, with the client that she owns. She is also a member of [`OTHER`], which is not active and has an empty log.
async fn start() -> (TestApp, Visitor, String) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    app.db.execute(&format!(
        "insert into clients (client_id, name, audited_from_start) values ('{OTHER}', 'Other', false)"
    ));
    app.db.execute(&format!("insert into session_counters (client_id) values ('{OTHER}')"));
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) select '{OTHER}', user_id, 'member' from users"
    ));
    (app, ada, client)
}

/// Asserts that these are the events since [`start`], in both logs.
#[track_caller]
fn assert_in_both(app: &TestApp, client: &str, expected: &[&str]) {
    assert_eq!(list_records(&app.db, client)[2..], *expected);
    assert_eq!(list_records(&app.db, OTHER), *expected);
}

fn make_confirmations_old(app: &TestApp) {
    app.db.execute("update sign_ins set created_at = now() - interval '2 hours', confirmed_at = null");
}

#[actix_web::test]
async fn logins_and_logouts_are_in_each_log() {
    let (app, ada, client) = start().await;
    let wrong = [("email", "ada@example.org"), ("password", "not her password")];

    app.visitor().post("/login", &wrong).await;
    wait_for_records(&app, OTHER, 1).await;
    let other = app.log_in("ada").await;
    other.post("/logout", &[]).await;
    app.log_in("ada").await;
    ada.post("/account/sign-ins/end-others", &[]).await;

    assert_in_both(
        &app,
        &client,
        &[
            "sign_in.failed by visitor {}",
            "sign_in.succeeded by user {}",
            "sign_in.ended by user {}",
            "sign_in.succeeded by user {}",
            r#"sign_in.ended by user {"count":"1"}"#,
        ],
    );
}

#[actix_web::test]
async fn failed_confirmations_are_in_each_log() {
    let (app, ada, client) = start().await;
    let password = "not her password";
    turn_on(&ada).await;
    make_confirmations_old(&app);

    ada.post("/confirm", &[("password", password)]).await;
    ada.post("/confirm", &[("code", "00000000")]).await;
    ada.post("/account", &[("currentPassword", password), ("newPassword", "another long password")]).await;
    ada.post("/account/delete", &[("currentPassword", password)]).await;

    let wrong_password = r#"confirmation.failed by user {"wrong":"password"}"#;
    assert_in_both(
        &app,
        &client,
        &[
            "second_factor.added by user {}",
            wrong_password,
            r#"confirmation.failed by user {"wrong":"code"}"#,
            wrong_password,
            wrong_password,
        ],
    );
}

#[actix_web::test]
async fn wrong_code_of_a_login_is_in_each_log() {
    let (app, ada, client) = start().await;
    let (_authenticator, recovery_codes) = turn_on(&ada).await;
    let visitor = begin_login(&app).await;

    assert_eq!(send_code(&visitor, "00000000").await.status, 422);
    wait_for_records(&app, OTHER, 2).await;
    visitor.post(CODE_PAGE, &[("code", &recovery_codes[0])]).await.assert_sent_to("/settings/api-keys");
    ada.post(&format!("{PAGE}/turn-off"), &[]).await.assert_sent_to(PAGE);

    assert_in_both(
        &app,
        &client,
        &[
            "second_factor.added by user {}",
            r#"sign_in.failed by visitor {"wrong":"code"}"#,
            r#"recovery_code.used by user {"left":"9"}"#,
            "sign_in.succeeded by user {}",
            "second_factor.removed by user {}",
        ],
    );
}

#[actix_web::test]
async fn changes_of_the_account_and_the_sign_ins_that_they_end_are_in_each_log() {
    let (app, ada, client) = start().await;
    app.log_in("ada").await;

    ada.post(
        "/account",
        &[("name", "Ada King"), ("currentPassword", PASSWORD), ("newPassword", "another long password")],
    )
    .await
    .assert_sent_to("/account");

    assert_in_both(
        &app,
        &client,
        &[
            "sign_in.succeeded by user {}",
            r#"member.changed by user {"changed":"name"}"#,
            r#"member.changed by user {"changed":"password"}"#,
            r#"sign_in.ended by user {"count":"1"}"#,
        ],
    );
}

#[actix_web::test]
async fn changes_by_the_operator_are_in_each_log() {
    let (app, _ada, client) = start().await;
    let (email, context) = ("ada@example.org".parse().unwrap(), TestApp::audit_context());
    let hash = PasswordHasher::hash_now(&NewPassword::parse(PASSWORD, &[]).unwrap()).unwrap();
    let mut connection = app.db.connect();

    accounts::create_reset_link(&mut connection, &context, &email).unwrap().unwrap();
    accounts::set_name(&mut connection, &context, &email, &"Ada King".parse().unwrap()).unwrap();
    accounts::set_name(&mut connection, &context, &email, &"Ada King".parse().unwrap()).unwrap();
    accounts::set_password(&mut connection, &context, &email, &hash).unwrap();

    assert_in_both(
        &app,
        &client,
        &[
            "reset_link.created by command_line {}",
            r#"member.changed by command_line {"changed":"name"}"#,
            r#"member.changed by command_line {"changed":"password"}"#,
            r#"sign_in.ended by command_line {"count":"1"}"#,
        ],
    );
}

#[actix_web::test]
async fn deletion_of_an_account_is_in_each_log_with_the_role_there() {
    let (app, ada, client) = start().await;
    app.sign_up("eve").await;
    app.db.execute(&format!(
        "insert into memberships (client_id, user_id, role) select '{client}', user_id, 'owner' from users where name = 'eve'"
    ));

    assert_eq!(ada.post("/account/delete", &[]).await.status, 200);

    let last = |client| list_records(&app.db, client).pop().unwrap();
    assert_eq!(last(&client), r#"member.removed by user {"reason":"account deleted","role":"owner"}"#);
    assert_eq!(last(OTHER), r#"member.removed by user {"reason":"account deleted","role":"member"}"#);
}
