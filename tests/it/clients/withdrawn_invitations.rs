//! Pending invitations of users who could no longer make them.

use super::{invite, join, list_events, read_output, run_command, user_id};
use crate::support::{TestApp, Visitor};

/// Ada owns a client; Bea is an owner of it too and has invited an owner and a member.
async fn start() -> (TestApp, Visitor, String, [String; 2]) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let bea = app.sign_up("bea").await;
    join(&app, &client, "bea", "owner");
    bea.post("/clients/active", &[("clientId", &client)]).await.assert_sent_to("/sessions");
    let owner = invite(&bea, "owner@example.org", "owner").await;
    let member = invite(&bea, "member@example.org", "member").await;
    invite(&ada, "other@example.org", "owner").await;
    (app, ada, client, [owner, member])
}

/// The addresses whose invitations are pending.
fn list_pending(app: &TestApp) -> String {
    app.db.query_text("select string_agg(email, ' ' order by email) as answer from invitations")
}

fn withdrawn_by(actor: &str, name: &str) -> String {
    let role = name;
    format!(r#"invitation.withdrawn by {actor} {{"email":"{name}@example.org","role":"{role}"}}"#)
}

#[actix_web::test]
async fn demotion_withdraws_what_the_new_role_may_not_invite() {
    let (app, ada, client, [owner, member]) = start().await;

    let path = format!("/settings/members/{}/role", user_id(&app, "bea"));
    ada.post(&path, &[("role", "admin")]).await.assert_sent_to("/settings/members");

    assert_eq!(list_pending(&app), "member@example.org other@example.org");
    assert_eq!(app.visitor().get(&owner).await.status, 404);
    assert_eq!(app.visitor().get(&member).await.status, 200);
    assert_eq!(list_events(&app, &client).last().unwrap(), &withdrawn_by("user", "owner"));

    ada.post(&path, &[("role", "member")]).await.assert_sent_to("/settings/members");

    assert_eq!(list_pending(&app), "other@example.org");
    assert_eq!(list_events(&app, &client).last().unwrap(), &withdrawn_by("user", "member"));
}

#[actix_web::test]
async fn promotion_withdraws_nothing() {
    let (app, ada, client, _links) = start().await;
    let path = format!("/settings/members/{}/role", user_id(&app, "bea"));
    app.db.execute(&format!(
        "update memberships set role = 'admin' where client_id = '{client}' and user_id = '{}'",
        user_id(&app, "bea")
    ));
    app.db.execute("update invitations set role = 'admin' where email = 'owner@example.org'");

    ada.post(&path, &[("role", "owner")]).await.assert_sent_to("/settings/members");

    assert_eq!(list_pending(&app), "member@example.org other@example.org owner@example.org");
}

#[actix_web::test]
async fn end_of_the_membership_withdraws_everything() {
    for way in ["remove", "leave", "remove by command", "disable", "delete the account"] {
        let (app, ada, client, links) = start().await;

        end_membership(&app, &ada, &client, way).await;

        assert_eq!(list_pending(&app), "other@example.org", "{way}");
        for link in &links {
            assert_eq!(app.visitor().get(link).await.status, 404, "{way}");
        }
        let events = list_events(&app, &client);
        let withdrawn = events.iter().filter(|it| it.contains("invitation.withdrawn")).count();
        assert_eq!(withdrawn, 2, "{way}: {events:?}");
    }
}

/// Ends the membership of Bea.
async fn end_membership(app: &TestApp, ada: &Visitor, client: &str, way: &str) {
    let email = ["--email", "bea@example.org"];
    match way {
        "remove" => {
            let path = format!("/settings/members/{}/remove", user_id(app, "bea"));
            ada.post(&path, &[]).await.assert_sent_to("/settings/members");
        }
        "leave" => {
            let bea = app.log_in("bea").await;
            bea.post("/clients/active", &[("clientId", client)]).await.assert_sent_to("/sessions");
            bea.post("/settings/members/leave", &[]).await.assert_sent_to("/sessions");
        }
        "remove by command" => {
            run(app, &[&["user", "remove", "--client", client][..], &email].concat());
        }
        "disable" | "delete the account" => {
            // Her own client must keep an owner.
            app.db.execute(&format!(
                "insert into memberships (client_id, user_id, role) \
                 select client_id, '{}', 'owner' from clients where client_id <> '{client}'",
                user_id(app, "ada")
            ));
            let command = if way == "disable" { "disable" } else { "delete" };
            run(app, &[&["user", command][..], &email].concat());
        }
        other => panic!("{other}"),
    }
}

fn run(app: &TestApp, arguments: &[&str]) {
    let output = run_command(app, arguments);
    assert!(output.status.success(), "{}", read_output(&output));
}
