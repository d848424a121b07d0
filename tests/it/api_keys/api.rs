//! `/api/keys`, and what holds for every call in the table.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use uptok::{
    api,
    api_keys::{Access, Scope},
};

use crate::support::{Reply, TestApp, Visitor};

/// A key with these scopes.
async fn key_with(visitor: &Visitor, name: &str, scopes: &[&str]) -> String {
    let mut fields = vec![("name", name), ("chooseScopes", "yes")];
    fields.extend(scopes.iter().map(|scope| (*scope, "yes")));
    let reply = visitor.post("/settings/api-keys", &fields).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.html().text("[data-whole-key-text]")
}

async fn call(app: &TestApp, key: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
    let mut request = app.visitor().request(method, path).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    Reply::of(request.send().await.unwrap()).await
}

fn one(key: &str) -> String {
    format!("/api/keys/{}", &key[..18])
}

fn word(method: uptok::api::HttpMethod) -> Method {
    method.as_str().parse().unwrap()
}

#[actix_web::test]
async fn every_call_asks_for_a_key_and_for_its_scope_and_finds_nothing_of_others() {
    let app = TestApp::start().await;
    let (ada, eve) = (app.signed_up("ada").await, app.signed_up("eve").await);
    let of_eve = key_with(&eve, "eve", &["sessions:read"]).await;
    let all = Scope::ALL.map(Scope::as_str);
    let strong = key_with(&ada, "all", &all).await;
    let mut walked = 0;

    for it in api::endpoints() {
        let path = format!("/api{}", it.path)
            .replace("{publicKey}", &of_eve[..18])
            .replace("{sessionId}", "00000000-0000-7000-8000-000000000000");
        let what = format!("{} {path}", it.method.as_str());
        let bare = Reply::of(app.visitor().request(word(it.method), &path).send().await.unwrap()).await;
        if it.access == Access::Nobody {
            assert_eq!(bare.status, 200, "{what}");
            continue;
        }
        bare.assert_problem(401, "invalid_key");
        if let Some(needed) = it.access.scope() {
            let others: Vec<&str> = all.into_iter().filter(|scope| *scope != needed.as_str()).collect();
            let weak = key_with(&ada, &what[..what.len().min(64)], &others).await;
            let refused = call(&app, &weak, word(it.method), &path, Some(json!({}))).await;
            refused.assert_problem(403, "missing_scope");
            assert!(refused.body.contains(needed.as_str()), "{what}: {}", refused.body);
        }
        if it.path.contains('{') {
            let body = Some(json!({"requestsPerMinute": 1})).filter(|_| it.method.as_str() == "PATCH");
            call(&app, &strong, word(it.method), &path, body).await.assert_problem(404, "not_found");
        }
        walked += 1;
    }

    assert!(walked > 10, "{walked}");
    assert_eq!(
        call(&app, &of_eve, Method::GET, "/api/keys/current", None).await.json()["requestsPerMinute"],
        600
    );
}

