//! Invitations: what a link does, for whom, and how often.

use super::{invite, link_path, list_events};
use crate::support::{Reply, TestApp, Visitor, test_app::PASSWORD};

const NEW_PERSON: [(&str, &str); 2] = [("name", "Bea"), ("password", PASSWORD)];

/// A node with Ada, who owns a client.
async fn start(sign_up: &str) -> (TestApp, Visitor, String) {
    let app = TestApp::start_with(&["--sign-up", "first"]).await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    if sign_up == "first" {
        return (app, ada, client);
    }
    let app = app.start_second_node_with(&["--sign-up", sign_up]).await;
    let ada = app.log_in("ada").await;
    (app, ada, client)
}

#[track_caller]
fn assert_invalid(reply: &Reply) {
    assert_eq!(reply.status, 404, "{}", reply.body);
    assert!(reply.body.contains("This link does not work"), "{}", reply.body);
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
}

#[actix_web::test]
async fn invited_person_registers_although_sign_up_is_closed() {
    for sign_up in ["first", "closed"] {
        let (app, ada, client) = start(sign_up).await;
        let link = invite(&ada, "bea@example.org", "admin").await;
        let bea = app.visitor();

        // Scanners of mail follow links; only the form consumes one.
        for _ in 0..3 {
            assert_eq!(bea.get(&link).await.status, 200);
        }
        let page = bea.get(&link).await;
        bea.post(&link, &NEW_PERSON).await.assert_sent_to("/settings/api-keys");

        assert_eq!(page.html().texts("main label"), ["Name", "Password"]);
        assert_eq!(page.html().texts("main dd")[0], "bea@example.org");
        assert!(page.html().text(".page-head p").ends_with("invited you to join ada on Uptok as an admin."));
        assert_eq!(page.html().texts("main button"), ["Accept"]);
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(bea.client_id().await, client);
        let members = ada.get("/settings/members").await.html();
        assert_eq!(members.cell("Bea", "Role"), "Admin");
        assert_invalid(&app.visitor().post(&link, &NEW_PERSON).await);
        assert_invalid(&app.visitor().get(&link).await);
        assert_eq!(
            list_events(&app, &client)[1..],
            [
                r#"invitation.created by user {"email":"bea@example.org","role":"admin"}"#,
                r#"member.added by user {"role":"admin"}"#
            ]
        );
        app.log_in("bea").await;
    }
}

#[actix_web::test]
async fn mistakes_in_the_form_are_explained_and_do_not_consume_the_link() {
    let (app, ada, _) = start("closed").await;
    let link = invite(&ada, "bea@example.org", "member").await;
    let bea = app.visitor();

    for (fields, wrong) in [
        ([("name", ""), ("password", PASSWORD)], "name"),
        ([("name", "Bea"), ("password", "short")], "password"),
        ([("name", "Bea"), ("password", "bea@example.org")], "password"),
    ] {
        let reply = bea.post(&link, &fields).await;
        assert_eq!(reply.status, 422);
        assert!(!reply.html().text(&format!("#hint-{wrong} .wrong")).is_empty());
        assert!(!reply.body.contains(PASSWORD));
    }

    bea.post(&link, &NEW_PERSON).await.assert_sent_to("/settings/api-keys");
}

#[actix_web::test]
async fn person_with_an_account_accepts_with_the_password() {
    let (app, ada, client) = start("open").await;
    app.sign_up("bea").await;
    let link = invite(&ada, "bea@example.org", "admin").await;
    let bea = app.visitor();

    let page = bea.get(&link).await.html();
    let wrong = bea.post(&link, &[("password", "not her password")]).await;
    let other_name = bea.post(&link, &[("name", "Eve"), ("password", PASSWORD)]).await;

    assert_eq!(page.texts("main label"), ["Password"]);
    assert_eq!(wrong.status, 422);
    assert!(wrong.html().text("#hint-password").contains("not the password"));
    other_name.assert_sent_to("/settings/api-keys");
    assert_eq!(bea.client_id().await, client);
    assert_eq!(bea.get("/sessions").await.html().text(".foot-user"), "bea");
}

