//! Users of several clients: which one is active, and what happens to pages and forms of the others.

use super::{join, list_events};
use crate::support::{TestApp, Visitor};

/// Ada owns two clients of the same name as their user; returns her browser and both Client IDs, the first one active.
async fn start_with_two_clients() -> (TestApp, Visitor, [String; 2]) {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let eve = app.sign_up("eve").await;
    let clients = [ada.client_id().await, eve.client_id().await];
    join(&app, &clients[1], "ada", "owner");
    (app, ada, clients)
}

async fn switch(visitor: &Visitor, client: &str) {
    visitor.post("/clients/active", &[("clientId", client)]).await.assert_sent_to("/sessions");
}

#[actix_web::test]
async fn foot_of_the_navigation_offers_the_other_clients() {
    let (_app, ada, [first, second]) = start_with_two_clients().await;

    let page = ada.get("/settings/usage").await.html();

    assert_eq!(page.text(".foot-block code"), first);
    assert_eq!(page.text(".client-menu summary code"), first);
    assert_eq!(page.texts(".client-menu form bdi"), ["eve"]);
    assert_eq!(page.attribute(".client-menu [name=clientId]", "value"), second);
    assert_eq!(page.attribute(".client-menu [name=next]", "value"), "/settings/usage");
    assert_eq!(page.texts(".client-menu button"), ["Switch to eve"]);
}

#[actix_web::test]
async fn clients_of_the_same_name_are_told_apart_by_their_id() {
    let (app, ada, [_, second]) = start_with_two_clients().await;
    app.db.execute("update clients set name = 'Engines'");

    let page = ada.get("/sessions").await.html();

    assert_eq!(page.texts(".client-menu form bdi"), ["Engines"]);
    assert_eq!(page.texts(".client-menu form code"), [second]);
}

#[actix_web::test]
async fn switch_holds_for_this_sign_in_only_and_is_recorded() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    let phone = app.log_in("ada").await;

    switch(&ada, &second).await;
    switch(&ada, &second).await;

    assert_eq!(ada.client_id().await, second);
    assert_eq!(phone.client_id().await, first);
    let switched = "sign_in.switched by user {}".to_owned();
    assert_eq!(list_events(&app, &second).iter().filter(|it| **it == switched).count(), 1);
    assert!(!list_events(&app, &first).contains(&switched));
}

#[actix_web::test]
async fn switch_survives_requests_that_are_under_way() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    for _ in 0..20 {
        let key = ada.generate("laptop").await[..18].to_owned();
        // Deleting a key leaves a message for the next page, which changes the state of the sign-in.
        let delete = format!("/settings/api-keys/{key}/delete");
        futures_util::future::join(ada.post(&delete, &[]), switch(&ada, &second)).await;

        assert_eq!(ada.client_id().await, second);
        switch(&ada, &first).await;
        app.db.execute("update api_keys set deleted_at = now(), secret_hash = null where deleted_at is null");
    }
}

#[actix_web::test]
async fn client_of_others_cannot_become_active() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let (own, other) = (ada.client_id().await, eve.client_id().await);

    for client in [other.as_str(), "", "cl_0000000000", "x"] {
        assert_eq!(ada.post("/clients/active", &[("clientId", client)]).await.status, 404, "{client}");
    }

    assert_eq!(ada.client_id().await, own);
}

#[actix_web::test]
async fn switch_leads_only_to_pages_of_this_site() {
    let (_app, ada, [_, second]) = start_with_two_clients().await;
    for (next, location) in [
        ("/settings/usage?per=hour", "/settings/usage?per=hour"),
        ("//evil.example/", "/sessions"),
        ("/\\evil.example", "/sessions"),
        ("https://evil.example", "/sessions"),
    ] {
        let reply = ada.post("/clients/active", &[("clientId", &second), ("next", next)]).await;
        reply.assert_sent_to(location);
    }
}

#[actix_web::test]
async fn page_of_another_own_client_offers_to_switch_and_shows_it_then() {
    let (_app, ada, [_, second]) = start_with_two_clients().await;
    let key = ada.generate("laptop").await[..18].to_owned();
    let address = format!("/settings/api-keys/{key}/usage?per=hour");
    switch(&ada, &second).await;

    let offer = ada.get(&address).await;

    assert_eq!(offer.status, 409);
    let page = offer.html();
    assert_eq!(page.text("h1"), "This API key belongs to another client");
    assert_eq!(page.text("main button"), "Switch and open key");
    assert_eq!(page.text(".page-head p"), "You are in eve.");
    assert_eq!(page.texts("main dd bdi"), ["laptop", "ada"], "the key and its client");
    assert_eq!(page.text("main a.button"), "Stay in eve");
    let [client, next] =
        ["clientId", "next"].map(|name| page.attribute(&format!("main [name={name}]"), "value"));
    let fields = [("clientId", client.as_str()), ("next", next.as_str())];
    ada.post("/clients/active", &fields).await.assert_sent_to(&address);
    assert_eq!(ada.get(&address).await.status, 200);
}