#[actix_web::test]
async fn a_managing_key_makes_reads_changes_replaces_and_deletes_keys() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let manager = key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    let body = json!({"name": "shop", "scopes": ["sessions:read"], "expires": 30, "requestsPerMinute": 60,
        "allowedNetworks": ["127.0.0.1", "::ffff:10.0.0.0/104"]});

    let made = call(&app, &manager, Method::POST, "/api/keys", Some(body)).await;

    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), "no-store");
    let shop = made.json()["clientKey"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), one(&shop));
    assert_eq!(app.export(&[("clientKey", &shop)]).await.status, 200);
    let shown = call(&app, &manager, Method::GET, &one(&shop), None).await.json();
    assert_eq!(shown["allowedNetworks"], json!(["127.0.0.1", "10.0.0.0/8"]));
    assert_eq!((&shown["status"], &shown["createdBy"]), (&json!("active"), &json!(&manager[..18])));
    assert!(shown.get("clientKey").is_none() && shown["expiresAt"].is_string());
    let list = call(&app, &manager, Method::GET, "/api/keys?q=shop", None).await.json();
    assert_eq!((&list["totalKeys"], &list["data"][0]["name"]), (&json!(1), &json!("shop")));
    assert_eq!(call(&app, &manager, Method::GET, "/api/keys?page=9", None).await.json()["data"], json!([]));

    let changed =
        call(&app, &manager, Method::PATCH, &one(&shop), Some(json!({"allowedNetworks": []}))).await;
    assert_eq!(changed.json()["allowedNetworks"], json!([]));
    assert_eq!(changed.json()["requestsPerMinute"], 60);
    let path = format!("{}/replacement", one(&shop));
    let replaced = call(&app, &manager, Method::POST, &path, Some(json!({"graceSeconds": 3600}))).await;
    assert_eq!(replaced.status, 201, "{}", replaced.body);
    let new = replaced.json()["clientKey"].as_str().unwrap().to_owned();
    for key in [&shop, &new] {
        assert_eq!(app.export(&[("clientKey", key)]).await.status, 200);
    }
    assert_eq!(call(&app, &manager, Method::GET, &one(&shop), None).await.json()["replacedBy"], new[..18]);
    assert_eq!(call(&app, &manager, Method::DELETE, &one(&new), None).await.status, 204);
    assert_eq!(app.export(&[("clientKey", &new)]).await.status, 401);
    for path in [one(&new), "/api/keys/uptok_".to_owned()] {
        call(&app, &manager, Method::DELETE, &path, None).await.assert_problem(404, "not_found");
    }
    let acts = format!(
        "select string_agg(act, ' ' order by sequence) as answer from audit_log where actor = '{}'",
        &manager[..18]
    );
    assert_eq!(app.db.ask(&acts), "key.created key.changed key.replaced key.deleted");
    assert_eq!(call(&app, &manager, Method::DELETE, &one(&manager), None).await.status, 204, "itself");
    assert_eq!(call(&app, &manager, Method::GET, "/api/keys", None).await.status, 401);
}

#[actix_web::test]
async fn a_managing_key_gives_no_more_than_it_has() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let manager = key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
    let strong = key_with(&ada, "strong", &["sessions:read", "sessions:write"]).await;
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
        let refused = call(&app, &manager, Method::POST, "/api/keys", with(more.clone())).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{more}");
        let refused = call(&app, &manager, Method::PATCH, &one(&manager), Some(more)).await;
        assert_eq!(refused.json()["errors"][0]["field"], field);
    }
    let path = format!("{}/replacement", one(&strong));
    call(&app, &manager, Method::POST, &path, None).await.assert_problem(409, "conflict");
    for expires in [json!("never"), json!(3), json!("2027-11-25")] {
        let refused =
            call(&app, &manager, Method::POST, "/api/keys", with(json!({"expires": expires}))).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], "expires", "{expires}");
    }
    let made = call(&app, &manager, Method::POST, "/api/keys", with(json!({}))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    let of_manager = call(&app, &manager, Method::GET, "/api/keys/current", None).await.json();
    assert_eq!(made["expiresAt"], of_manager["expiresAt"], "it ends with the key that made it");
    assert_eq!(
        (&made["requestsPerMinute"], &made["allowedNetworks"]),
        (&json!(100), &json!(["127.0.0.0/8"]))
    );
}

#[actix_web::test]
async fn a_managing_key_lives_on_in_no_other() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let manager = key_with(&ada, "manager", &["keys:manage", "sessions:read", "sessions:write"]).await;
    let lasting = key_with(&ada, "lasting", &["sessions:read"]).await;
    app.db.execute("update api_keys set expires_at = now() + interval '1 hour' where name = 'manager'");
    let patch =
        async |key: &str, body: Value| call(&app, &manager, Method::PATCH, &one(key), Some(body)).await;
    let replace = async |key: &str| {
        let path = format!("{}/replacement", one(key));
        call(&app, &manager, Method::POST, &path, Some(json!({"graceSeconds": 604_800}))).await
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

    // It may take away, also from a key that may do more, and make itself anew for what is left to it.
    app.db.execute("update api_keys set scopes = '{sessions:read,sessions:write,keys:manage}', requests_per_minute = 0 where name = 'lasting'");
    assert_eq!(patch(&lasting, json!({"scopes": ["sessions:read", "keys:manage"]})).await.status, 200);
    assert_eq!(patch(&lasting, json!({"requestsPerMinute": 5})).await.status, 200);
    let of_manager = call(&app, &manager, Method::GET, "/api/keys/current", None).await.json();
    let anew = replace(&manager).await;
    assert_eq!((anew.status.as_u16(), &anew.json()["expiresAt"]), (201, &of_manager["expiresAt"]));
}

