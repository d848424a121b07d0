//! No value of any parameter makes a route fail, whether in the path, the query string, a form, JSON or a header. Every
//! answer is read to its end, because a stream that breaks off began with 200.

use std::{
    future::ready,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::{StreamExt as _, stream};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use uptok::{
    api::{self, Endpoint},
    api_keys::Scope,
    pages::{FormKind, PAGE_ROUTES, PageMethod},
};

use crate::support::{
    TestApp, Visitor,
    route_requests::{ApiRequest, Owner, PageRequest, browser_for, fill, key_with, percent_encoded, query},
};

/// Requests that are sent at the same time.
const PARALLEL: usize = 8;

/// Text that is known to break programs: with characters that PostgreSQL or HTML treat specially, numbers at and beyond
/// the limits of their types, dates that PostgreSQL cannot hold, and cursors with both.
const HOSTILE: [&str; 34] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\u{7f}\u{9f}",
    "\u{202e}\u{feff}\u{fffd}",
    "' or 1=1; drop table api_keys; --",
    "%_\\",
    "../../etc/passwd",
    "<script>",
    "-1",
    "0",
    "1.0",
    "1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "s9223372036854775807",
    "-9999-1-01",
    "+12345-1-1",
    "-4714-01-01",
    "262142-12-31",
    "2026-13-45",
    "0000-01-01",
    "9999-12-31",
    "0000-01-01T00:00:00+23:59",
    "9999-12-31T23:59:60.999999999-23:59",
    "-262143-01-01T00:00:00Z",
    "infinity",
    "0000-01-01T00:00:00+23:59~-9223372036854775808",
    "9999-12-31T23:59:59-23:59~9223372036854775807",
    "-9999-01-01T00:00:00Z~1",
    "00000000-0000-7000-8000-000000000000",
    "uptok_000000000000",
];

fn hostile_texts() -> impl Iterator<Item = String> {
    HOSTILE.into_iter().map(str::to_owned).chain(["a".repeat(300)])
}

/// JSON values of every type, as text, because some numbers fit no type of Rust.
fn hostile_json() -> impl Iterator<Item = String> {
    let others =
        ["null", "true", "{}", "[]", "[[\"\\u0000\"]]", "1.5", "-0.0", "1e15", "1e300", "9007199254740993.0"];
    let numbers = ["-9223372036854775809", "18446744073709551615", "99999999999999999999"];
    let texts = hostile_texts().map(|text| json!(text).to_string());
    texts.chain(others.into_iter().chain(numbers).map(str::to_owned))
}

struct HostileRequest {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<(&'static str, String)>,
}

impl HostileRequest {
    fn get(path: String) -> Self {
        Self { method: Method::GET, path, headers: Vec::new(), body: None }
    }

    fn json(method: &Method, path: &str, body: String) -> Self {
        let body = Some(("application/json", body));
        Self { method: method.clone(), path: path.to_owned(), headers: Vec::new(), body }
    }

    fn form(path: &str, fields: &[(&str, String)]) -> Self {
        let body = fields.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        let body = Some(("application/x-www-form-urlencoded", body.collect::<Vec<_>>().join("&")));
        Self { method: Method::POST, path: path.to_owned(), headers: Vec::new(), body }
    }

    /// Sends the request and returns what is wrong with the answer, if anything is.
    async fn find_failure(self, visitor: &Visitor, key: Option<&str>) -> Option<String> {
        let text = format!("{} {} {:?} {:?}", self.method, self.path, self.headers, self.body);
        let mut request = visitor.request(self.method, &self.path).header("Sec-Fetch-Site", "same-origin");
        // Each request comes from an address of its own, so that no limit hides what follows.
        request = request.header("X-Forwarded-For", next_address());
        if let Some(key) = key.filter(|_| !self.headers.iter().any(|(name, _)| *name == "Authorization")) {
            request = request.bearer_auth(key);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some((media_type, body)) = self.body {
            request = request.header("Content-Type", media_type).body(body);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Some(format!("{text}: {error:?}")),
        };
        let status = response.status();
        match response.bytes().await {
            _ if status.is_server_error() => Some(format!("{text}: {status}")),
            Err(error) => Some(format!("{text}: {status}, then {error:?}")),
            Ok(_) => None,
        }
    }
}

fn next_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0x0a00_0000);
    std::net::Ipv4Addr::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_string()
}

async fn start_app() -> TestApp {
    TestApp::start_with(&[
        "--trusted-proxies",
        "127.0.0.1",
        "--logins-per-minute",
        "100000",
        "--database-wait-seconds",
        "30",
    ])
    .await
}

