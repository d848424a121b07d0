//! The endpoints below `/api/keys`, and the rules for every API endpoint.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uptok::{api, api_keys::Scope};

use crate::support::{Reply, TestApp, Visitor};

/// Creates a key with exactly these scopes.
async fn create_key_with(visitor: &Visitor, name: &str, scopes: &[&str]) -> String {
    let mut fields = vec![("name", name), ("chooseScopes", "yes")];
    fields.extend(scopes.iter().map(|scope| (*scope, "yes")));
    let reply = visitor.post("/settings/api-keys", &fields).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.html().text("[data-whole-key-text]")
}

async fn send(app: &TestApp, key: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
    let mut request = app.visitor().request(method, path).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    Reply::read(request.send().await.unwrap()).await
}

fn key_path(key: &str) -> String {
    format!("/api/keys/{}", &key[..18])
}

fn to_reqwest(method: uptok::api::HttpMethod) -> Method {
    method.as_str().parse().unwrap()
}

#[actix_web::test]
async fn every_endpoint_requires_a_key_with_its_scope_and_hides_other_clients() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let foreign_key = create_key_with(&eve, "eve", &["sessions:read"]).await;
    let all = Scope::ALL.map(Scope::as_str);
    let strong = create_key_with(&ada, "all", &all).await;
    let mut keyed_endpoints = 0;

    for endpoint in api::endpoints() {
        let path = format!("/api{}", endpoint.path)
            .replace("{publicKey}", &foreign_key[..18])
            .replace("{sessionId}", "00000000-0000-7000-8000-000000000000");
        let description = format!("{} {path}", endpoint.method.as_str());
        let without_key =
            Reply::read(app.visitor().request(to_reqwest(endpoint.method), &path).send().await.unwrap())
                .await;
        let Some(access) = endpoint.access() else {
            assert_eq!(without_key.status, 200, "{description}");
            continue;
        };
        without_key.assert_problem(401, "invalid_key");
        if let Some(needed) = access.scope() {
            let others: Vec<&str> = all.into_iter().filter(|scope| *scope != needed.as_str()).collect();
            let weak = create_key_with(&ada, &description[..description.len().min(64)], &others).await;
            let refused = send(&app, &weak, to_reqwest(endpoint.method), &path, Some(json!({}))).await;
            refused.assert_problem(403, "missing_scope");
            assert!(refused.body.contains(needed.as_str()), "{description}: {}", refused.body);
        }
        if endpoint.path.contains('{') {
            let body = Some(json!({"requestsPerMinute": 1})).filter(|_| endpoint.method.as_str() == "PATCH");
            send(&app, &strong, to_reqwest(endpoint.method), &path, body)
                .await
                .assert_problem(404, "not_found");
        }
        keyed_endpoints += 1;
    }

    assert!(keyed_endpoints > 10, "{keyed_endpoints}");
    assert_eq!(
        send(&app, &foreign_key, Method::GET, "/api/keys/current", None).await.json()["requestsPerMinute"],
        600
    );
}