#[actix_web::test]
async fn what_a_program_writes_wrongly_is_named_and_nothing_is_made() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let manager = key_with(&ada, "manager", &["keys:manage", "sessions:read"]).await;
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
        let refused = call(&app, &manager, Method::POST, "/api/keys", Some(body.clone())).await;
        refused.assert_problem(400, "invalid_field");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{body}");
    }
    for body in [json!([]), json!("x")] {
        let refused = call(&app, &manager, Method::POST, "/api/keys", Some(body)).await;
        refused.assert_problem(400, "malformed_request");
    }
    for (path, method) in [("/api/keys".to_owned(), Method::POST), (one(&manager), Method::PATCH)] {
        call(&app, &manager, method.clone(), &path, None).await.assert_problem(400, "malformed_request");
        let text = app.visitor().request(method, &path).bearer_auth(&manager).body("name=x");
        let text = text.header("Content-Type", "application/x-www-form-urlencoded");
        Reply::of(text.send().await.unwrap()).await.assert_problem(415, "unsupported_type");
    }
    for query in ["page=0", "perPage=x", "status=dead", "sort=size"] {
        let refused = call(&app, &manager, Method::GET, &format!("/api/keys?{query}"), None).await;
        refused.assert_problem(400, "invalid_field");
    }
    assert_eq!(app.db.ask("select count(*)::text as answer from api_keys"), "1");
}

#[actix_web::test]
async fn whoever_finds_a_key_can_stop_it() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let revoke = "/api/keys/revoke";
    for (index, carrier) in ["field", "JSON", "header"].into_iter().enumerate() {
        let key = key_with(&ada, &format!("leaked {index}"), &["sessions:write"]).await;
        app.db.execute("update api_keys set allowed_networks = '{192.0.2.0/24}' where deleted_at is null");
        let send = || {
            let request = app.visitor().request(Method::POST, revoke);
            match carrier {
                "field" => request.form(&[("clientKey", key.as_str())]),
                "JSON" => request.json(&json!({"clientKey": key})),
                _ => request.bearer_auth(&key),
            }
        };

        let revoked = Reply::of(send().send().await.unwrap()).await;

        assert_eq!((revoked.status.as_u16(), revoked.body.as_str()), (204, ""), "{carrier}");
        Reply::of(send().send().await.unwrap()).await.assert_problem(401, "invalid_key");
    }
    assert_eq!(
        app.db.ask("select count(*)::text as answer from api_keys where deleted_by_key = public_key"),
        "3"
    );
    Reply::of(app.visitor().request(Method::POST, revoke).send().await.unwrap())
        .await
        .assert_problem(401, "invalid_key");
}

#[actix_web::test]
async fn every_key_learns_what_it_may_do() {
    let app = TestApp::start().await;
    let ada = app.signed_up("ada").await;
    let key = key_with(&ada, "recorder", &["sessions:write"]).await;

    let current = call(&app, &key, Method::GET, "/api/keys/current", None).await;

    assert_eq!(current.status, 200);
    let current = current.json();
    assert_eq!((&current["publicKey"], &current["scopes"]), (&json!(&key[..18]), &json!(["sessions:write"])));
    assert_eq!(current["clientId"], ada.client_id().await);
}

#[actix_web::test]
async fn the_document_has_every_call_and_refers_to_nothing_that_is_not_there() {
    let app = TestApp::start().await;

    let reply = app.visitor().get("/api/openapi.json").await;

    assert_eq!(reply.header("content-type"), "application/json");
    let document = reply.json();
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&json!("3.1.0"), &json!(app.url)));
    let of_document: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, calls)| {
            calls.as_object().unwrap().keys().map(move |it| format!("{} {path}", it.to_uppercase()))
        })
        .collect();
    let of_code: BTreeSet<String> =
        api::endpoints().iter().map(|it| format!("{} /api{}", it.method.as_str(), it.path)).collect();
    assert_eq!(of_document, of_code);
    for reference in reply.body.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}
