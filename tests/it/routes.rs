//! Tests that hold for every route: each goes through the tables of pages and API endpoints. They fail for a
//! route whose path or form they cannot fill in, so no route can be added without being tested.

use reqwest::Method;
use uptok::{
    accounts::{PERMISSIONS, Role},
    api,
    api_keys::{EndpointAccess, Scope},
    pages::{FormKind, PAGE_ROUTES, PageAccess, PageMethod, PageRoute},
};

use crate::support::{
    Reply, TestApp,
    route_requests::{ApiRequest, Owner, PageRequest, browser_for, key_with, percent_encoded},
};

mod hostile;
mod markup;

fn count_keys(app: &TestApp) -> String {
    app.db.query_text("select count(*)::text as answer from api_keys")
}

#[test]
fn no_route_is_listed_twice() {
    let pages = PAGE_ROUTES.map(|route| (route.method == PageMethod::Get, route.path));
    let endpoints = api::endpoints();
    for (index, page) in pages.iter().enumerate() {
        assert!(!pages[..index].contains(page), "{page:?}");
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let mut before = endpoints[..index].iter();
        assert!(
            before.all(|it| (it.method, it.path) != (endpoint.method, endpoint.path)),
            "{}",
            endpoint.path
        );
    }
}

#[actix_web::test]
async fn a_visitor_who_is_not_logged_in_is_sent_to_log_in() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let keys = count_keys(&app);
    for route in &PAGE_ROUTES {
        let request = PageRequest::new(route, &ada);
        let reply = request.send(&app.visitor()).await;
        match route.access {
            PageAccess::Member | PageAccess::Permitted(_) | PageAccess::SignedIn => {
                reply.assert_sent_to("/login");
            }
            // Without a password there is no login to go on with.
            PageAccess::SignedOut if route.path == "/login/second-factor" => {
                assert!(reply.header("location") == "/login" || reply.status == 403, "{}", request.text());
            }
            PageAccess::Public | PageAccess::SignedOut => {
                assert_ne!(reply.header("location"), "/login", "{}", request.text());
                assert!(!ada.is_named_in(&reply.body), "{}", request.text());
            }
        }
    }
    assert_eq!(count_keys(&app), keys);
}

#[actix_web::test]
async fn a_signed_in_visitor_is_sent_on_from_pages_for_others() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    for route in PAGE_ROUTES.iter().filter(|route| route.method == PageMethod::Get) {
        let reply = PageRequest::new(route, &ada).send(&browser_for(route, &app, &ada).await).await;
        match route.access {
            PageAccess::SignedOut => reply.assert_sent_to("/settings/api-keys"),
            _ => assert!(reply.status.as_u16() < 400, "{}: {}", route.path, reply.status),
        }
    }
}

/// Without scripts, the theme form leads back to the page that has it. A refused form is a page at the path that it was
/// sent to, and not all of these answer GET.
#[actix_web::test]
async fn a_theme_chosen_at_any_path_leads_to_a_page() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    for route in &PAGE_ROUTES {
        let (path, visitor) = (PageRequest::new(route, &ada).path, browser_for(route, &app, &ada).await);
        let choice = visitor.request(Method::POST, "/theme").header("Sec-Fetch-Site", "same-origin");
        let choice = choice.header("Referer", format!("{}{path}", app.url)).form(&[("theme", "dark")]);

        let reply = Reply::read(choice.send().await.unwrap()).await;

        assert_eq!(reply.status, 303, "{path}");
        let page = visitor.get(reply.header("location")).await;
        assert!(page.status.as_u16() < 400, "{path} leads to {}: {}", reply.header("location"), page.status);
        if route.method == PageMethod::Get {
            assert_eq!(reply.header("location"), path);
        }
    }
}