#[actix_web::test]
async fn form_of_another_own_client_is_shown_again_and_can_be_sent_for_either() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    switch(&ada, &second).await;
    let form = [
        ("clientId", first.as_str()),
        ("name", "laptop <&>"),
        ("requestsPerMinute", "60"),
        ("expires", "30"),
    ];
    let count = || {
        app.db.query_text(
            "select coalesce(string_agg(client_id, ' ' order by created_at), '') as answer from api_keys",
        )
    };

    let refused = ada.post("/settings/api-keys", &form).await;

    assert_eq!((refused.status.as_u16(), count().as_str()), (409, ""));
    let page = refused.html();
    assert_eq!(page.text("h1"), "Which client is this key for?");
    assert_eq!(
        page.texts(".page-head p"),
        ["No key was generated.", "You opened this form in ada, then switched to eve."]
    );
    assert_eq!(page.texts("main dt"), ["Key name", "Rate limit", "Expires"]);
    assert_eq!(page.texts("main dd"), ["laptop <&>", "60 per minute", "In 30 days"]);
    assert_eq!(page.texts("main button"), ["Generate Key"]);
    assert_eq!(
        page.texts("main label"),
        [format!("ada {first} Switches you to this client"), format!("eve Current {second}")]
    );
    assert_eq!(page.attributes("main [name=clientId]", "value"), [first.as_str(), &second]);
    assert_eq!(page.attribute("main [checked]", "value"), first);
    assert_eq!(page.attribute(".menu [aria-current]", "href"), "/settings/api-keys");
    assert_eq!(page.attribute("main [name=name]", "value"), "laptop <&>");
    let here = [("clientId", second.as_str()), ("switchClient", "yes"), ("name", "laptop <&>")];
    assert_eq!(ada.post("/settings/api-keys", &here).await.status, 200);
    assert_eq!(ada.client_id().await, second);
    let there = [form.as_slice(), &[("switchClient", "yes")]].concat();
    let sent = ada.post("/settings/api-keys", &there).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(sent.html().text(".foot-block code"), first);
    assert_eq!(ada.client_id().await, first);
    assert_eq!(count(), format!("{second} {first}"));
}

#[actix_web::test]
async fn form_about_keys_of_another_own_client_is_only_for_that_client() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    let keys = ["laptop", "phone"].map(async |name| ada.generate(name).await[..18].to_owned());
    let keys = futures_util::future::join_all(keys).await.join(" ");
    switch(&ada, &second).await;

    let refused = ada.post("/settings/api-keys/delete", &[("clientId", &first), ("keys", &keys)]).await;

    assert_eq!(refused.status, 409);
    let page = refused.html();
    assert_eq!(page.text("h1"), "These API keys belong to another client");
    assert_eq!(page.text(".page-head strong"), "The keys were not deleted.");
    assert_eq!(page.texts("main dt"), ["API keys", "Client"]);
    assert_eq!(page.texts("main dd bdi"), ["laptop", "phone", "ada"]);
    assert_eq!(page.texts("main .button-danger"), ["Switch and delete 2 keys"]);
    assert_eq!(page.attribute("main [name=keys]", "value"), keys);
    let deleted = "select concat(count(*)) as answer from api_keys where deleted_at is not null";
    assert_eq!(app.db.query_text(deleted), "0");
}

#[actix_web::test]
async fn form_about_an_invitation_of_another_own_client_names_the_invited_address() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    ada.post("/settings/members", &[("email", "bea@example.org"), ("role", "member")]).await;
    let invitation = app.db.query_text("select invitation_id::text as answer from invitations");
    switch(&ada, &second).await;

    let withdraw = format!("/settings/members/invitations/{invitation}/withdraw");
    let refused = ada.post(&withdraw, &[("clientId", &first)]).await;

    assert_eq!(refused.status, 409);
    let page = refused.html();
    assert_eq!(page.text("h1"), "This invitation belongs to another client");
    assert_eq!(page.texts("main dd"), ["bea@example.org".to_owned(), format!("ada {first}")]);
    assert_eq!(page.texts("main button"), ["Switch and withdraw invitation"]);
    let there = [("clientId", first.as_str()), ("switchClient", "yes")];
    ada.post(&withdraw, &there).await.assert_sent_to("/settings/members");
    assert_eq!(ada.client_id().await, first);
}