async fn find_failures(visitor: &Visitor, key: Option<&str>, requests: Vec<HostileRequest>) -> Vec<String> {
    // Few passwords are hashed at once, and a request that waits too long for it gets 503.
    let has_password = requests.iter().any(|request| {
        ["/login", "/register", "/account", "/password", "/confirm"]
            .iter()
            .any(|path| request.path.starts_with(path))
    });
    let parallel = if has_password { 1 } else { PARALLEL };
    let answers = stream::iter(requests).map(|request| request.find_failure(visitor, key));
    answers.buffer_unordered(parallel).filter_map(ready).collect().await
}

#[track_caller]
fn assert_none(failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{} requests failed: {:#?}",
        failures.len(),
        &failures[..failures.len().min(20)]
    );
}

/// The parameters that the page reads from the query string.
fn query_parameters(path: &str) -> &'static [&'static str] {
    match path {
        "/sessions" | "/sessions.csv" | "/sessions.ndjson" => {
            &["q", "status", "channel", "agentName", "from", "to", "after", "before", "back"]
        }
        "/sessions/erase" => &["session"],
        "/settings/api-keys" => &["q", "status", "sort", "page"],
        "/settings/api-keys/delete" => &["key"],
        "/settings/usage" | "/settings/api-keys/{public_key}/usage" => &["per"],
        "/settings/audit" | "/settings/audit.csv" => {
            &["act", "actor", "key", "from", "to", "after", "before"]
        }
        "/login" | "/confirm" => &["next"],
        "/"
        | "/register"
        | "/login/continue"
        | "/login/second-factor"
        | "/password/forgot"
        | "/password/reset/{token}"
        | "/account"
        | "/account/delete"
        | "/account/sign-ins"
        | "/clients/new"
        | "/invitations/{invitation_token}"
        | "/account/second-factor"
        | "/email/confirm/{email_token}"
        | "/sessions/{session_id}"
        | "/sessions/import"
        | "/sessions/imports/{import_id}"
        | "/sessions/imports/{import_id}/bad-lines.csv"
        | "/settings"
        | "/settings/api-keys/{public_key}"
        | "/settings/api-keys/{public_key}/delete"
        | "/settings/api-keys/{public_key}/replacement"
        | "/settings/client"
        | "/settings/members"
        | "/settings/members/leave"
        | "/settings/members/{user_id}/role"
        | "/settings/members/{user_id}/remove"
        | "/settings/members/{user_id}/keys"
        | "/docs"
        | "/questions" => &[],
        other => panic!("the tests of hostile values do not know what {other} reads"),
    }
}

/// The fields that the form may have besides those of a valid request.
fn optional_fields(path: &str) -> &'static [&'static str] {
    match path {
        "/login" => &["next", "lostAction", "lostBack", "lost:name"],
        "/account" => &["currentPassword", "newPassword"],
        "/account/delete" => &["currentPassword"],
        "/questions" => &["website"],
        "/sessions/erase" => &["email", "confirm"],
        "/sessions/imports/{import_id}/columns" => &["column1"],
        "/settings/api-keys" => &[
            "expires",
            "expiresOn",
            "requestsPerMinute",
            "allowedNetworks",
            "chooseScopes",
            "sessions:write",
        ],
        "/settings/api-keys/{public_key}" => &["allowedNetworks", "chooseScopes"],
        "/settings/api-keys/{public_key}/replacement" => &["formNonce"],
        _ => &[],
    }
}

/// Each parameter alone with each value, because a refused parameter hides the others.
fn queries(path: &str, parameters: &[&str]) -> Vec<HostileRequest> {
    let pairs = parameters.iter().flat_map(|name| hostile_texts().map(move |value| (name, value)));
    pairs
        .map(|(name, value)| HostileRequest::get(format!("{path}?{name}={}", percent_encoded(&value))))
        .collect()
}

/// The path with each value, and with bytes that are not UTF-8.
fn hostile_paths(path: &str) -> Vec<String> {
    if !path.contains('{') {
        return Vec::new();
    }
    let encoded =
        hostile_texts().map(|value| percent_encoded(&value)).chain(["%FF".to_owned(), "%FF%".to_owned()]);
    encoded.map(|value| fill(path, |_| value.clone())).collect()
}

