//! A running node on its own port, and the browsers and programs that use it.

use std::{
    net::TcpListener,
    sync::{Arc, OnceLock},
};

use clap::Parser;
use diesel::PgConnection;
use reqwest::{Method, StatusCode, header::HeaderMap};
use uptok::{
    app::AppState,
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    ids::ClientId,
    secret::InstallationSecret,
    server::{self, Listeners},
    sessions::{IncomingSession, SessionRecord, record_all},
};

use super::{PostgresProxy, TestDb, html::Html};

/// A password that is long enough and not a common one.
pub(crate) const PASSWORD: &str = "a long enough password";
pub(crate) const SECRET: &str = "the secret of the tests, 32 characters or more";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) db: Arc<TestDb>,
    server: actix_web::dev::ServerHandle,
}

impl TestApp {
    /// Starts a node on a new database with open registration.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a node on a new database with additional arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let db = Arc::new(TestDb::new());
        let url = db.url.clone();
        Self::start_node(db, &url, arguments).await
    }

    /// Starts another node on the same database.
    pub(crate) async fn start_second_node(&self) -> Self {
        self.start_second_node_with(&[]).await
    }

    /// Starts another node on the same database with additional arguments.
    pub(crate) async fn start_second_node_with(&self, arguments: &[&str]) -> Self {
        Self::start_node(Arc::clone(&self.db), &self.db.url, arguments).await
    }

    /// Starts another node on the same database without a pipeline: only libpq supports this `sslmode`.
    pub(crate) async fn start_node_without_pipeline(&self) -> Self {
        self.start_second_node_at(&format!("{}&sslmode=allow", self.db.url)).await
    }

    /// Starts another node on the same database, which it reaches by this URL.
    pub(crate) async fn start_second_node_at(&self, database_url: &str) -> Self {
        Self::start_node(Arc::clone(&self.db), database_url, &[]).await
    }

    /// Starts a node on a new database that it reaches through a proxy.
    pub(crate) async fn start_behind_proxy(arguments: &[&str]) -> (Self, PostgresProxy) {
        let db = Arc::new(TestDb::new());
        let proxy = PostgresProxy::start(&db.url);
        (Self::start_node(db, &proxy.url, arguments).await, proxy)
    }

    #[expect(clippy::unused_async, reason = "the server needs the runtime of the test")]
    async fn start_node(db: Arc<TestDb>, database_url: &str, more: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let url = format!("http://{address}");
        let mut arguments = vec!["uptok", "--listen", &address, "--workers", "1", "--secret", SECRET];
        let defaults =
            [("--public-url", url.as_str()), ("--sign-up", "open"), ("--logins-per-minute", "1000")];
        for (name, value) in defaults {
            if !more.contains(&name) {
                arguments.extend([name, value]);
            }
        }
        arguments.extend(more);
        let settings = Arguments::parse_from(arguments).settings;
        let secret = InstallationSecret::new(SECRET.into());
        let state = AppState::new(settings, database_url, &secret).unwrap();
        let metrics = state.settings().metrics_listen.map(|address| TcpListener::bind(address).unwrap());
        let server = server::start(&state, Listeners { http: listener, metrics }).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, db, server: handle }
    }

    /// Returns the audit context of the command line.
    pub(crate) fn audit_context() -> AuditContext {
        AuditContext::new(&ChainKey::new(&InstallationSecret::new(SECRET.into())), Actor::CommandLine)
    }

    /// Returns the address and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Opens a new browser that is not logged in.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&self.url)
    }

    /// Registers `name` with a company of the same name and returns the logged-in browser.
    pub(crate) async fn sign_up(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let email = format!("{name}@example.org");
        let fields = [("name", name), ("company", name), ("email", email.as_str()), ("password", PASSWORD)];
        let reply = visitor.post("/register", &fields).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        visitor
    }

    /// Logs `name` in with a new browser.
    pub(crate) async fn log_in(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let email = format!("{name}@example.org");
        let reply = visitor.post("/login", &[("email", email.as_str()), ("password", PASSWORD)]).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        visitor
    }

    /// Posts these fields to the export as multipart form data.
    pub(crate) async fn export(&self, fields: &[(&str, &str)]) -> Reply {
        export_at(&self.url, fields).await
    }

    /// Makes every key look used: 32 calls in the last days, the last one two minutes ago.
    pub(crate) fn use_keys(&self) {
        self.db.execute(
            "insert into key_last_uses (client_id, public_key, used_at, address, user_agent) \
             select client_id, public_key, now() - interval '2 minutes', '203.0.113.24', 'warehouse-sync/2.4 (python-requests)' \
             from api_keys",
        );
        self.db.execute(
            "insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests) \
             select client_id, public_key, date_trunc('hour', now()) - make_interval(hours => 20 * n), \
                    'GET /api/sessions', 2, 8 from api_keys, generate_series(0, 3) n",
        );
    }

    /// Records `count` sessions of the client, one per minute; every third is missed, the others completed.
    pub(crate) fn record(&self, client: &str, count: usize) {
        record_sessions(&mut self.db.connect(), &client.parse().unwrap(), count);
    }
}