#[actix_web::test]
async fn user_who_is_logged_in_accepts_with_one_button_and_works_there() {
    let (app, ada, client) = start("open").await;
    let bea = app.sign_up("bea").await;
    let link = invite(&ada, "bea@example.org", "member").await;

    let page = bea.get(&link).await.html();
    bea.post(&link, &[]).await.assert_sent_to("/settings/api-keys");

    assert_eq!(page.texts("main label"), [""; 0]);
    assert_eq!(bea.client_id().await, client);
    assert_eq!(app.db.query_text("select count(*)::text as answer from sign_ins where user_id = (select user_id from users where name = 'bea')"), "1");
}

#[actix_web::test]
async fn person_who_was_removed_from_the_only_client_comes_back_by_invitation() {
    let (app, ada, client) = start("closed").await;
    let first = invite(&ada, "bea@example.org", "member").await;
    app.visitor().post(&first, &NEW_PERSON).await.assert_sent_to("/settings/api-keys");
    app.db.execute("delete from memberships where role = 'member'");

    let second = invite(&ada, "bea@example.org", "admin").await;
    let bea = app.log_in("bea").await;
    bea.post(&second, &[]).await.assert_sent_to("/settings/api-keys");

    assert_eq!(bea.client_id().await, client);
}

#[actix_web::test]
async fn links_that_do_not_work_get_one_page() {
    let (app, ada, _) = start("open").await;
    let eve = app.sign_up("eve").await;
    let [used, withdrawn, replaced, expired, valid] =
        ["used", "withdrawn", "replaced", "expired", "valid"].map(|name| format!("{name}@example.org"));
    let mut links = Vec::new();
    for email in [&used, &withdrawn, &replaced, &expired, &valid] {
        links.push(invite(&ada, email, "member").await);
    }
    app.visitor().post(&links[0], &NEW_PERSON).await.assert_sent_to("/settings/api-keys");
    let path = |email: &str, action: &str| {
        let id = app.db.query_text(&format!(
            "select invitation_id::text as answer from invitations where email = '{email}'"
        ));
        format!("/settings/members/invitations/{id}/{action}")
    };
    ada.post(&path(&withdrawn, "withdraw"), &[]).await.assert_sent_to("/settings/members");
    let resent = link_path(&ada.post(&path(&replaced, "resend"), &[]).await);
    app.db.execute("update invitations set expires_at = now() where email = 'expired@example.org'");

    let cut_off = links[4][..links[4].len() - 1].to_owned();
    let bad: Vec<String> =
        [&links[..4], &[cut_off, format!("{}x", links[4]), "/invitations/x%00y".to_owned()]].concat();
    let expected = app.visitor().get(&bad[0]).await;
    assert_invalid(&expected);
    for link in &bad {
        let visitor = app.visitor();
        let shown = visitor.get(link).await;
        assert_invalid(&shown);
        assert_eq!(shown.body, expected.body, "{link}");
        assert_invalid(&visitor.post(link, &NEW_PERSON).await);
    }
    for link in [&links[4], &resent] {
        assert_invalid(&eve.get(link).await);
        assert_invalid(&eve.post(link, &NEW_PERSON).await);
        assert_eq!(app.visitor().get(link).await.status, 200, "it is for another person");
    }
}

#[actix_web::test]
async fn link_is_consumed_once_by_parallel_requests() {
    let (app, ada, _) = start("closed").await;
    let link = invite(&ada, "bea@example.org", "member").await;
    let attempts = (0..6).map(|_| {
        let visitor = app.visitor();
        let link = link.clone();
        async move { visitor.post(&link, &NEW_PERSON).await.status.as_u16() }
    });

    let statuses = futures_util::future::join_all(attempts).await;

    assert_eq!(statuses.iter().filter(|it| **it == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|it| [303, 404, 409].contains(it)), "{statuses:?}");
    assert_eq!(app.db.query_text("select count(*)::text as answer from memberships"), "2");
}