#[actix_web::test]
async fn forms_from_another_site_are_refused() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let keys = count_keys(&app);
    let other_port = format!("{}1", app.url);
    let sets: [&[(&str, &str)]; 11] = [
        &[],
        &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", &app.url), ("Origin", &app.url)],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &app.url)],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", &other_port)],
        &[("Referer", &app.url)],
    ];
    for route in PAGE_ROUTES.iter().filter(|route| route.method != PageMethod::Get) {
        let request = PageRequest::new(route, &ada);
        for headers in sets {
            // Pages of links send no referrer; the token in their path shows that the form is ours.
            if headers == [("Origin", "null")] && route.path.contains("token}") {
                continue;
            }
            let reply = request.send_with(&ada.visitor, headers).await;
            assert_eq!(reply.status, 403, "{} {headers:?}", request.text());
            assert!(reply.body.contains("came from another site"));
        }
    }
    assert_eq!(count_keys(&app), keys);
    assert_eq!(ada.visitor.get("/sessions").await.status, 200);
    let own = [("Origin", app.url.as_str())];
    let create =
        PAGE_ROUTES.iter().find(|it| it.path == "/settings/api-keys" && it.method != PageMethod::Get);
    let reply = PageRequest::new(create.unwrap(), &ada).send_with(&ada.visitor, &own).await;
    assert_eq!(reply.status, 200, "an old browser sends the Origin alone");
}

/// Every route in every role, with an object of the own client.
#[actix_web::test]
async fn a_role_does_only_what_the_table_of_permissions_grants() {
    for role in [Role::Owner, Role::Admin, Role::Member] {
        let app = TestApp::start().await;
        let ada = Owner::new(&app, "ada").await;
        let (client, email) = (&ada.client_id, &ada.email);
        // Before each route, because one of them is to leave the client.
        let join = format!(
            "insert into memberships (client_id, user_id, role) \
             select '{client}', user_id, '{role}' from users where email = '{email}' \
             on conflict (client_id, user_id) do update set role = excluded.role"
        );
        let activate = format!(
            "update sign_ins set client_id = '{client}' \
             where user_id = (select user_id from users where email = '{email}')"
        );
        for route in &PAGE_ROUTES {
            app.db.execute(&join);
            app.db.execute(&activate);
            let request = PageRequest::new(route, &ada);
            let reply = request.send(&browser_for(route, &app, &ada).await).await;
            let is_granted = route.access.permission().is_none_or(|it| it.is_granted_to(role));
            assert_eq!(reply.status != 403, is_granted, "{role}: {} {}", request.text(), reply.status);
            if let Some(permission) = route.access.permission().filter(|_| !is_granted) {
                assert!(reply.body.contains(permission.refusal()), "{role}: {}", request.text());
            }
        }
    }
}

/// `ManageOwners` is checked by the forms of `ManageMembers`; `clients::members` tests it.
#[test]
fn every_permission_is_needed_by_a_route() {
    for row in PERMISSIONS {
        let is_needed = PAGE_ROUTES.iter().any(|route| route.access.permission() == Some(row.permission));
        assert_eq!(is_needed, row.permission != uptok::accounts::Permission::ManageOwners, "{row:?}");
    }
}

/// Every route with an object or a form of a client of the user that is not the active one.
#[actix_web::test]
async fn what_another_client_of_the_user_owns_offers_to_switch() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    ada.visitor.post("/clients/new", &[("company", "Second")]).await.assert_sent_to("/settings/api-keys");
    let before = dump_state(&app);
    for route in &PAGE_ROUTES {
        let request = PageRequest::new(route, &ada);
        let is_form = matches!(route.method, PageMethod::Post(FormKind::OfClient | FormKind::UploadOfClient));
        if !is_form && !ada.is_named_in(&request.text()) {
            continue;
        }
        let reply = request.send(&ada.visitor).await;
        assert_eq!(reply.status, 409, "{} {}", request.text(), reply.body);
        assert!(reply.html().text("h1").contains(" client"), "{}", request.text());
        if is_form && route.path != "/settings/members/leave" {
            let refusal = reply.html().text(".page-head strong");
            assert!(refusal != "Nothing was changed.", "{} says what did not happen", request.text());
        }
    }
    assert_eq!(dump_state(&app), before);
}