/// Posts these fields to the export of the node at `url` as multipart form data.
pub(crate) async fn export_at(url: &str, fields: &[(&str, &str)]) -> Reply {
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let request = reqwest::Client::new().post(format!("{url}/api/sessions/export-csv-data")).multipart(form);
    Reply::read(request.send().await.unwrap()).await
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Not awaited: the runtime ends with the test.
        drop(self.server.stop(false));
    }
}

fn record_sessions(connection: &mut PgConnection, client: &ClientId, count: usize) {
    let now = "2026-11-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let records: Vec<IncomingSession> = (0..count)
        .map(|index| {
            let status = if index % 3 == 0 { "missed" } else { "completed" };
            let created = now - chrono::TimeDelta::minutes(i64::try_from(count - index).unwrap());
            let (created, id) = (created.to_rfc3339(), format!("session-{index}"));
            SessionRecord::parse(now, |name| match name {
                "externalId" => &id,
                "status" => status,
                "channel" => "video",
                "createdAt" | "endedAt" => &created,
                _ => "",
            })
            .unwrap()
        })
        .collect();
    for batch in records.chunks(1000) {
        record_all(connection, client, batch).unwrap();
    }
}

/// An HTTP client that behaves like a browser: it keeps cookies, sends `Sec-Fetch-Site` with forms and does
/// not follow redirects.
#[derive(Clone)]
pub(crate) struct Visitor {
    client: reqwest::Client,
    url: String,
    /// The Client ID that the forms of the pages contain, once it is known.
    form_client: Arc<OnceLock<String>>,
}

impl Visitor {
    /// Creates a browser for the node at `url`.
    pub(crate) fn new(url: &str) -> Self {
        let client =
            reqwest::Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none());
        Self { client: client.build().unwrap(), url: url.to_owned(), form_client: Arc::default() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Posts a form as one of our pages would, with the Client ID if the page belongs to a client.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut fields = fields.to_vec();
        let is_of_client = path.starts_with("/sessions/") || path.starts_with("/settings/");
        if is_of_client && !fields.iter().any(|(name, _)| *name == "clientId") {
            fields.extend(self.form_client().await.map(|client| ("clientId", client)));
        }
        let request = self.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin").form(&fields);
        Reply::read(request.send().await.unwrap()).await
    }

    /// Fills in the form of a page, which may have hidden fields, and posts it.
    pub(crate) async fn post_form_of(&self, page: &Html, path: &str, fields: &[(&str, &str)]) -> Reply {
        let hidden = "main form.stack input[type=hidden]";
        let (names, values) = (page.attributes(hidden, "name"), page.attributes(hidden, "value"));
        let hidden = names.iter().map(String::as_str).zip(values.iter().map(String::as_str));
        self.post(path, &hidden.chain(fields.iter().copied()).collect::<Vec<_>>()).await
    }

    /// Fills in the login page for Ada, and posts it.
    pub(crate) async fn log_in_from(&self, page: &Html) -> Reply {
        self.post_form_of(page, "/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await
    }

    /// Returns `None` if nobody is signed in.
    async fn form_client(&self) -> Option<&str> {
        if self.form_client.get().is_none() {
            let page = self.get("/sessions").await.html();
            let client = page.texts(".foot-block code").pop()?;
            self.form_client.get_or_init(|| client);
        }
        self.form_client.get().map(String::as_str)
    }

    /// Starts a request with nothing but the cookies.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Reads the Client ID from the foot of a page.
    pub(crate) async fn client_id(&self) -> String {
        self.get("/sessions").await.html().text(".foot-block code")
    }

    /// Generates a key and returns the whole key.
    pub(crate) async fn generate(&self, name: &str) -> String {
        self.post_key_form(&[("name", name)]).await
    }

    /// Generates a key that reads and records, and returns the whole key.
    pub(crate) async fn generate_recorder(&self, name: &str) -> String {
        let boxes = [("chooseScopes", "yes"), ("sessions:read", "yes"), ("sessions:write", "yes")];
        self.post_key_form(&[&[("name", name)], boxes.as_slice()].concat()).await
    }

    async fn post_key_form(&self, fields: &[(&str, &str)]) -> String {
        let reply = self.post("/settings/api-keys", fields).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.html().text("[data-whole-key-text]")
    }
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Set-Cookie` header of this cookie.
    pub(crate) fn set_cookie(&self, name: &str) -> &str {
        let all = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let mut named = all.filter(|text| text.split_once('=').is_some_and(|(it, _)| it == name));
        named.next().unwrap_or_else(|| panic!("{name} is not set: {:?}", self.headers))
    }

    pub(crate) fn html(&self) -> Html {
        Html::parse(&self.body)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts a problem document (RFC 9457) with this status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"], self.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["detail"].is_string() && problem["type"].is_string());
    }

    /// Asserts a redirect (303) to this address. That of the login page is given without the page that follows.
    #[track_caller]
    pub(crate) fn assert_sent_to(&self, location: &str) {
        let sent = self.header("location");
        let sent = if location == "/login" { sent.split("?next=%2F").next().unwrap() } else { sent };
        assert_eq!((self.status.as_u16(), sent), (303, location), "{}", self.body);
    }
}
