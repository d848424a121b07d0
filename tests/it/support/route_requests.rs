//! Valid requests to every route: what each path and form is filled in with. A route that is missing here fails the tests
//! that go through the tables of routes.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Method, multipart};
use serde_json::{Value, json};
use uptok::{
    api::Endpoint,
    api_keys::Scope,
    pages::{FormKind, PageAccess, PageMethod, PageRoute},
};

use super::{Reply, TestApp, Visitor, test_app::PASSWORD};

/// A user who owns one of everything that a path can refer to.
pub(crate) struct Owner {
    pub(crate) visitor: Visitor,
    pub(crate) email: String,
    pub(crate) client_id: String,
    pub(crate) public_key: String,
    session_id: String,
    import_id: String,
    /// Links that belong to another user, so that using one changes nothing of this user.
    reset_token: String,
    email_token: String,
    /// Another member of the client.
    colleague_id: String,
    invitation_id: String,
    /// The token of that invitation.
    invitation_token: String,
}

impl Owner {
    pub(crate) async fn new(app: &TestApp, name: &str) -> Self {
        let visitor = app.sign_up(name).await;
        let client_id = visitor.client_id().await;
        app.record(&client_id, 3);
        // These columns are unknown, so the import waits until a user maps them.
        let file = multipart::Part::bytes("first,second\n1,2\n".as_bytes()).file_name("calls.csv");
        let form = multipart::Form::new().text("clientId", client_id.clone()).part("file", file);
        let upload =
            visitor.request(Method::POST, "/sessions/import").header("Sec-Fetch-Site", "same-origin");
        assert_eq!(upload.multipart(form).send().await.unwrap().status(), 303);
        app.db.execute(&format!(
            "with colleague as (insert into users (user_id, email, name, password_hash) \
             values (gen_random_uuid(), '{name}-colleague@example.org', 'Colleague', '-') returning user_id) \
             insert into memberships (client_id, user_id, role) select '{client_id}', user_id, 'member' from colleague"
        ));
        let invited = format!("{name}-invited@example.org");
        let page = visitor.post("/settings/members", &[("email", &invited), ("role", "member")]).await;
        let link = page.html().text("[data-link]");
        let colleague =
            format!("select user_id::text as answer from users where email = '{name}-colleague@example.org'");
        let first = |table: &str, column: &str| {
            let of_client = format!("from {table} where client_id = '{client_id}' order by 1 limit 1");
            app.db.query_text(&format!("select {column}::text as answer {of_client}"))
        };
        let (reset_token, email_token) = (format!("{name:R>32}"), format!("{name:E>32}"));
        app.db.execute(&format!(
            "with other as (insert into users (user_id, email, name, password_hash) \
                 values (gen_random_uuid(), 'forgot-{name}@example.org', 'Forgetful', 'none') returning user_id) \
             insert into account_links (token_digest, kind, user_id, new_email, expires_at) \
             select sha256('{reset_token}'), 'password_reset', user_id, null, now() + interval '1 hour' from other \
             union all select sha256('{email_token}'), 'email_change', user_id, 'new-{name}@example.org', \
                 now() + interval '1 hour' from other"
        ));
        Self {
            reset_token,
            email_token,
            email: format!("{name}@example.org"),
            public_key: visitor.generate("laptop").await[..18].to_owned(),
            session_id: first("sessions", "session_id"),
            import_id: first("imports", "import_id"),
            colleague_id: app.db.query_text(&colleague),
            invitation_id: first("invitations", "invitation_id"),
            invitation_token: link.rsplit('/').next().unwrap().to_owned(),
            visitor,
            client_id,
        }
    }

    /// The value of a parameter in a path.
    pub(crate) fn parameter(&self, name: &str) -> String {
        match name {
            "public_key" | "publicKey" => self.public_key.clone(),
            "session_id" | "sessionId" => self.session_id.clone(),
            "import_id" => self.import_id.clone(),
            "token" => self.reset_token.clone(),
            "email_token" => self.email_token.clone(),
            "user_id" => self.colleague_id.clone(),
            "invitation_id" => self.invitation_id.clone(),
            "invitation_token" => self.invitation_token.clone(),
            other => panic!("the tests of all routes have no value for {{{other}}}"),
        }
    }