/// Every route for a user who is signed in, but not a member of any client.
#[actix_web::test]
async fn a_user_without_a_client_is_sent_to_the_page_for_them() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    app.db.execute("delete from memberships");
    app.db.execute("update sign_ins set client_id = null");
    for route in &PAGE_ROUTES {
        let request = PageRequest::new(route, &ada);
        let reply = request.send(&browser_for(route, &app, &ada).await).await;
        match route.access.permission() {
            Some(_) => reply.assert_sent_to("/clients/new"),
            None => assert!(reply.status.as_u16() < 500, "{} {}", request.text(), reply.status),
        }
        assert!(!ada.is_named_in(&reply.body), "{}", request.text());
        // The route may have created a client.
        app.db.execute("delete from memberships");
    }
}

#[actix_web::test]
async fn what_another_client_owns_is_not_found() {
    let app = TestApp::start().await;
    let (ada, eve) = (Owner::new(&app, "ada").await, Owner::new(&app, "eve").await);
    for route in &PAGE_ROUTES {
        let request = PageRequest::new(route, &ada).rendered_for(&eve.client_id);
        let reply = request.send(&browser_for(route, &app, &eve).await).await;
        if ada.is_named_in(&request.text()) {
            assert_eq!(reply.status, 404, "{}", request.text());
        } else {
            assert!(reply.status.as_u16() < 500, "{} {}", request.text(), reply.status);
        }
        assert!(!ada.is_named_in(&reply.body), "{}", request.text());
    }
    assert_eq!(ada.visitor.get(&format!("/settings/api-keys/{}", ada.public_key)).await.status, 200);
}

#[actix_web::test]
async fn a_form_of_another_client_is_refused() {
    let app = TestApp::start().await;
    let (ada, eve) = (Owner::new(&app, "ada").await, Owner::new(&app, "eve").await);
    let keys = count_keys(&app);
    for route in &PAGE_ROUTES {
        let PageMethod::Post(FormKind::OfClient | FormKind::UploadOfClient) = route.method else { continue };
        let request = PageRequest::new(route, &ada).rendered_for(&eve.client_id);
        let reply = request.send(&ada.visitor).await;
        assert_eq!(reply.status, 409, "{}", request.text());
        assert!(reply.body.contains("another client. Open the page again"), "{}", request.text());
    }
    assert_eq!(count_keys(&app), keys);
}

/// What all forms of the pages can change, as one text.
fn dump_state(app: &TestApp) -> String {
    let tables = [
        "users",
        "clients",
        "memberships",
        "invitations",
        "api_keys",
        "sessions",
        "imports",
        "import_chunks",
        "questions",
        "second_factors",
    ];
    let digests = tables.map(|table| {
        let rows = format!(
            "select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) as answer from {table} t"
        );
        format!("{table} {}", app.db.query_text(&rows))
    });
    digests.join(", ")
}

#[test]
fn only_these_forms_name_no_client() {
    let is_without = |route: &PageRoute| matches!(route.method, PageMethod::Post(form) if !matches!(form, FormKind::OfClient | FormKind::UploadOfClient));
    let paths: Vec<_> =
        PAGE_ROUTES.iter().filter(|route| is_without(route)).map(|route| route.path).collect();
    let expected = [
        "/theme",
        "/register",
        "/login",
        "/login/second-factor",
        "/confirm",
        "/logout",
        "/password/forgot",
        "/password/reset/{token}",
        "/account",
        "/account/delete",
        "/account/sign-ins/end",
        "/account/sign-ins/end-others",
        "/account/second-factor/set-up",
        "/account/second-factor/turn-on",
        "/account/second-factor/recovery-codes",
        "/account/second-factor/turn-off",
        "/email/confirm/{email_token}",
        "/clients/active",
        "/clients/new",
        "/invitations/{invitation_token}",
        "/questions",
    ];
    assert_eq!(paths, expected);
}

#[actix_web::test]
async fn a_form_that_names_no_client_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let before = dump_state(&app);
    for route in &PAGE_ROUTES {
        let PageMethod::Post(FormKind::OfClient | FormKind::UploadOfClient) = route.method else { continue };
        let mut without = PageRequest::new(route, &ada);
        without.fields.retain(|(name, _)| *name != "clientId");
        for request in [without, PageRequest::new(route, &ada).rendered_for("")] {
            let reply = request.send(&ada.visitor).await;
            assert_eq!(reply.status, 400, "{}", request.text());
            assert!(reply.body.contains("for which client it was opened"), "{}", request.text());
            request.send(&app.visitor()).await.assert_sent_to("/login");
        }
    }
    assert_eq!(dump_state(&app), before);
}