#[actix_web::test]
async fn managing_key_creates_reads_changes_replaces_and_deletes_keys() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let manager = create_key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    let body = json!({"name": "shop", "scopes": ["sessions:read"], "expires": 30.0, "requestsPerMinute": 60.0,
        "allowedNetworks": ["127.0.0.1", "::ffff:10.0.0.0/104"]});

    let made = send(&app, &manager, Method::POST, "/api/keys", Some(body)).await;

    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    let shop = made.json()["clientKey"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), key_path(&shop));
    assert_eq!(app.export(&[("clientKey", &shop)]).await.status, 200);
    let shown = send(&app, &manager, Method::GET, &key_path(&shop), None).await.json();
    assert_eq!(shown["allowedNetworks"], json!(["127.0.0.1", "10.0.0.0/8"]));
    assert_eq!((&shown["status"], &shown["createdBy"]), (&json!("active"), &json!(&manager[..18])));
    assert!(shown.get("clientKey").is_none() && shown["expiresAt"].is_string());
    let list = send(&app, &manager, Method::GET, "/api/keys?q=shop", None).await.json();
    assert_eq!((&list["totalKeys"], &list["data"][0]["name"]), (&json!(1), &json!("shop")));
    assert_eq!(
        send(&app, &manager, Method::GET, "/api/keys?page=9.0&perPage=5.0", None).await.json()["data"],
        json!([])
    );

    let changed =
        send(&app, &manager, Method::PATCH, &key_path(&shop), Some(json!({"allowedNetworks": []}))).await;
    assert_eq!(changed.json()["allowedNetworks"], json!([]));
    assert_eq!(changed.json()["requestsPerMinute"], 60);
    let path = format!("{}/replacement", key_path(&shop));
    let replaced = send(&app, &manager, Method::POST, &path, Some(json!({"graceSeconds": 3600.0}))).await;
    assert_eq!(replaced.status, 201, "{}", replaced.body);
    let new = replaced.json()["clientKey"].as_str().unwrap().to_owned();
    for key in [&shop, &new] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    }
    assert_eq!(
        send(&app, &manager, Method::GET, &key_path(&shop), None).await.json()["replacedBy"],
        new[..18]
    );
    assert_eq!(send(&app, &manager, Method::DELETE, &key_path(&new), None).await.status, 204);
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 401);
    for path in [key_path(&new), "/api/keys/uptok_".to_owned()] {
        send(&app, &manager, Method::DELETE, &path, None).await.assert_problem(404, "not_found");
    }
    let recorded_kinds = format!(
        "select string_agg(act, ' ' order by sequence) as answer from audit_log where actor = '{}'",
        &manager[..18]
    );
    assert_eq!(app.db.query_text(&recorded_kinds), "key.created key.changed key.replaced key.deleted");
    assert_eq!(send(&app, &manager, Method::DELETE, &key_path(&manager), None).await.status, 204, "itself");
    assert_eq!(send(&app, &manager, Method::GET, "/api/keys", None).await.status, 401);
}

