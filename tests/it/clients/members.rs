//! The page of members: roles, removing and leaving.

use super::{join, list_events, read_output, run_command, user_id};
use crate::support::{Reply, TestApp, Visitor};

/// Ada owns a client, Bea is an admin of it and Cleo a member. All have clients of their own, too.
async fn start_with_team() -> (TestApp, [Visitor; 3], String) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let (bea, cleo) = (app.sign_up("bea").await, app.sign_up("cleo").await);
    for (name, role, visitor) in [("bea", "admin", &bea), ("cleo", "member", &cleo)] {
        join(&app, &client, name, role);
        visitor.post("/clients/active", &[("clientId", &client)]).await.assert_sent_to("/sessions");
    }
    (app, [ada, bea, cleo], client)
}

async fn change_role(app: &TestApp, visitor: &Visitor, name: &str, role: &str) -> Reply {
    visitor.post(&format!("/settings/members/{}/role", user_id(app, name)), &[("role", role)]).await
}

async fn remove(app: &TestApp, visitor: &Visitor, name: &str) -> Reply {
    visitor.post(&format!("/settings/members/{}/remove", user_id(app, name)), &[]).await
}

fn role_of(app: &TestApp, client: &str, name: &str) -> String {
    app.db.query_text(&format!(
        "select coalesce((select role from memberships where client_id = '{client}' and user_id = '{}'), '-') as answer",
        user_id(app, name)
    ))
}

#[actix_web::test]
async fn page_lists_members_with_what_the_visitor_may_do() {
    let (app, [ada, bea, cleo], _) = start_with_team().await;

    let [of_owner, of_admin, of_member] = [
        ada.get("/settings/members").await.html(),
        bea.get("/settings/members").await.html(),
        cleo.get("/settings/members").await.html(),
    ];

    assert_eq!(of_owner.texts("[aria-label=Members] thead th"), ["Name", "Email", "Role", "Action"]);
    assert_eq!(of_owner.texts("[aria-label=Members] tbody td:nth-child(2)")[1], "bea@example.org");
    assert_eq!(of_owner.texts(".invite label"), ["Email", "Role"]);
    assert_eq!(of_owner.texts(".invite option"), ["Member", "Admin", "Owner"]);
    assert_eq!(of_admin.texts(".invite option"), ["Member", "Admin"]);
    assert_eq!(of_member.texts(".invite"), [""; 0]);
    let actions = |page: &crate::support::html::Html, name: &str| page.cell(name, "Action");
    assert!(actions(&of_owner, "bea").contains("Change role"));
    assert_eq!(actions(&of_admin, "ada"), "");
    assert!(actions(&of_admin, "cleo").contains("Remove"));
    assert!(actions(&of_admin, "bea You").ends_with("Leave"));
    assert_eq!(of_member.texts("[aria-label=Members] thead th"), ["Name", "Email", "Role"]);
    assert_eq!(of_member.texts("[href='/settings/members/leave']"), ["Leave this client"]);
    assert_eq!(app.db.query_text("select count(*)::text as answer from memberships"), "5");
}

/// The rows of the table of permissions about members, for each acting role and each role that is involved.
#[actix_web::test]
async fn admins_manage_admins_and_members_and_only_owners_manage_owners() {
    let (app, [ada, bea, cleo], client) = start_with_team().await;
    app.sign_up("dora").await;
    for (actor, may) in
        [(&ada, ["owner", "admin", "member"].as_slice()), (&bea, &["admin", "member"]), (&cleo, &[])]
    {
        for before in ["owner", "admin", "member"] {
            for after in ["owner", "admin", "member"] {
                join(&app, &client, "dora", before);
                let reply = change_role(&app, actor, "dora", after).await;
                let is_permitted = may.contains(&before) && may.contains(&after);
                assert_eq!(reply.status, if is_permitted { 303 } else { 403 }, "{before} {after} {may:?}");
                let expected = if is_permitted { after } else { before };
                assert_eq!(role_of(&app, &client, "dora"), expected);

                let reply = remove(&app, actor, "dora").await;
                let is_permitted = may.contains(&expected);
                assert_eq!(reply.status, if is_permitted { 303 } else { 403 }, "{expected} {may:?}");
                app.db.execute(&format!(
                    "delete from memberships where user_id = '{}' and client_id = '{client}'",
                    user_id(&app, "dora")
                ));
            }
        }
        for role in ["owner", "admin", "member"] {
            let email = format!("{role}-{}@example.org", may.len());
            let reply = actor.post("/settings/members", &[("email", &email), ("role", role)]).await;
            assert_eq!(reply.status, if may.contains(&role) { 200 } else { 403 }, "{role} {may:?}");
        }
    }
}