#[actix_web::test]
async fn no_value_in_an_address_breaks_a_page() {
    let app = start_app().await;
    let ada = Owner::new(&app, "ada").await;
    let mut failures = Vec::new();
    for route in PAGE_ROUTES.iter().filter(|route| route.method == PageMethod::Get) {
        let path = fill(route.path, |name| ada.parameter(name));
        let mut requests = queries(&path, query_parameters(route.path));
        let paths = hostile_paths(route.path).into_iter();
        requests.extend(paths.map(|path| HostileRequest::get(format!("{path}{}", query(route.path, &ada)))));
        failures.extend(find_failures(&ada.visitor, None, requests).await);
    }
    assert_none(&failures);
}

#[actix_web::test]
async fn no_value_in_a_form_breaks_a_page() {
    let app = start_app().await;
    let ada = Owner::new(&app, "ada").await;
    let mut failures = Vec::new();
    for route in &PAGE_ROUTES {
        let PageMethod::Post(form) = route.method else { continue };
        let visitor = browser_for(route, &app, &ada).await;
        let mut valid = PageRequest::new(route, &ada);
        if form == FormKind::UploadOfClient {
            valid.fields.push(("file", "first".to_owned()));
        }
        let mut requests: Vec<_> =
            hostile_paths(route.path).iter().map(|path| HostileRequest::form(path, &valid.fields)).collect();
        let mut names: Vec<_> = valid.fields.iter().map(|(name, _)| *name).collect();
        names.extend(optional_fields(route.path));
        for (name, value) in names.iter().flat_map(|name| hostile_texts().map(move |value| (*name, value))) {
            let mut fields = valid.fields.clone();
            match fields.iter_mut().find(|(field, _)| *field == name) {
                Some((_, valid)) => *valid = value,
                None => fields.push((name, value)),
            }
            requests.push(match form {
                FormKind::UploadOfClient => upload(&valid.path, &fields),
                _ => HostileRequest::form(&valid.path, &fields),
            });
        }
        failures.extend(find_failures(&visitor, None, requests).await);
    }
    assert_none(&failures);
}

/// A form with a file, whose name and cells are the value of the field `file`.
fn upload(path: &str, fields: &[(&str, String)]) -> HostileRequest {
    let part = |(name, value): &(&str, String)| match *name {
        "file" => {
            let file_name = value.replace(['"', '\\'], "");
            let cells = format!("{value},status\r\n{value},{value}\r\n");
            format!("name=\"file\"; filename=\"{file_name}\"\r\n\r\n{cells}")
        }
        _ => format!("name=\"{name}\"\r\n\r\n{value}"),
    };
    let parts =
        fields.iter().map(|field| format!("--X\r\nContent-Disposition: form-data; {}\r\n", part(field)));
    let body = parts.collect::<String>() + "--X--\r\n";
    let body = Some(("multipart/form-data; boundary=X", body));
    HostileRequest { method: Method::POST, path: path.to_owned(), headers: Vec::new(), body }
}

/// The names of the parameters in the query string and in the body, from the OpenAPI document.
fn documented_names(document: &Value, endpoint: &Endpoint) -> (Vec<String>, Vec<String>) {
    let operation =
        &document["paths"][format!("/api{}", endpoint.path)][endpoint.method.as_str().to_lowercase()];
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let in_query = parameters.filter(|parameter| parameter["in"] == "query");
    let in_query = in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
    // Each body is documented with one media type; forms are accepted as JSON too.
    let media_types = operation["requestBody"]["content"].as_object().into_iter().flatten();
    let mut schema = media_types.map(|(_, content)| &content["schema"]).next().unwrap_or(&Value::Null);
    if schema["type"] == "array" {
        schema = &schema["items"];
    }
    if let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#')).unwrap();
    }
    let in_body =
        schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    (in_query, in_body)
}

/// An endpoint with what the document says about it, and a key that may use it.
struct DocumentedEndpoint {
    endpoint: Endpoint,
    request: ApiRequest,
    in_query: Vec<String>,
    in_body: Vec<String>,
    key: String,
}

async fn documented_endpoints(app: &TestApp, owner: &Owner) -> Vec<DocumentedEndpoint> {
    let document = app.visitor().get("/api/openapi.json").await.json();
    let mut documented = Vec::new();
    for (index, endpoint) in api::endpoints().into_iter().enumerate() {
        let (in_query, in_body) = documented_names(&document, &endpoint);
        let key = key_with(&owner.visitor, &format!("key {index}"), Scope::ALL.into_iter()).await;
        let request = ApiRequest::new(&endpoint, owner);
        documented.push(DocumentedEndpoint { endpoint, request, in_query, in_body, key });
    }
    app.db.execute("update api_keys set requests_per_minute = 0");
    documented
}