#[actix_web::test]
async fn managing_key_cannot_grant_more_than_it_has() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let manager = create_key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    let strong = create_key_with(&ada, "strong", &["sessions:read", "sessions:write"]).await;
    app.db.execute("update api_keys set requests_per_minute = 100, allowed_networks = '{127.0.0.0/8}', expires_at = now() + interval '2 days' where name = 'manager'");
    let with = |more: Value| {
        let mut body = json!({"name": "new", "scopes": ["sessions:read"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };

    for (field, more) in [
        ("scopes", json!({"scopes": ["sessions:write"]})),
        ("requestsPerMinute", json!({"requestsPerMinute": 101})),
        ("requestsPerMinute", json!({"requestsPerMinute": 0})),
        ("allowedNetworks", json!({"allowedNetworks": []})),
        ("allowedNetworks", json!({"allowedNetworks": ["0.0.0.0/0"]})),
    ] {
        let refused = send(&app, &manager, Method::POST, "/api/keys", with(more.clone())).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{more}");
        let refused = send(&app, &manager, Method::PATCH, &key_path(&manager), Some(more)).await;
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let path = format!("{}/replacement", key_path(&strong));
    send(&app, &manager, Method::POST, &path, None).await.assert_problem(409, "conflict");
    for expires in [json!("never"), json!(3), json!("2027-11-25")] {
        let refused =
            send(&app, &manager, Method::POST, "/api/keys", with(json!({"expires": expires}))).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "expires", "{expires}");
    }
    let made = send(&app, &manager, Method::POST, "/api/keys", with(json!({}))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    let managing = send(&app, &manager, Method::GET, "/api/keys/current", None).await.json();
    assert_eq!(made["expiresAt"], managing["expiresAt"], "it ends with the key that made it");
    assert_eq!(
        (&made["requestsPerMinute"], &made["allowedNetworks"]),
        (&json!(100), &json!(["127.0.0.0/8"]))
    );
}

#[actix_web::test]
async fn managing_key_cannot_outlive_itself_through_other_keys() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let manager = create_key_with(&ada, "manager", &["keys:manage", "sessions:read", "sessions:write"]).await;
    let lasting = create_key_with(&ada, "lasting", &["sessions:read"]).await;
    app.db.execute("update api_keys set expires_at = now() + interval '1 hour' where name = 'manager'");
    let patch =
        async |key: &str, body: Value| send(&app, &manager, Method::PATCH, &key_path(key), Some(body)).await;
    let replace = async |key: &str| {
        let path = format!("{}/replacement", key_path(key));
        send(&app, &manager, Method::POST, &path, Some(json!({"graceSeconds": 604_800}))).await
    };

    for more in [
        json!({"scopes": ["keys:manage", "sessions:read"]}),
        json!({"requestsPerMinute": 0}),
        json!({"requestsPerMinute": 601}),
    ] {
        let refused = patch(&lasting, more.clone()).await;
        assert!([400, 409].contains(&refused.status.as_u16()), "{more}: {}", refused.body);
    }
    replace(&lasting).await.assert_problem(409, "conflict");
    app.db.execute("update api_keys set expires_at = null where name = 'lasting'");
    replace(&lasting).await.assert_problem(409, "conflict");

    // It may reduce the rights of a stronger key and replace itself with its remaining lifetime.
    app.db.execute("update api_keys set scopes = '{sessions:read,sessions:write,keys:manage}', requests_per_minute = 0 where name = 'lasting'");
    assert_eq!(patch(&lasting, json!({"scopes": ["sessions:read", "keys:manage"]})).await.status, 200);
    assert_eq!(patch(&lasting, json!({"requestsPerMinute": 5})).await.status, 200);
    let managing = send(&app, &manager, Method::GET, "/api/keys/current", None).await.json();
    let replaced = replace(&manager).await;
    assert_eq!((replaced.status.as_u16(), &replaced.json()["expiresAt"]), (201, &managing["expiresAt"]));
}

#[actix_web::test]
async fn invalid_fields_are_named_and_no_key_is_created() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let manager = create_key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    for (field, body) in [
        ("name", json!({"scopes": ["sessions:read"]})),
        ("name", json!({"name": 7, "scopes": ["sessions:read"]})),
        ("name", json!({"name": "manager", "scopes": ["sessions:read"]})),
        ("scopes", json!({"name": "x"})),
        ("scopes", json!({"name": "x", "scopes": []})),
        ("scopes", json!({"name": "x", "scopes": ["everything"]})),
        ("expires", json!({"name": "x", "scopes": ["sessions:read"], "expires": 0})),
        ("expires", json!({"name": "x", "scopes": ["sessions:read"], "expires": "2020-01-01"})),
        ("expires", json!({"name": "x", "scopes": ["sessions:read"], "expires": true})),
        ("requestsPerMinute", json!({"name": "x", "scopes": ["sessions:read"], "requestsPerMinute": -1})),
        (
            "allowedNetworks",
            json!({"name": "x", "scopes": ["sessions:read"], "allowedNetworks": ["10.1.2.3/8"]}),
        ),
        ("clientId", json!({"name": "x", "scopes": ["sessions:read"], "clientId": "cl_0000000000"})),
    ] {
        let refused = send(&app, &manager, Method::POST, "/api/keys", Some(body.clone())).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
    for body in [json!([]), json!("x")] {
        let refused = send(&app, &manager, Method::POST, "/api/keys", Some(body)).await;
        refused.assert_problem(400, "malformed_request");
    }
    for (path, method) in [("/api/keys".to_owned(), Method::POST), (key_path(&manager), Method::PATCH)] {
        send(&app, &manager, method.clone(), &path, None).await.assert_problem(400, "malformed_request");
        let text = app.visitor().request(method, &path).bearer_auth(&manager).body("name=x");
        let text = text.header("Content-Type", "application/x-www-form-urlencoded");
        Reply::read(text.send().await.unwrap()).await.assert_problem(415, "unsupported_type");
    }
    for query in ["page=0", "perPage=x", "status=dead", "sort=size"] {
        let refused = send(&app, &manager, Method::GET, &format!("/api/keys?{query}"), None).await;
        refused.assert_problem(400, "invalid_field");
    }
    assert_eq!(app.db.query_text("select count(*)::text as answer from api_keys"), "1");
}

#[actix_web::test]
async fn leaked_key_can_be_revoked_by_anyone_who_has_it() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let revoke = "/api/keys/revoke";
    for (index, carrier) in ["field", "JSON", "header"].into_iter().enumerate() {
        let key = create_key_with(&ada, &format!("leaked {index}"), &["sessions:write"]).await;
        app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}' where deleted_at is null");
        let send = || {
            let request = app.visitor().request(Method::POST, revoke);
            match carrier {
                "field" => request.form(&[("clientKey", key.as_str())]),
                "JSON" => request.json(&json!({"clientKey": key})),
                _ => request.bearer_auth(&key),
            }
        };

        let revoked = Reply::read(send().send().await.unwrap()).await;

        assert_eq!((revoked.status.as_u16(), revoked.body.as_str()), (204, ""), "{carrier}");
        Reply::read(send().send().await.unwrap()).await.assert_problem(401, "invalid_key");
    }
    assert_eq!(
        app.db.query_text("select count(*)::text as answer from api_keys where deleted_by_key = public_key"),
        "3"
    );
    Reply::read(app.visitor().request(Method::POST, revoke).send().await.unwrap())
        .await
        .assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn key_in_the_field_is_revoked_whatever_the_header_says() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.sign_up("ada").await, app.sign_up("eve").await);
    let own = create_key_with(&eve, "finder", &["sessions:read"]).await;
    let revoke = async |authorization: String, leaked: &str| {
        let request = app.visitor().request(Method::POST, "/api/keys/revoke");
        let request = request.header("Authorization", authorization).form(&[("clientKey", leaked)]);
        Reply::read(request.send().await.unwrap()).await
    };
    let leaked = create_key_with(&ada, "leaked", &["sessions:read"]).await;

    for authorization in [
        format!("Bearer {own}"),
        format!("Bearer {leaked}"),
        "Bearer no key at all".to_owned(),
        "Basic dXNlcjpwYXNz".to_owned(),
    ] {
        let key = if authorization.ends_with(&leaked) {
            leaked.clone()
        } else {
            let name: String = authorization.chars().take(20).collect();
            create_key_with(&ada, &name, &["sessions:read"]).await
        };
        assert_eq!(revoke(authorization.clone(), &key).await.status, 204, "{authorization}");
        assert_eq!(app.export(&[("clientKey", &key)]).await.status, 401, "{authorization}");
    }

    assert_eq!(app.export(&[("clientKey", &own)]).await.status, 200, "the key of the finder still works");
    revoke(format!("Bearer {own}"), &leaked).await.assert_problem(401, "invalid_key");
    let request = app.visitor().request(Method::POST, "/api/keys/revoke").bearer_auth(&own);
    let repeated = request.form(&[("clientKey", &own), ("clientKey", &own)]);
    Reply::read(repeated.send().await.unwrap()).await.assert_problem(400, "invalid_field");
    assert_eq!(app.export(&[("clientKey", &own)]).await.status, 200);
}

