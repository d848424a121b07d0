//! A running Uptok on a port of its own, and the people and programs that use it.

use std::{net::TcpListener, sync::Arc};

use clap::Parser;
use diesel::PgConnection;
use reqwest::{Method, StatusCode, header::HeaderMap};
use uptok::{
    app::AppState,
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    ids::ClientId,
    secret::InstallationSecret,
    server,
    sessions::{IncomingSession, SessionRecord, record_all},
};

use super::{TestDb, html::Html};

/// A password that is long enough and not common.
pub(crate) const PASSWORD: &str = "a long enough password";
pub(crate) const SECRET: &str = "the secret of the tests, 32 characters or more";

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// One node.
pub(crate) struct TestApp {
    pub(crate) url: String,
    pub(crate) db: Arc<TestDb>,
    server: actix_web::dev::ServerHandle,
}

impl TestApp {
    /// A node on a new database, where anybody may register.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// … with these arguments too.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let db = Arc::new(TestDb::new());
        let url = db.url.clone();
        Self::node(db, &url, arguments).await
    }

    /// Another node on the same database.
    pub(crate) async fn second_node(&self) -> Self {
        self.second_node_with(&[]).await
    }

    /// … with these arguments too.
    pub(crate) async fn second_node_with(&self, arguments: &[&str]) -> Self {
        Self::node(Arc::clone(&self.db), &self.db.url, arguments).await
    }

    /// Another node, whose URL asks for something that libpq alone can do.
    pub(crate) async fn node_without_pipeline(&self) -> Self {
        Self::node(Arc::clone(&self.db), &format!("{}&sslmode=allow", self.db.url), &[]).await
    }

    #[expect(clippy::unused_async, reason = "the server needs the runtime of the test")]
    async fn node(db: Arc<TestDb>, database_url: &str, more: &[&str]) -> Self {
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
        let server = server::start(&state, listener).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { url, db, server: handle }
    }

    /// What the command line leaves in the audit log.
    pub(crate) fn trail() -> AuditContext {
        AuditContext::new(&ChainKey::new(&InstallationSecret::new(SECRET.into())), Actor::CommandLine)
    }

    /// Somebody with a new browser.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::at(&self.url)
    }

    /// Somebody who has registered, with a company of the same name.
    pub(crate) async fn signed_up(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let email = format!("{name}@example.org");
        let fields = [("name", name), ("company", name), ("email", email.as_str()), ("password", PASSWORD)];
        let reply = visitor.post("/register", &fields).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        visitor
    }

    /// The same person with another browser.
    pub(crate) async fn logged_in(&self, name: &str) -> Visitor {
        let visitor = self.visitor();
        let email = format!("{name}@example.org");
        let reply = visitor.post("/login", &[("email", email.as_str()), ("password", PASSWORD)]).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.body);
        visitor
    }

    /// Posts these fields to the export as multipart form-data.
    pub(crate) async fn export(&self, fields: &[(&str, &str)]) -> Reply {
        export_at(&self.url, fields).await
    }

    /// Records `count` sessions of the client, a minute apart, `status` by turns.
    pub(crate) fn record(&self, client: &str, count: usize) {
        record(&mut self.db.connect(), &client.parse().unwrap(), count);
    }
}

/// Posts these fields to the export of the node at `url`.
pub(crate) async fn export_at(url: &str, fields: &[(&str, &str)]) -> Reply {
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in fields {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let request = reqwest::Client::new().post(format!("{url}/api/sessions/export-csv-data")).multipart(form);
    Reply::of(request.send().await.unwrap()).await
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Said, not awaited: the runtime of the test ends with it.
        drop(self.server.stop(false));
    }
}

fn record(connection: &mut PgConnection, client: &ClientId, count: usize) {
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

/// A browser without a screen: it keeps cookies, says where its requests come from, and follows nothing by itself.
#[derive(Clone)]
pub(crate) struct Visitor {
    client: reqwest::Client,
    url: String,
}

impl Visitor {
    /// Somebody with a new browser, at the node with this address.
    pub(crate) fn at(url: &str) -> Self {
        let client =
            reqwest::Client::builder().cookie_store(true).redirect(reqwest::redirect::Policy::none());
        Self { client: client.build().unwrap(), url: url.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Posts a form of our own pages.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = self.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin").form(fields);
        Reply::of(request.send().await.unwrap()).await
    }

    /// A request with nothing in it but the cookies.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// The Client ID at the foot of the pages.
    pub(crate) async fn client_id(&self) -> String {
        self.get("/sessions").await.html().text(".foot-client code")
    }

    /// Generates a key and returns the whole of it.
    pub(crate) async fn generate(&self, name: &str) -> String {
        self.generated(&[("name", name)]).await
    }

    /// Generates a key that reads and records, and returns the whole of it.
    pub(crate) async fn generate_recorder(&self, name: &str) -> String {
        let boxes = [("chooseScopes", "yes"), ("sessions:read", "yes"), ("sessions:write", "yes")];
        self.generated(&[&[("name", name)], boxes.as_slice()].concat()).await
    }

    async fn generated(&self, fields: &[(&str, &str)]) -> String {
        let reply = self.post("/settings/api-keys", fields).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.html().text("[data-whole-key-text]")
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn html(&self) -> Html {
        Html::parse(&self.body)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts that this is a problem (RFC 9457) of this status and code.
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

    /// Asserts that the browser is sent on to this address.
    #[track_caller]
    pub(crate) fn assert_sent_to(&self, location: &str) {
        assert_eq!((self.status.as_u16(), self.header("location")), (303, location), "{}", self.body);
    }
}