#[actix_web::test]
async fn no_value_in_an_address_or_header_breaks_the_api() {
    let app = start_app().await;
    let ada = Owner::new(&app, "ada").await;
    let mut failures = Vec::new();
    for documented in documented_endpoints(&app, &ada).await {
        let ApiRequest { method, path, body } = &documented.request;
        let with = |path: String, headers| {
            let body = body.as_ref().map(|body| ("application/json", body.to_string()));
            HostileRequest { method: method.clone(), path, headers, body }
        };
        let paths = hostile_paths(&format!("/api{}", documented.endpoint.path));
        let mut requests: Vec<_> = paths.into_iter().map(|path| with(path, Vec::new())).collect();
        // A file is streamed, so each format fails in its own way.
        let formats: &[&str] = if documented.in_query.iter().any(|name| name == "format") {
            &["", "&format=csv", "&format=ndjson"]
        } else {
            &[""]
        };
        for (name, value) in
            documented.in_query.iter().flat_map(|name| hostile_texts().map(move |it| (name, it)))
        {
            let formats = formats.iter().filter(|format| format.is_empty() || name != "format");
            requests.extend(formats.map(|format| {
                with(format!("{path}?{name}={}{format}", percent_encoded(&value)), Vec::new())
            }));
        }
        for name in ["Idempotency-Key", "If-None-Match", "Authorization", "User-Agent", "X-Request-Id"] {
            let values = hostile_texts().filter(|value| HeaderValue::from_str(value).is_ok());
            let with_scheme = |value| if name == "Authorization" { format!("Bearer {value}") } else { value };
            requests.extend(values.map(|value| with(path.clone(), vec![(name, with_scheme(value))])));
        }
        failures.extend(find_failures(&app.visitor(), Some(&documented.key), requests).await);
    }
    assert_none(&failures);
}

#[actix_web::test]
async fn no_value_in_a_body_breaks_the_api() {
    let app = start_app().await;
    let ada = Owner::new(&app, "ada").await;
    let mut failures = Vec::new();
    for documented in documented_endpoints(&app, &ada).await {
        let ApiRequest { method, path, body: Some(valid) } = &documented.request else { continue };
        let is_form = valid.as_object().is_some_and(serde_json::Map::is_empty);
        assert!(!documented.in_body.is_empty(), "{path} documents no field");
        let names = documented.in_body.iter().filter(|name| *name != "clientKey");
        let requests = names.flat_map(|name| match valid {
            Value::Array(items) => vec![hostile_batch(path, name, &items[0])],
            _ => hostile_bodies(method, path, name, valid),
        });
        let requests: Vec<_> = requests.collect();
        if !path.ends_with("/revoke") {
            failures.extend(find_failures(&app.visitor(), Some(&documented.key), requests).await);
        }
        if is_form {
            let keys = hostile_json()
                .map(|value| HostileRequest::json(method, path, format!("{{\"clientKey\": {value}}}")));
            failures.extend(find_failures(&app.visitor(), None, keys.collect()).await);
        }
    }
    assert_none(&failures);
}

/// A request for each value of the field; one that reads asks for a page and for a file.
fn hostile_bodies(method: &Method, path: &str, name: &str, valid: &Value) -> Vec<HostileRequest> {
    let can_stream = path.ends_with("/export-csv-data") && name != "format";
    let formats: &[Option<&str>] = if can_stream { &[None, Some("csv"), Some("ndjson")] } else { &[None] };
    let bodies = hostile_json().flat_map(|value| {
        formats.iter().map(move |format| {
            let mut body = valid.clone();
            if let Some(format) = format {
                body["format"] = json!(format);
            }
            with_field(body, name, &value)
        })
    });
    bodies.map(|body| HostileRequest::json(method, path, body)).collect()
}

/// One request with an item for each value of the field. The good items are stored.
fn hostile_batch(path: &str, name: &str, valid: &Value) -> HostileRequest {
    let items: Vec<_> = hostile_json().map(|value| with_field(valid.clone(), name, &value)).collect();
    HostileRequest::json(&Method::POST, &format!("{path}?partial=true"), format!("[{}]", items.join(",")))
}

/// The JSON of a valid body with this value in the field. Its name and id are new, so that it repeats no other.
fn with_field(mut body: Value, name: &str, value: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for unique in ["name", "externalId"] {
        if body.get(unique).is_some() {
            body[unique] = json!(format!("{unique} {}", NEXT.fetch_add(1, Ordering::Relaxed)));
        }
    }
    body[name] = json!("HOSTILE");
    body.to_string().replace("\"HOSTILE\"", value)
}