    /// Whether the text contains an id that belongs to this client.
    pub(crate) fn is_named_in(&self, text: &str) -> bool {
        let ids =
            [&self.public_key, &self.session_id, &self.import_id, &self.colleague_id, &self.invitation_id];
        ids.iter().any(|id| text.contains(id.as_str()))
    }
}

/// The path with a value for each `{parameter}`.
pub(crate) fn fill(path: &str, value: impl Fn(&str) -> String) -> String {
    let (mut filled, mut rest) = (String::new(), path);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap();
        filled += before;
        filled += &value(name);
        rest = after;
    }
    filled + rest
}

pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}

/// A request as a page would send it.
pub(crate) struct PageRequest {
    method: Method,
    pub(crate) path: String,
    form: FormKind,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl PageRequest {
    /// A valid request to the route, for an object of this client.
    pub(crate) fn new(route: &PageRoute, owner: &Owner) -> Self {
        let path = fill(route.path, |name| owner.parameter(name));
        match route.method {
            PageMethod::Get => {
                let path = format!("{path}{}", query(route.path, owner));
                Self { method: Method::GET, path, form: FormKind::Empty, fields: Vec::new() }
            }
            PageMethod::Post(form) => {
                Self { method: Method::POST, path, form, fields: fields(route.path, form, owner) }
            }
        }
    }

    /// The same request, from a form that was rendered for this client.
    pub(crate) fn rendered_for(mut self, client_id: &str) -> Self {
        for (name, value) in &mut self.fields {
            if *name == "clientId" {
                client_id.clone_into(value);
            }
        }
        self
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {} {:?}", self.method, self.path, self.fields)
    }

    pub(crate) async fn send(&self, visitor: &Visitor) -> Reply {
        self.send_with(visitor, &[("Sec-Fetch-Site", "same-origin")]).await
    }

    pub(crate) async fn send_with(&self, visitor: &Visitor, headers: &[(&str, &str)]) -> Reply {
        let mut request = visitor.request(self.method.clone(), &self.path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match self.form {
            FormKind::UploadOfClient => request.multipart(self.upload()),
            _ if self.method == Method::POST => request.form(&self.fields),
            _ => request,
        };
        Reply::read(request.send().await.unwrap()).await
    }

    fn upload(&self) -> multipart::Form {
        let form = self
            .fields
            .iter()
            .fold(multipart::Form::new(), |form, (name, value)| form.text(*name, value.clone()));
        form.part("file", multipart::Part::bytes("first,second\n3,4\n".as_bytes()).file_name("more.csv"))
    }
}

/// The query string of a page that shows nothing without one.
pub(crate) fn query(path: &str, owner: &Owner) -> String {
    match path {
        "/settings/api-keys/delete" => format!("?key={}", owner.public_key),
        "/sessions/erase" => format!("?session={}", owner.session_id),
        _ => String::new(),
    }
}

/// The fields of a valid form for this path.
fn fields(path: &str, form: FormKind, owner: &Owner) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    let mut fields = match path {
        _ if matches!(form, FormKind::Empty | FormKind::UploadOfClient)
            || ["/start", "/discard", "/resend", "/withdraw", "/remove", "/leave"]
                .iter()
                .any(|end| path.ends_with(end)) =>
        {
            Vec::new()
        }
        "/register" => vec![
            ("name", text("Ada")),
            ("company", text("Engines")),
            ("email", owner.email.clone()),
            ("password", text(PASSWORD)),
        ],
        "/login" => vec![("email", owner.email.clone()), ("password", text(PASSWORD))],
        "/password/forgot" => vec![("email", owner.email.clone())],
        "/password/reset/{token}" => vec![("newPassword", text("another long password"))],
        "/account" => vec![("name", text("Ada")), ("email", owner.email.clone())],
        "/account/sign-ins/end" => vec![("signIn", "0".repeat(64))],
        "/clients/active" => vec![("clientId", owner.client_id.clone()), ("next", text("/sessions"))],
        "/clients/new" | "/settings/client" => vec![("company", text("Engines"))],
        "/invitations/{invitation_token}" => vec![("name", text("Bea")), ("password", text(PASSWORD))],
        "/settings/members" => vec![("email", text("new@example.org")), ("role", text("member"))],
        "/settings/members/{user_id}/role" => vec![("role", text("member"))],
        "/login/second-factor" | "/account/second-factor/turn-on" => vec![("code", text("123456"))],
        "/confirm" => vec![("password", text(PASSWORD))],
        "/questions" => vec![
            ("name", text("Ada")),
            ("email", owner.email.clone()),
            ("question", text("How are sessions sorted?")),
        ],
        "/theme" => vec![("theme", text("dark"))],
        "/sessions/erase" => vec![("shopperId", text("S-77"))],
        "/sessions/imports/{import_id}/columns" => vec![("column0", text("externalId"))],
        "/settings/api-keys" => vec![("name", text("phone")), ("formNonce", text("nonce"))],
        "/settings/api-keys/delete" => vec![("keys", owner.public_key.clone())],
        "/settings/api-keys/{public_key}" => vec![("requestsPerMinute", text("60"))],
        "/account/delete" | "/settings/api-keys/{public_key}/delete" => vec![],
        "/settings/api-keys/{public_key}/replacement" => vec![("graceSeconds", text("3600"))],
        other => panic!("the tests of all routes do not know the form of {other}"),
    };
    if matches!(form, FormKind::OfClient | FormKind::UploadOfClient) {
        fields.push(("clientId", owner.client_id.clone()));
    }
    fields
}

/// The user's browser; a new one for a route that logs a user in or out or changes the active client; that of a visitor
/// for a mailed link, and that of another user for the route that deletes the account.
pub(crate) async fn browser_for(route: &PageRoute, app: &TestApp, owner: &Owner) -> Visitor {
    static LEAVERS: AtomicU32 = AtomicU32::new(0);
    if route.path == "/account/delete" {
        return app.sign_up(&format!("leaver{}", LEAVERS.fetch_add(1, Ordering::Relaxed))).await;
    }
    if route.path.contains("token}") {
        return app.visitor();
    }
    let changes_sign_in = route.path == "/logout" || route.path.starts_with("/clients/");
    if route.access == PageAccess::SignedOut || changes_sign_in {
        return app.log_in(owner.email.trim_end_matches("@example.org")).await;
    }
    owner.visitor.clone()
}

/// A request as a program would send it.
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
}