#[test]
fn every_form_of_a_client_states_its_purpose() {
    for route in PAGE_ROUTES {
        let is_of_client =
            matches!(route.method, PageMethod::Post(FormKind::OfClient | FormKind::UploadOfClient));
        assert!(!is_of_client || route.purpose.is_some(), "{}", route.path);
    }
}

#[test]
fn these_forms_need_a_confirmation() {
    let paths: Vec<_> =
        PAGE_ROUTES.iter().filter(|route| route.needs_confirmation).map(|route| route.path).collect();
    assert_eq!(
        paths,
        [
            "/account/second-factor/set-up",
            "/account/second-factor/turn-on",
            "/account/second-factor/recovery-codes",
            "/account/second-factor/turn-off",
            "/settings/api-keys",
            "/settings/api-keys/delete",
            "/settings/api-keys/{public_key}/delete",
            "/settings/api-keys/{public_key}/replacement",
            "/settings/client",
            "/settings/members",
            "/settings/members/invitations/{invitation_id}/resend",
            "/settings/members/invitations/{invitation_id}/withdraw",
            "/settings/members/leave",
            "/settings/members/{user_id}/role",
            "/settings/members/{user_id}/remove",
        ]
    );
}

/// Every route for a user without the second factor that the active client requires.
#[actix_web::test]
async fn without_the_required_second_factor_only_its_page_can_be_reached() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    app.db.execute("update clients set requires_second_factor = true");
    let before = dump_state(&app);
    let mut reachable = Vec::new();
    for route in &PAGE_ROUTES {
        if matches!(route.access, PageAccess::Public | PageAccess::SignedOut) {
            continue;
        }
        let request = PageRequest::new(route, &ada);
        // A user of another client has nothing to set up.
        let is_deletion = route.path == "/account/delete";
        let visitor = if is_deletion { ada.visitor.clone() } else { browser_for(route, &app, &ada).await };
        let reply = request.send(&visitor).await;
        if route.needs_second_factor {
            assert_eq!(reply.header("location"), "/account/second-factor", "{}", request.text());
            assert_eq!(dump_state(&app), before, "{}", request.text());
        } else {
            reachable.push(route.path);
        }
        app.db.execute("delete from second_factors");
    }
    assert_eq!(
        reachable,
        [
            "/confirm",
            "/confirm",
            "/logout",
            "/account/second-factor",
            "/account/second-factor/set-up",
            "/account/second-factor/turn-on",
            "/account/second-factor/recovery-codes",
            "/account/second-factor/turn-off",
            "/clients/active",
        ]
    );
}

#[actix_web::test]
async fn required_second_factor_does_not_stop_api_keys() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let key = key_with(&ada.visitor, "reader", Scope::ALL.into_iter()).await;
    app.db.execute("update clients set requires_second_factor = true");
    for endpoint in api::endpoints().into_iter().filter(|it| it.method.as_str() == "GET") {
        let reply = ApiRequest::new(&endpoint, &ada).send(&app.visitor(), Some(&key)).await;
        assert!(reply.status.is_success(), "{} {}", endpoint.path, reply.status);
    }
}

#[actix_web::test]
async fn these_forms_ask_for_a_confirmation_and_change_nothing() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let before = dump_state(&app);
    for route in PAGE_ROUTES.iter().filter(|route| route.needs_confirmation) {
        app.db.execute("update sign_ins set created_at = now() - interval '61 minutes'");
        let request = PageRequest::new(route, &ada);
        let reply = request.send(&ada.visitor).await;
        assert_eq!(reply.status, 403, "{}", request.text());
        assert_eq!(reply.html().text("h1"), "Confirm it’s you", "{}", request.text());
        let purpose = route.purpose.unwrap();
        assert!(reply.html().text(".page-head p").contains(&format!(" to {purpose}. ")), "{purpose}");
        assert_eq!(reply.html().attribute("main form", "action"), "/confirm");
    }
    assert_eq!(dump_state(&app), before);
}