#[actix_web::test]
async fn form_without_fields_is_only_for_the_client_it_was_opened_under() {
    let (_app, ada, [first, second]) = start_with_two_clients().await;
    switch(&ada, &second).await;

    let page = ada.post("/settings/members/leave", &[("clientId", &first)]).await.html();

    assert_eq!(page.text("h1"), "This form belongs to another client");
    assert_eq!(page.texts("main button"), ["Switch and leave"]);
    assert_eq!(page.attribute("main [name=clientId]", "value"), first);
    assert_eq!(page.texts("main label"), [""; 0]);
}

#[actix_web::test]
async fn form_names_nothing_of_a_client_that_the_user_is_not_a_member_of() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    let key = app.sign_up("mallory").await.generate("secret project").await[..18].to_owned();
    switch(&ada, &second).await;

    for (address, keys) in [
        ("/settings/api-keys/delete".to_owned(), key.as_str()),
        (format!("/settings/api-keys/{key}/delete"), ""),
    ] {
        let refused = ada.post(&address, &[("clientId", &first), ("keys", keys)]).await;

        assert_eq!(refused.status, 409, "{address}");
        assert!(!refused.body.contains("secret project"), "{address}");
    }
}

#[actix_web::test]
async fn role_in_the_other_client_decides_about_a_form_that_switches() {
    let (app, ada, [first, second]) = start_with_two_clients().await;
    app.db.execute(&format!(
        "update memberships set role = 'member' where client_id = '{second}' \
         and user_id = (select user_id from users where name = 'ada')"
    ));

    let form = [("clientId", second.as_str()), ("name", "laptop"), ("switchClient", "yes")];
    let reply = ada.post("/settings/api-keys", &form).await;

    assert_eq!(reply.status, 403);
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "0");
    assert_ne!(first, second);
}

#[actix_web::test]
async fn users_create_clients_where_sign_up_is_open() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let first = ada.client_id().await;

    let refused = ada.post("/clients/new", &[("company", " ")]).await;
    ada.post("/clients/new", &[("company", "Second Ltd")]).await.assert_sent_to("/settings/api-keys");

    assert_eq!(refused.status, 422);
    let page = ada.get("/settings/api-keys").await.html();
    assert!(page.text(".notice-good").contains("Created Second Ltd"));
    let second = page.text(".foot-block code");
    assert_ne!(second, first);
    assert!(page.text("summary .foot-client").starts_with("Second Ltd"));
    assert_eq!(
        list_events(&app, &second),
        [r#"member.added by user {"role":"owner"}"#, "sign_in.switched by user {}"]
    );
}

#[actix_web::test]
async fn only_the_operator_creates_clients_where_sign_up_is_not_open() {
    for policy in ["first", "closed"] {
        let app = TestApp::start().await;
        app.sign_up("ada").await;
        let node = app.start_second_node_with(&["--sign-up", policy]).await;
        let ada = node.log_in("ada").await;

        let page = ada.get("/clients/new").await;
        let refused = ada.post("/clients/new", &[("company", "Second Ltd")]).await;

        assert!(page.body.contains("uptok client add"), "{policy}");
        assert_eq!(page.html().texts(".client-menu"), [""; 0], "{policy}");
        assert_eq!(refused.status, 403, "{policy}");
        assert_eq!(app.db.query_text("select count(*)::text as answer from clients"), "1", "{policy}");
    }
}

#[actix_web::test]
async fn user_without_a_client_logs_in_and_learns_how_to_join_one() {
    let app = TestApp::start().await;
    app.sign_up("ada").await;
    app.db.execute("delete from memberships");
    let ada = app.log_in("ada").await;

    ada.get("/settings/api-keys").await.assert_sent_to("/clients/new");
    let page = ada.get("/clients/new").await.html();
    assert_eq!(page.text("h1"), "You are not a member of any client");
    assert_eq!(page.texts(".menu a"), ["API Documentation"]);
    ada.post("/clients/new", &[("company", "Second Ltd")]).await.assert_sent_to("/settings/api-keys");

    assert_eq!(ada.get("/settings/api-keys").await.status, 200);
    ada.post("/logout", &[]).await.assert_sent_to("/login");
}

#[actix_web::test]
async fn owner_renames_the_client() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;

    let refused = ada.post("/settings/client", &[("company", "a\u{202e}b")]).await;
    ada.post("/settings/client", &[("company", "Engines Ltd")]).await.assert_sent_to("/settings/client");
    ada.post("/settings/client", &[("company", "Engines Ltd")]).await;

    assert_eq!(refused.status, 422);
    ada.post("/settings/client", &[("part", "security"), ("requireSecondFactor", "")])
        .await
        .assert_sent_to("/settings/client");
    let page = ada.get("/settings/client").await.html();
    assert_eq!(page.attribute("#field-company", "value"), "Engines Ltd");
    assert!(page.text(".foot-client").starts_with("Engines Ltd"));
    assert_eq!(
        list_events(&app, &client)[1..],
        [r#"client.changed by user {"changed":"name","from":"ada","to":"Engines Ltd"}"#]
    );
}