impl ApiRequest {
    /// A valid request to the endpoint, for an object of this client.
    pub(crate) fn new(endpoint: &Endpoint, owner: &Owner) -> Self {
        Self {
            method: Method::from_bytes(endpoint.method.as_str().as_bytes()).unwrap(),
            path: fill(&format!("/api{}", endpoint.path), |name| owner.parameter(name)),
            body: body(endpoint),
        }
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {} {:?}", self.method, self.path, self.body)
    }

    pub(crate) async fn send(&self, visitor: &Visitor, key: Option<&str>) -> Reply {
        let mut request = visitor.request(self.method.clone(), &self.path);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        Reply::read(request.send().await.unwrap()).await
    }
}

/// A valid body for the endpoint.
fn body(endpoint: &Endpoint) -> Option<Value> {
    match (endpoint.method.as_str(), endpoint.path) {
        ("GET" | "DELETE", _) => None,
        ("POST", "/sessions/export-csv-data" | "/keys/revoke") => Some(json!({})),
        ("POST", "/sessions") => Some(json!([{
            "externalId": "call-1", "status": "missed", "channel": "chat",
            "createdAt": "2026-10-01T10:00:00Z", "endedAt": "2026-10-01T10:00:30Z"
        }])),
        ("POST", "/keys") => Some(json!({"name": "phone", "scopes": ["sessions:read"]})),
        ("PATCH", "/keys/{publicKey}") => Some(json!({"requestsPerMinute": 60})),
        ("POST", "/keys/{publicKey}/replacement") => Some(json!({"graceSeconds": 3600})),
        (method, path) => panic!("the tests of all routes do not know the body of {method} {path}"),
    }
}

/// Creates a key with these scopes.
pub(crate) async fn key_with(visitor: &Visitor, name: &str, scopes: impl Iterator<Item = Scope>) -> String {
    let boxes: Vec<_> = scopes.map(|scope| (scope.as_str(), "yes")).collect();
    let fields = [&[("name", name), ("chooseScopes", "yes")], boxes.as_slice()].concat();
    visitor.post("/settings/api-keys", &fields).await.html().text("[data-whole-key-text]")
}
