//! Response headers, failures of the database, static files and HEAD. Tests that hold for every route are in
//! `routes.rs`.

use reqwest::Method;

use crate::support::{Reply, TestApp};

#[track_caller]
fn assert_secured(reply: &Reply, what: &str) {
    for name in [
        "content-security-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "permissions-policy",
        "cache-control",
        "x-request-id",
    ] {
        assert!(!reply.header(name).is_empty(), "{what} lacks {name}: {} {:?}", reply.status, reply.headers);
    }
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
}

#[actix_web::test]
async fn every_answer_has_its_headers() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for path in [
        "/",
        "/login",
        "/register",
        "/docs",
        "/sessions",
        "/settings/api-keys",
        "/nothing",
        "/static/x.css",
        "/livez",
        "/readyz",
        "/api",
        "/api/x",
    ] {
        assert_secured(&app.visitor().get(path).await, path);
        assert_secured(&ada.get(path).await, path);
    }
    assert_secured(&app.export(&[]).await, "export");
    assert_secured(&Reply::read(ada.request(Method::PUT, "/login").send().await.unwrap()).await, "PUT");
    assert_secured(
        &Reply::read(ada.request(Method::POST, "/logout").send().await.unwrap()).await,
        "cross-site",
    );
    assert_eq!(ada.get("/login").await.header("strict-transport-security"), "");
    let secure = TestApp::start_with(&["--public-url", "https://keys.example.org"]).await;
    assert!(
        secure.visitor().get("/login").await.header("strict-transport-security").contains("max-age=63072000")
    );
}

#[actix_web::test]
async fn when_the_sign_in_store_is_down_the_answer_is_calm_and_secured() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.execute("alter table sign_ins rename to sign_ins_elsewhere");

    for path in ["/sessions", "/docs", "/nothing"] {
        let reply = ada.get(path).await;

        assert_eq!(reply.status, 503, "{path}");
        assert_secured(&reply, path);
        assert_eq!(reply.header("retry-after"), "1");
        assert!(reply.header("content-type").starts_with("text/html"));
        assert!(!reply.body.contains("sign_ins") && !reply.body.contains("relation"));
    }
}

#[actix_web::test]
async fn error_pages_mention_what_was_typed_only_after_a_form() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    app.db.execute("update memberships set role = 'member'");
    let form = [("name", "laptop")];
    let mut pages = vec![
        ada.get("/settings/audit").await,
        ada.post("/settings/api-keys", &form).await,
        ada.post("/nothing", &form).await,
    ];
    app.db.execute("alter table sign_ins rename to sign_ins_elsewhere");
    pages.extend([ada.get("/sessions").await, ada.post("/settings/api-keys", &form).await]);

    let has_hint = |page: &Reply| page.body.contains("what you typed is still there");
    let hints: Vec<(u16, bool)> = pages.iter().map(|page| (page.status.as_u16(), has_hint(page))).collect();

    assert_eq!(hints, [(403, false), (403, true), (404, false), (503, false), (503, true)]);
}

#[actix_web::test]
async fn a_failure_of_ours_says_nothing_about_its_cause() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.execute("alter table api_keys rename to api_keys_elsewhere");

    let page = ada.get("/settings/api-keys").await;
    let problem = app.export(&[("clientKey", &key)]).await;

    assert_eq!(page.status, 500);
    assert!(
        page.body.contains("Something went wrong on our side")
            && page.body.contains(page.header("x-request-id"))
    );
    problem.assert_problem(500, "internal_error");
    for body in [page.body, problem.body] {
        assert!(
            !body.contains("relation") && !body.contains("api_keys_elsewhere") && !body.contains("select")
        );
    }
}

#[actix_web::test]
async fn without_a_database_the_process_lives_and_says_it_is_not_ready() {
    let app = TestApp::start_with(&["--database-wait-seconds", "1"]).await;
    assert_eq!(app.visitor().get("/readyz").await.body, "ready\n");

    app.db.allow_connections(false);
    app.db.terminate_connections();

    assert_eq!(app.visitor().get("/livez").await.status, 200);
    let ready = app.visitor().get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.body.as_str()), (503, "the database is not reachable\n"));
    let key = uptok::api_keys::ClientKey::generate().expose();
    let export = app.export(&[("clientKey", &key)]).await;
    export.assert_problem(503, "busy");
    assert_eq!(export.header("retry-after"), "1");
    app.db.allow_connections(true);
    assert_eq!(app.visitor().get("/readyz").await.status, 200);
}

#[actix_web::test]
async fn connections_that_died_cost_no_request() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    for _ in 0..3 {
        let fields = [("clientKey", key.as_str())];
        futures_util::future::join_all((0..16).map(|_| app.export(&fields))).await;
        app.db.terminate_connections();
        for _ in 0..20 {
            assert_eq!(app.export(&fields).await.status, 200);
        }
    }
}

#[actix_web::test]
async fn a_body_of_the_wrong_size_or_kind_is_a_page_too() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let big = "n".repeat(20_000);

    let reply = ada.post("/settings/api-keys", &[("name", &big)]).await;

    assert_eq!(reply.status, 413);
    assert!(reply.header("content-type").starts_with("text/html"));
    let twice = ada.post("/settings/api-keys", &[("name", "a"), ("name", "b")]).await;
    assert_eq!(twice.status, 400);
}

#[actix_web::test]
async fn static_files_never_grow_stale() {
    let app = TestApp::start().await;
    let page = app.visitor().get("/login").await.html();
    let address = page.attribute("link[rel=stylesheet]", "href");

    let file = app.visitor().get(&address).await;

    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), "text/css; charset=utf-8");
    assert_eq!(file.header("cache-control"), "max-age=31536000, immutable");
    assert!(file.header("content-security-policy").contains("sandbox"));
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("permissions-policy"), "", "only documents need it");
    assert_eq!(file.header("x-request-id"), "", "a kept copy would show that of another request");
    assert_eq!(app.visitor().get("/static/css/tokens.css").await.status, 404);
    assert_eq!(app.visitor().get("/static/../Cargo.toml").await.status, 404);
}

#[actix_web::test]
async fn head_is_answered_like_get_without_a_body() {
    let app = TestApp::start().await;
    for path in ["/livez", "/readyz", "/login", "/docs", "/api/sessions", "/nothing"] {
        let get = app.visitor().get(path).await;
        let head = Reply::read(app.visitor().request(Method::HEAD, path).send().await.unwrap()).await;
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
}

#[actix_web::test]
async fn escaped_path_has_the_headers_of_its_route() {
    let app = TestApp::start().await;
    let plain = app.visitor().get("/api/openapi.json").await;
    let escaped = app.visitor().get("/%61pi/openapi.json").await;

    assert_eq!((plain.status.as_u16(), escaped.status.as_u16()), (200, 200));
    for name in ["content-security-policy", "cross-origin-resource-policy"] {
        assert_eq!(escaped.header(name), plain.header(name), "{name}");
    }
}
