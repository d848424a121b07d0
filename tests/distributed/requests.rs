//! Every statement of a request touches one shard.

use reqwest::{Method, StatusCode};
use uptok::{
    api,
    api_keys::Scope,
    pages::{PAGE_ROUTES, PageMethod},
};

use crate::{
    cluster,
    support::{
        Reply, TestApp,
        route_requests::{ApiRequest, Owner, PageRequest, browser_for, key_with},
    },
};

/// Makes Citus refuse a statement of more than one task, where it could also log it.
const REFUSE_SEVERAL_TASKS: &str = "options=-c%20citus.multi_task_query_log_level%3Derror";

/// Pages and files with everything that changes their statements.
const PAGES: [&str; 14] = [
    "/sessions?q=session-1",
    "/sessions?status=missed",
    "/sessions?status=missed&channel=video&agentName=Eve&from=2026-10-01&through=2026-12-01",
    "/sessions?after=s2",
    "/sessions?before=s2",
    "/sessions.csv",
    "/sessions.csv?status=missed",
    "/sessions.ndjson",
    "/settings/api-keys?q=lap&sort=name&status=active",
    "/settings/api-keys?sort=lastUsed",
    "/settings/usage?per=hour",
    "/settings/audit?act=key.created&from=2026-01-01",
    "/settings/audit.csv",
    "/account/sign-ins",
];

const FILTERS: [&str; 11] = [
    "",
    "?order=desc",
    "?page=2&perPage=1",
    "?page=1&perPage=1&order=desc",
    "?status=missed",
    "?agentName=Eve&status=missed",
    "?from=2026-10-01&to=2026-12-01",
    "?updatedSince=2026-01-01",
    "?format=csv",
    "?format=ndjson&status=missed",
    "?format=csv&from=2026-10-01",
];

/// Starts a second node of `app`, whose connections end every statement of several tasks with an error. Background tasks
/// may go over all shards; those of `app` do them.
async fn start_strict_node(app: &TestApp) -> TestApp {
    app.start_second_node_at(&format!("{}&{REFUSE_SEVERAL_TASKS}", app.db.url)).await
}

/// Without this, the tests below could not fail.
#[actix_web::test]
async fn statements_of_several_shards_are_refused() {
    cluster();
    let app = TestApp::start().await;
    let strict = start_strict_node(&app).await;
    let url = format!("{}&{REFUSE_SEVERAL_TASKS}", strict.db.url);
    let mut connection = diesel::Connection::establish(&url).unwrap();
    let run = |connection: &mut diesel::PgConnection, sql: &str| {
        diesel::connection::SimpleConnection::batch_execute(connection, sql)
    };

    run(&mut connection, "select * from sessions where client_id = 'cl_0000000001'").unwrap();
    let error = run(&mut connection, "select * from sessions").unwrap_err();

    assert!(error.to_string().contains("multi-task query"), "{error}");
}

#[actix_web::test]
async fn every_page_and_form_touches_one_shard() {
    cluster();
    let app = TestApp::start().await;
    let node = start_strict_node(&app).await;
    let ada = Owner::new(&node, "ada").await;
    node.use_keys();
    // Before each route, because one of them is to leave the client.
    let (client, email) = (&ada.client_id, &ada.email);
    let user =
        app.db.query_text(&format!("select user_id::text as answer from users where email = '{email}'"));
    let join = format!(
        "insert into memberships (client_id, user_id, role) values ('{client}', '{user}', 'owner') \
         on conflict (client_id, user_id) do update set role = excluded.role"
    );
    let activate = format!("update sign_ins set client_id = '{client}' where user_id = '{user}'");

    let mut failures = Vec::new();
    // Pages first: forms delete what they show.
    let (pages, forms): (Vec<_>, Vec<_>) =
        PAGE_ROUTES.iter().partition(|route| route.method == PageMethod::Get);
    for route in pages.into_iter().chain(forms) {
        app.db.execute(&join);
        app.db.execute(&activate);
        let request = PageRequest::new(route, &ada);
        let reply = request.send(&browser_for(route, &node, &ada).await).await;
        let is_page = route.method == PageMethod::Get;
        if reply.status.is_server_error() || is_page && reply.status.as_u16() >= 400 {
            failures.push(format!("{} {}", request.text(), reply.status));
        }
    }
    app.db.execute(&join);
    app.db.execute(&activate);
    for path in PAGES {
        let status = ada.visitor.get(path).await.status;
        if status != StatusCode::OK {
            failures.push(format!("GET {path} {status}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[actix_web::test]
async fn every_call_of_the_api_touches_one_shard() {
    cluster();
    let app = TestApp::start().await;
    let node = start_strict_node(&app).await;
    let mut ada = Owner::new(&node, "ada").await;
    let reader = key_with(&ada.visitor, "reader", Scope::ALL.into_iter()).await;
    let mut failures = Vec::new();
    let mut check = |text: String, reply: &Reply| {
        if !reply.status.is_success() {
            failures.push(format!("{text} {} {}", reply.status, reply.body));
        }
    };
    for (index, endpoint) in api::endpoints().iter().enumerate() {
        // Some of the calls delete their key or that of the path.
        ada.public_key = ada.visitor.generate(&format!("laptop {index}")).await[..18].to_owned();
        let key = key_with(&ada.visitor, &format!("key {index}"), Scope::ALL.into_iter()).await;
        let request = ApiRequest::new(endpoint, &ada);
        check(request.text(), &request.send(&node.visitor(), Some(&key)).await);
    }
    for filter in FILTERS {
        // A page is asked for twice, because the second time it may come from the cache.
        for _ in 0..2 {
            let call =
                node.visitor().request(Method::GET, &format!("/api/sessions{filter}")).bearer_auth(&reader);
            check(format!("GET /api/sessions{filter}"), &Reply::read(call.send().await.unwrap()).await);
        }
    }
    for _ in 0..2 {
        let session = serde_json::json!([{
            "externalId": "call-2", "status": "missed", "channel": "chat",
            "createdAt": "2026-10-01T10:00:00Z", "endedAt": "2026-10-01T10:00:30Z"
        }]);
        let call = node.visitor().request(Method::POST, "/api/sessions").bearer_auth(&reader);
        let call = call.header("Idempotency-Key", "one").json(&session);
        check("POST /api/sessions twice".to_owned(), &Reply::read(call.send().await.unwrap()).await);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Counts are stored by each node itself, and this one can store them only client by client or shard by shard.
#[actix_web::test]
async fn counts_of_requests_are_stored_shard_by_shard() {
    cluster();
    let app = TestApp::start().await;
    let node = start_strict_node(&app).await;
    for name in ["ada", "eve", "bob", "zoe"] {
        let key = node.sign_up(name).await.generate("laptop").await;
        for _ in 0..3 {
            assert_eq!(node.export(&[("clientKey", &key)]).await.status, 200);
        }
    }

    let counts = "select coalesce(string_agg(requests::text, ' '), '') as answer from \
         (select sum(requests) as requests from key_usage group by client_id) counts";
    crate::wait_until(&app.db, counts, "3 3 3 3").await;
}