#[actix_web::test]
async fn other_routes_ask_for_no_confirmation() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    for route in PAGE_ROUTES.iter().filter(|route| !route.needs_confirmation && route.path != "/confirm") {
        let request = PageRequest::new(route, &ada);
        let visitor = browser_for(route, &app, &ada).await;
        app.db.execute("update sign_ins set created_at = now() - interval '61 minutes'");
        let reply = request.send(&visitor).await;
        assert!(!reply.body.contains("Confirm it’s you"), "{}", request.text());
    }
}

#[actix_web::test]
async fn a_form_that_is_not_utf8_is_refused_and_changes_nothing() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    let before = dump_state(&app);
    for route in &PAGE_ROUTES {
        let PageMethod::Post(FormKind::OfClient | FormKind::Plain) = route.method else { continue };
        let request = PageRequest::new(route, &ada);
        let names: Vec<_> = request.fields.iter().map(|(name, _)| *name).collect();
        if names.is_empty() {
            continue;
        }
        let visitor = browser_for(route, &app, &ada).await;
        for wrong in names {
            let field = |(name, value): &(&'static str, String)| {
                let value = if *name == wrong { "a%C0%AFb%FF%FE".to_owned() } else { percent_encoded(value) };
                format!("{name}={value}")
            };
            let form: Vec<_> = request.fields.iter().map(field).collect();
            let post = visitor
                .request(Method::POST, &request.path)
                .header("Sec-Fetch-Site", "same-origin")
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form.join("&"));
            let reply = Reply::read(post.send().await.unwrap()).await;
            assert_eq!(reply.status, 400, "{} {form:?}", request.path);
            assert!(reply.body.contains("Send UTF-8 text."), "{}", reply.body);
        }
    }
    assert_eq!(dump_state(&app), before);
}

#[actix_web::test]
async fn no_cookie_opens_the_api() {
    let app = TestApp::start_with(&["--bad-keys-per-minute", "1000000"]).await;
    let ada = Owner::new(&app, "ada").await;
    for endpoint in api::endpoints() {
        let request = ApiRequest::new(&endpoint, &ada);
        let reply = request.send(&ada.visitor, None).await;
        match endpoint.access() {
            None => assert_eq!(reply.status, 200, "{}", request.text()),
            Some(_) => reply.assert_problem(401, "invalid_key"),
        }
    }
}

#[actix_web::test]
async fn a_key_without_the_scope_is_refused() {
    let app = TestApp::start().await;
    let ada = Owner::new(&app, "ada").await;
    for (index, endpoint) in api::endpoints().iter().enumerate() {
        let others = Scope::ALL
            .into_iter()
            .filter(|scope| Some(*scope) != endpoint.access().and_then(EndpointAccess::scope));
        let key = key_with(&ada.visitor, &format!("key {index}"), others).await;
        let request = ApiRequest::new(endpoint, &ada);
        let reply = request.send(&app.visitor(), Some(&key)).await;
        match endpoint.access().and_then(EndpointAccess::scope) {
            Some(_) => reply.assert_problem(403, "missing_scope"),
            None => assert!(reply.status.is_success(), "{} {}", request.text(), reply.status),
        }
    }
}

#[actix_web::test]
async fn a_key_finds_nothing_of_another_client() {
    let app = TestApp::start().await;
    let (ada, eve) = (Owner::new(&app, "ada").await, Owner::new(&app, "eve").await);
    for (index, endpoint) in api::endpoints().iter().enumerate() {
        let key = key_with(&eve.visitor, &format!("key {index}"), Scope::ALL.into_iter()).await;
        let request = ApiRequest::new(endpoint, &ada);
        let reply = request.send(&app.visitor(), Some(&key)).await;
        if ada.is_named_in(&request.text()) {
            reply.assert_problem(404, "not_found");
        } else {
            assert!(reply.status.is_success(), "{} {}", request.text(), reply.status);
            assert!(!ada.is_named_in(&reply.body), "{}", request.text());
        }
    }
}