#[actix_web::test]
async fn role_change_and_removal_are_recorded_and_hold_from_the_next_request() {
    let (app, [ada, bea, cleo], client) = start_with_team().await;

    change_role(&app, &ada, "bea", "member").await.assert_sent_to("/settings/members");
    assert_eq!(bea.post("/settings/api-keys", &[("name", "x"), ("clientId", &client)]).await.status, 403);
    remove(&app, &ada, "cleo").await.assert_sent_to("/settings/members");

    assert_ne!(cleo.client_id().await, client, "the sign-in goes on in the own client");
    assert!(
        ada.get("/settings/members").await.html().text(".notice-good").contains("cleo is no longer a member")
    );
    assert_eq!(
        list_events(&app, &client)[3..],
        [
            r#"member.changed by user {"changed":"role","from":"admin","to":"member"}"#,
            r#"member.removed by user {"role":"member"}"#
        ]
    );
    let own = cleo.client_id().await;
    assert_eq!(list_events(&app, &own).last().unwrap(), "sign_in.switched by system {}");
    assert_eq!(change_role(&app, &ada, "cleo", "admin").await.status, 404);
    assert_eq!(remove(&app, &ada, "cleo").await.status, 404);
}

#[actix_web::test]
async fn last_owner_cannot_leave_be_removed_demoted_or_disabled() {
    let (app, [ada, bea, _], client) = start_with_team().await;

    let left = ada.post("/settings/members/leave", &[]).await;
    let removed = remove(&app, &ada, "ada").await;
    let demoted = change_role(&app, &ada, "ada", "admin").await;
    let disabled = read_output(&run_command(&app, &["user", "disable", "--email", "ada@example.org"]));

    assert_eq!((left.status.as_u16(), removed.status.as_u16(), demoted.status.as_u16()), (409, 409, 422));
    for reply in [&left, &removed, &demoted] {
        assert!(reply.body.contains("This is the only owner of the client."), "{}", reply.body);
    }
    assert!(disabled.contains(&format!("ada@example.org is the only owner of {client}")), "{disabled}");
    assert_eq!(role_of(&app, &client, "ada"), "owner");
    assert_eq!(ada.client_id().await, client);

    change_role(&app, &ada, "bea", "owner").await.assert_sent_to("/settings/members");
    ada.post("/settings/members/leave", &[]).await.assert_sent_to("/sessions");
    ada.get("/sessions").await.assert_sent_to("/clients/new");
    assert!(ada.get("/clients/new").await.body.contains("You have left ada."));
    assert_eq!(bea.post("/settings/members/leave", &[("clientId", &client)]).await.status, 409);
}

#[actix_web::test]
async fn two_owners_who_leave_at_once_do_not_both_get_away() {
    for _ in 0..10 {
        let app = TestApp::start().await;
        let (ada, bea) = (app.sign_up("ada").await, app.sign_up("bea").await);
        let client = ada.client_id().await;
        join(&app, &client, "bea", "owner");
        bea.post("/clients/active", &[("clientId", &client)]).await.assert_sent_to("/sessions");
        let form = [("clientId", client.as_str())];

        let (one, other) = futures_util::future::join(
            ada.post("/settings/members/leave", &form),
            bea.post("/settings/members/leave", &form),
        )
        .await;

        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 409]);
    }
}

#[actix_web::test]
async fn removal_lists_the_active_keys_of_the_member_with_a_way_to_delete_them() {
    let (app, [ada, bea, _], client) = start_with_team().await;
    let key = bea.post("/settings/api-keys", &[("name", "laptop"), ("clientId", &client)]).await;
    let key = key.html().text("[data-whole-key-text]");
    ada.generate("of ada").await;
    // More than a page lists, and older.
    app.db.execute(
        "insert into api_keys (client_id, public_key, name, secret_hash, created_by, created_at, expires_at) \
         select client_id, 'uptok_' || lpad(n::text, 12, '0'), 'old ' || n, sha256(n::text::bytea), created_by, \
         now() - interval '100 days', now() - interval '10 days' \
         from api_keys, generate_series(1, 101) n where name = 'laptop'",
    );
    let id = user_id(&app, "bea");

    let asked = ada.get(&format!("/settings/members/{id}/remove")).await.html();
    let keys_page = format!("/settings/members/{id}/keys");
    remove(&app, &ada, "bea").await.assert_sent_to(&keys_page);
    let page = ada.get(&keys_page).await.html();

    assert!(asked.texts("main li a").contains(&"laptop".to_owned()), "{}", asked.text("main"));
    assert_eq!(page.text("h1"), "Keys created by bea");
    assert_eq!(page.texts("tbody th bdi"), ["laptop"]);
    assert_eq!(page.cell("laptop", "Last used"), "Not used yet");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 200, "it stays active");
    let public_key = page.attribute("main [name=key]", "value");
    let confirm = ada.get(&format!("/settings/api-keys/delete?key={public_key}")).await.html();
    let keys = confirm.attribute("main [name=keys]", "value");
    ada.post("/settings/api-keys/delete", &[("keys", &keys)]).await.assert_sent_to("/settings/api-keys");
    assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401);
    assert!(ada.get(&keys_page).await.body.contains("No active keys."));
    assert_eq!(ada.get(&format!("/settings/members/{}/keys", uuid::Uuid::nil())).await.status, 404);
}
