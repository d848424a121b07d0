//! `uptok client` and `uptok invitation`: what owners do in the browser, from the command line.

use super::{list_events, read_output, run_command};
use crate::support::{TestApp, test_app::PASSWORD};

#[actix_web::test]
async fn operator_adds_lists_and_renames_clients() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let first = ada.client_id().await;
    let run = |arguments: &[&str]| read_output(&run_command(&app, &[&["client"], arguments].concat()));

    let added = run(&["add", "--company", "Second Ltd", "--owner", "ada@example.org"]);
    let second = added.trim().strip_prefix("ada@example.org is owner of ").unwrap().to_owned();
    let renamed = run(&["rename", "--client", &first, "--company", "First Ltd"]);

    assert_eq!(renamed, format!("{first} is now called First Ltd\n"));
    assert_eq!(run(&["list"]), format!("{first}\tFirst Ltd\n{second}\tSecond Ltd\n"));
    ada.post("/clients/active", &[("clientId", &second)]).await.assert_sent_to("/sessions");
    assert_eq!(list_events(&app, &second)[0], r#"member.added by command_line {"role":"owner"}"#);
    assert_eq!(
        list_events(&app, &first)[1..],
        [r#"client.changed by command_line {"changed":"name","from":"ada","to":"First Ltd"}"#]
    );
    assert!(
        run(&["add", "--company", "X", "--owner", "eve@example.org"])
            .contains("there is no user eve@example.org")
    );
    assert!(
        run(&["rename", "--client", "cl_0000000000", "--company", "X"])
            .contains("there is no client cl_0000000000")
    );
}

#[actix_web::test]
async fn operator_invites_and_the_link_works() {
    let app = TestApp::start().await;
    let client = app.sign_up("ada").await.client_id().await;
    let run = |command: &str, arguments: &[&str]| {
        let arguments = [&["invitation", command, "--client", client.as_str()], arguments].concat();
        read_output(&run_command(&app, &arguments))
    };
    let bea = ["--email", "bea@example.org"];

    let first = run("create", &[&bea[..], &["--role", "owner"]].concat());
    let listed = run("list", &[]);
    let again = run("create", &bea);
    let second = run("resend", &bea);

    let path = |output: &str| output.trim().strip_prefix(&app.url).unwrap().to_owned();
    assert!(listed.starts_with("bea@example.org\towner\t20"), "{listed}");
    assert!(again.contains("is already invited"), "{again}");
    let visitor = app.visitor();
    assert_eq!(visitor.get(&path(&first)).await.status, 404, "resending replaces the link");
    let fields = [("name", "Bea"), ("password", PASSWORD)];
    visitor.post(&path(&second), &fields).await.assert_sent_to("/settings/api-keys");
    assert_eq!(run("list", &[]), "");
    assert!(run("create", &bea).contains("is already a member of"));
    assert!(run("create", &["--email", "eve@example.org"]).contains("/invitations/"));
    assert_eq!(
        run("withdraw", &["--email", "eve@example.org"]),
        "The invitation of eve@example.org is withdrawn\n"
    );
    assert!(run("withdraw", &["--email", "eve@example.org"]).contains("is not invited to"));
    assert_eq!(
        list_events(&app, &client)[1..],
        [
            r#"invitation.created by command_line {"email":"bea@example.org","role":"owner"}"#,
            r#"invitation.resent by command_line {"email":"bea@example.org","role":"owner"}"#,
            r#"member.added by user {"role":"owner"}"#,
            r#"invitation.created by command_line {"email":"eve@example.org","role":"member"}"#,
            r#"invitation.withdrawn by command_line {"email":"eve@example.org","role":"member"}"#,
        ]
    );
}