#[actix_web::test]
async fn web_pages_may_manage_keys_with_every_method_and_see_where_a_new_key_is() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let manager = create_key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    let from_page = |method: Method, path: &str| {
        app.visitor().request(method, path).header("Origin", "https://shop.example")
    };

    for endpoint in api::endpoints() {
        let preflight = from_page(Method::OPTIONS, &format!("/api{}", endpoint.path))
            .header("Access-Control-Request-Method", endpoint.method.as_str())
            .header("Access-Control-Request-Headers", "authorization,content-type");
        let allowed = Reply::read(preflight.send().await.unwrap()).await;
        assert_eq!(allowed.status, 200, "{} {}", endpoint.method.as_str(), endpoint.path);
        let methods = allowed.header("access-control-allow-methods");
        assert!(methods.split(", ").any(|it| it == endpoint.method.as_str()), "{methods}");
    }
    let body = json!({"name": "shop", "scopes": ["sessions:read"]});
    let made = from_page(Method::POST, "/api/keys").bearer_auth(&manager).json(&body);
    let made = Reply::read(made.send().await.unwrap()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let exposed = made.header("access-control-expose-headers").to_lowercase();
    assert!(exposed.split(", ").any(|name| name == "location"), "{exposed}");
    let deleted = from_page(Method::DELETE, made.header("location")).bearer_auth(&manager);
    assert_eq!(deleted.send().await.unwrap().status(), 204);
}

#[actix_web::test]
async fn key_can_read_its_own_rights() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let key = create_key_with(&ada, "recorder", &["sessions:write"]).await;

    let current = send(&app, &key, Method::GET, "/api/keys/current", None).await;

    assert_eq!(current.status, 200);
    let current = current.json();
    assert_eq!((&current["publicKey"], &current["scopes"]), (&json!(&key[..18]), &json!(["sessions:write"])));
    assert_eq!(current["clientId"], ada.client_id().await);
}

#[actix_web::test]
async fn openapi_document_has_every_endpoint_and_no_dangling_references() {
    let app = TestApp::start().await;

    let reply = app.visitor().get("/api/openapi.json").await;

    assert_eq!(reply.header("content-type"), "application/json");
    let document = reply.json();
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&json!("3.1.0"), &json!(app.url)));
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            calls.as_object().unwrap().keys().map(move |it| format!("{} {path}", it.to_uppercase()))
        })
        .collect();
    let implemented: BTreeSet<String> =
        api::endpoints().iter().map(|it| format!("{} /api{}", it.method.as_str(), it.path)).collect();
    assert_eq!(documented, implemented);
    for reference in reply.body.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}