#[actix_web::test]
async fn link_is_shown_once_and_only_its_hash_is_stored() {
    let (app, ada, _) = start("closed").await;
    let link = invite(&ada, "bea@example.org", "member").await;
    let token = link.rsplit('/').next().unwrap();

    let page = ada.get("/settings/members").await;

    assert_eq!(token.len(), 32);
    assert!(!page.body.contains(token));
    assert_eq!(page.html().texts("[aria-label='Pending invitations'] tbody th"), ["bea@example.org"]);
    let stored = app
        .db
        .query_text(&format!("select (token_hash = sha256('{token}'))::text as answer from invitations"));
    assert_eq!(stored, "true");
    let lifetime = app.db.query_text("select (expires_at - created_at)::text as answer from invitations");
    assert_eq!(lifetime, "7 days");
    assert_eq!(
        app.db.query_text(&format!(
            "select count(*)::text as answer from audit_log where details like '%{token}%'"
        )),
        "0"
    );
}

#[actix_web::test]
async fn addresses_are_checked_when_inviting() {
    let (app, ada, _) = start("closed").await;
    let send =
        async |email: &str| ada.post("/settings/members", &[("email", email), ("role", "member")]).await;
    let long = format!("{}@example.org", "a".repeat(308));
    for email in
        ["", "bea", "bea@example.org\r\nBcc: eve@example.org", &long, "bea@example.org, eve@example.org"]
    {
        let reply = send(email).await;
        assert_eq!(reply.status, 422, "{email:?}");
        assert!(!reply.html().text("#invite-email-hint").is_empty());
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from invitations"), "0");

    assert_eq!(send("Bea@Bücher.example").await.status, 200);
    for (email, sentence) in [
        ("bea@bücher.example", "already been invited"),
        ("BEA@BÜCHER.EXAMPLE", "already been invited"),
        ("bea@bu\u{308}cher.example", "already been invited"),
        ("ADA@example.org", "already belongs to a member"),
    ] {
        let reply = send(email).await;
        assert_eq!(reply.status, 422, "{email}");
        assert!(reply.html().text("#invite-email-hint").contains(sentence), "{}", reply.body);
    }
    app.db.execute("update invitations set expires_at = now()");
    assert_eq!(send("bea@bücher.example").await.status, 200, "an expired invitation does not count");
    let wrong_role = ada.post("/settings/members", &[("email", "x@example.org"), ("role", "king")]).await;
    assert_eq!(wrong_role.status, 422);
}

#[actix_web::test]
async fn number_of_pending_invitations_is_limited() {
    let (app, ada, client) = start("closed").await;
    app.db.execute(&format!(
        "insert into invitations (invitation_id, client_id, email, role, token_hash, expires_at) \
         select gen_random_uuid(), '{client}', n || '@example.org', 'member', sha256(n::text::bytea), now() + interval '1 day' \
         from generate_series(1, 100) n"
    ));

    let reply = ada.post("/settings/members", &[("email", "bea@example.org"), ("role", "member")]).await;

    assert_eq!(reply.status, 422);
    assert!(reply.html().text("#invite-email-hint").contains("100 pending invitations"));
}

#[actix_web::test]
async fn invitation_is_either_accepted_or_withdrawn() {
    for action in ["withdraw", "resend"] {
        for _ in 0..6 {
            let (app, ada, client) = start("closed").await;
            let link = invite(&ada, "bea@example.org", "member").await;
            let id = app.db.query_text("select invitation_id::text as answer from invitations");
            let path = format!("/settings/members/invitations/{id}/{action}");
            let bea = app.visitor();

            let (accepted, changed) =
                futures_util::future::join(bea.post(&link, &NEW_PERSON), ada.post(&path, &[])).await;

            let is_member = accepted.status == 303;
            let (done, too_late) = if action == "withdraw" { (303, 404) } else { (200, 404) };
            assert_eq!(accepted.status.as_u16(), if is_member { 303 } else { 404 });
            assert_eq!(changed.status.as_u16(), if is_member { too_late } else { done }, "{action}");
            let changes = list_events(&app, &client).iter().filter(|it| it.contains(action)).count();
            assert_eq!(changes, usize::from(!is_member && action == "withdraw"));
        }
    }
}
