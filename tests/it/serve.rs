//! The binary: startup, settings, logs, shutdown and commands.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use uptok::private_postgres::PrivatePostgres;

use crate::support::{PostgresProxy, TestDb, Visitor, test_app::PASSWORD};

pub(crate) const SECRET: &str = "the secret of this test, 32 characters or more";

/// A command that runs the binary with an environment that contains only `PATH`.
pub(crate) fn uptok_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// Finds a port that was free a moment ago.
fn find_free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A node in its own process.
pub(crate) struct Node {
    process: Child,
    pub(crate) address: String,
    startup_output: String,
}

impl Node {
    pub(crate) fn start(database_url: &str, more: &[&str]) -> Self {
        let mut command = uptok_command(&["serve"]);
        command.args(more).env("DATABASE_URL", database_url).env("UPTOK_SECRET", SECRET);
        Self::spawn(command)
    }

    /// Returns once the node reports that it is up.
    fn spawn(mut command: Command) -> Self {
        let address = find_free_address();
        let public_url = format!("http://{address}");
        let mut process = command
            .env("UPTOK_LISTEN", &address)
            .env("UPTOK_PUBLIC_URL", public_url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut startup_output = String::new();
        for line in lines.by_ref() {
            startup_output += &line;
            startup_output += "\n";
            if line.starts_with("Uptok is at") {
                return Self { process, address, startup_output };
            }
        }
        let log = read_all(process.stderr.take().unwrap());
        panic!("it ended with {}: {startup_output}{log}", process.wait().unwrap());
    }

    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(&format!("http://{}", self.address))
    }

    /// Waits for the process to end and returns its exit status and log.
    pub(crate) fn wait_for_exit(mut self) -> (Option<i32>, String) {
        let log = read_all(self.process.stderr.take().unwrap());
        (self.process.wait().unwrap().code(), log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails if it has ended already, as it has unless the test failed.
        let _ = (self.process.kill(), self.process.wait());
    }
}

fn read_all(mut from: impl std::io::Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

/// Sends the first half of a request.
fn send_half_request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /api/sessions/export-csv-data HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nclien";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Requests `/readyz` on a new connection.
fn probe_readiness(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    read_all(stream)
}

#[test]
fn shutdown_completes_requests_in_flight() {
    for signal in ["TERM", "INT"] {
        let db = TestDb::new();
        let node = Node::start(&db.url, &["--drain-seconds", "5", "--log", "debug"]);
        let mut in_flight = send_half_request(&node.address);

        node.signal(signal);
        // While the node drains, its readiness probe fails.
        let answer = loop {
            let answer = probe_readiness(&node.address);
            if !answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
        };
        in_flight.write_all(b"tKey=x").unwrap();

        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("stopping\n"), "{answer}");
        assert!(read_all(&in_flight).starts_with("HTTP/1.1 401"), "{signal}");
        let (code, log) = node.wait_for_exit();
        assert_eq!(code, Some(0), "{signal}: {log}");
    }
}

#[test]
fn second_signal_ends_the_process_at_once() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--drain-seconds", "60"]);

    node.signal("INT");
    node.signal("INT");
    node.signal("TERM");

    assert_eq!(node.wait_for_exit().0, Some(0));
}

#[actix_web::test]
async fn shutdown_loses_no_metered_requests() {
    let db = TestDb::new();
    let mut counted = 0;
    for _ in 0..3 {
        let node = Node::start(&db.url, &["--sign-up", "open"]);
        let visitor = node.visitor();
        let name = format!("ada{counted}");
        let email = format!("{name}@example.org");
        let account = [("name", "Ada"), ("company", &name), ("email", &email), ("password", PASSWORD)];
        visitor.post("/register", &account).await.assert_sent_to("/settings/api-keys");
        let key = visitor.generate("laptop").await;
        for _ in 0..20 {
            assert_eq!(
                visitor.post("/api/sessions/export-csv-data", &[("clientKey", &key)]).await.status,
                200
            );
            counted += 1;
        }

        node.signal("TERM");
        let (code, log) = node.wait_for_exit();

        assert_eq!(code, Some(0), "{log}");
        assert_eq!(db.query_text("select sum(requests)::text as answer from key_usage"), counted.to_string());
    }
}

#[test]
fn invalid_setting_aborts_the_start_and_is_named() {
    let db = TestDb::new();
    for (name, value, word) in [
        ("UPTOK_SECRET", "short", "--secret"),
        ("UPTOK_LISTEN", "here", "--listen"),
        ("UPTOK_PUBLIC_URL", "https://example.org/app", "--public-url"),
        ("UPTOK_SIGN_UP", "maybe", "--sign-up"),
        ("UPTOK_TRUSTED_PROXIES", "proxy", "--trusted-proxies"),
        ("UPTOK_DATABASE_CONNECTIONS", "0", "--database-connections"),
        ("UPTOK_DRAIN_SECONDS", "x", "--drain-seconds"),
        ("UPTOK_LOG", "=nonsense=", "UPTOK_LOG"),
        ("DATABASE_URL", "postgres://127.0.0.1:1/none", "uptok:"),
    ] {
        let mut command = uptok_command(&["serve"]);
        command.env("DATABASE_URL", &db.url).env("UPTOK_SECRET", SECRET).env(name, value);

        let output = command.output().unwrap();

        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(word), "{name}={value}: {message}");
        assert!(!message.contains("panicked") && !message.contains("stack backtrace"), "{message}");
        if name != "UPTOK_SECRET" {
            assert!(!message.contains(SECRET));
        }
    }
}

#[test]
fn external_database_requires_an_explicit_secret() {
    let db = TestDb::new();
    let output = uptok_command(&["serve"]).env("DATABASE_URL", &db.url).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("set UPTOK_SECRET too"));
}

#[test]
fn occupied_port_is_reported() {
    let db = TestDb::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = uptok_command(&["serve"]);
    command.env("DATABASE_URL", &db.url).env("UPTOK_SECRET", SECRET).env("UPTOK_LISTEN", &address);

    let message = String::from_utf8(command.output().unwrap().stderr).unwrap();

    assert!(
        message.contains(&format!("cannot listen on {address}; choose another with UPTOK_LISTEN")),
        "{message}"
    );
}

#[actix_web::test]
async fn log_contains_no_secrets() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--log", "debug", "--log-format", "json", "--sign-up", "open"]);
    let ada = node.visitor();
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let registered = ada.post("/register", &account).await;
    ada.post("/login", &[("email", "ada@example.org"), ("password", "a wrong password, 1")]).await;
    ada.post("/login", &[("email", "ada@example.org"), ("password", PASSWORD)]).await;
    let key = ada.generate("canary").await;
    let export = format!("/api/sessions/export-csv-data?clientKey={key}");
    ada.post(&export, &[("clientKey", &key)]).await;
    ada.post("/api/sessions/export-csv-data", &[("clientKey", &key), ("page", "x")]).await;
    ada.post("/api/sessions/export-csv-data", &[("clientKey", &key)]).await;
    ada.get(&format!("/{key}")).await;
    ada.get(&format!("/settings/api-keys/{key}/delete")).await;
    db.execute("alter table api_keys rename to api_keys_elsewhere");
    ada.post("/api/sessions/export-csv-data", &[("clientKey", &key)]).await;
    ada.post("/settings/api-keys", &[("name", "canary")]).await;

    node.signal("TERM");
    let (_, log) = node.wait_for_exit();

    let [cookie, device] = ["uptok_sign_in", "uptok_device"]
        .map(|name| registered.set_cookie(name).split(['=', ';']).nth(1).unwrap());
    for secret in [
        &key[19..],
        PASSWORD,
        "a wrong password, 1",
        cookie,
        &cookie[cookie.len() - 64..],
        device,
        SECRET,
        "ada@example.org",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered: Vec<_> = lines.iter().filter(|line| line["fields"]["message"] == "Answered").collect();
    assert!(answered.len() >= 11 && answered.iter().all(|line| line["span"]["request_id"].is_string()));
    assert!(lines.iter().any(|line| line["level"] == "ERROR"), "the cause of a failure is in the log");
}

/// Parses a JSON log and returns level and message of each line.
fn read_messages(log: &str) -> Vec<(String, String)> {
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    lines.map(|line| (text(&line["level"]), text(&line["fields"]["message"]))).collect()
}

#[actix_web::test]
async fn outage_of_postgresql_is_logged_once_and_attempts_are_rare() {
    let db = TestDb::new();
    let proxy = PostgresProxy::start(&db.url);
    let node = Node::start(&proxy.url, &["--database-wait-seconds", "1", "--log-format", "json"]);
    let visitor = node.visitor();
    assert_eq!(visitor.get("/readyz").await.status, 200);

    db.allow_connections(false);
    db.terminate_connections();
    let (opened_before, began) = (proxy.count_opened(), Instant::now());
    for _ in 0..3 {
        let key = uptok::api_keys::ClientKey::generate().expose();
        let fields = [("clientKey", key.as_str())];
        let exports = join_all((0..20).map(|_| visitor.post("/api/sessions/export-csv-data", &fields)));
        let probes = join_all((0..20).map(|_| visitor.get("/readyz")));
        let (exports, probes) = futures_util::future::join(exports, probes).await;
        assert!(exports.iter().chain(&probes).all(|reply| reply.status == 503));
    }
    let attempts = proxy.count_opened() - opened_before;
    let pauses = usize::try_from(began.elapsed().as_millis() / 500).unwrap();
    db.allow_connections(true);
    while visitor.get("/readyz").await.status != 200 {}

    node.signal("TERM");
    let messages = read_messages(&node.wait_for_exit().1);
    let count = |text: &str| messages.iter().filter(|(_, message)| message.starts_with(text)).count();
    assert!(attempts <= 30 + 2 * pauses, "{attempts} in {pauses} pauses");
    assert_eq!(count("No connection to PostgreSQL"), 1, "{messages:?}");
    assert_eq!(count("PostgreSQL accepts connections again"), 1, "{messages:?}");
    let mut problems = BTreeSet::new();
    for (level, message) in messages.iter().filter(|(level, _)| level == "WARN" || level == "ERROR") {
        assert!(problems.insert(message), "{level} more than once: {message}");
    }
}

#[actix_web::test]
async fn temporary_failure_is_logged_once_with_its_cause() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--log-format", "json", "--sign-up", "open"]);
    let visitor = node.visitor();
    db.before_inserts("clients", "copy (select repeat('x', 100000)) to '/dev/full'");

    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let reply = visitor.post("/register", &account).await;

    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{}", reply.body);
    assert!(!reply.body.contains("space"), "the cause is not shown");
    node.signal("TERM");
    let (_, log) = node.wait_for_exit();
    let causes: Vec<_> = log.lines().filter(|line| line.contains("No space left on device")).collect();
    assert!(matches!(causes[..], [line] if line.contains(reply.header("x-request-id"))), "{log}");
}

/// A temporary data directory, removed on drop.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("uptok-serve-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = uptok_command(arguments);
        command.env("UPTOK_DATA_DIR", &self.0);
        command
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        PrivatePostgres::destroy(&self.0).unwrap();
    }
}

#[actix_web::test]
async fn demo_starts_with_its_own_database_without_settings() {
    let data = DataDir::new();
    let node = Node::spawn(data.command(&["serve", "--demo"]));
    let read_value = |label: &str| {
        let line = node.startup_output.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.trim_start().trim_start_matches(label).split_whitespace().next().unwrap().to_owned()
    };
    let (email, password, client) =
        (read_value("Demo user"), read_value("Password"), read_value("Client ID"));
    let demo = node.visitor();

    demo.post("/login", &[("email", &email), ("password", &password)])
        .await
        .assert_sent_to("/settings/api-keys");

    assert!(demo.get("/sessions").await.html().text(".page-head p").starts_with("240 recorded"));
    assert_eq!(demo.client_id().await, client);
    let url = data.command(&["database-url"]).output().unwrap();
    let url = String::from_utf8(url.stdout).unwrap();
    let second = Node::start(url.trim(), &[]);
    assert_eq!(second.visitor().get("/readyz").await.body, "ready\n");
    second.signal("TERM");
    second.wait_for_exit();
    let users = data.command(&["user", "list"]).output().unwrap();
    assert_eq!(String::from_utf8(users.stdout).unwrap(), format!("{email}\towner\t{client}\n"));
    node.signal("TERM");
    assert_eq!(node.wait_for_exit().0, Some(0));
    let restarted = Node::spawn(data.command(&["serve", "--demo"]));
    assert!(!restarted.startup_output.contains("Password"), "the demo is made on a new database alone");
    restarted.signal("TERM");
    restarted.wait_for_exit();
}

#[test]
fn import_reports_rejected_lines_and_counts() {
    let db = TestDb::new();
    let run_with_stdin = |arguments: &[&str], stdin: &str| {
        let mut process = uptok_command(arguments)
            .env("DATABASE_URL", &db.url)
            .env("UPTOK_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    };
    let user = [
        "user",
        "add",
        "--email",
        "ada@example.org",
        "--name",
        "Ada",
        "--company",
        "Engines",
        "--role",
        "owner",
    ];
    let refused = run_with_stdin(&user, "short\n");
    let added = String::from_utf8(run_with_stdin(&user, "a long enough password\n").stdout).unwrap();
    let client = added.trim().rsplit(' ').next().unwrap().to_owned();
    let csv = "status,channel,createdAt,endedAt\nmissed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\nlost,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";

    let output = run_with_stdin(&["import", "-", "--client", &client], csv);

    assert!(String::from_utf8(refused.stderr).unwrap().contains("at least 15 characters"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "1 created, 0 updated, 0 unchanged, 1 rejected, 1 skipped\n"
    );
    let bad = String::from_utf8(output.stderr).unwrap();
    assert!(
        bad.contains("line 3: status: Use one of completed, missed, abandoned, declined, failed."),
        "{bad}"
    );
}

#[test]
fn keys_are_created_listed_and_deleted_on_the_command_line() {
    let db = TestDb::new();
    let client = db.query_text(
        "insert into clients (client_id, name) values ('cl_0123456789', 'Ada') returning client_id as answer",
    );
    let keys = |arguments: &[&str]| {
        let mut command = uptok_command(&["keys"]);
        command.args(arguments).args(["--client", &client]).env("DATABASE_URL", &db.url);
        let output = command.env("UPTOK_SECRET", SECRET).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };

    let limits = ["--requests-per-minute", "60", "--allow", "127.0.0.1", "--allow", "10.0.0.0/8"];
    let made = keys(
        &[&["create", "--name", "cron job", "--expires", "never", "--scope", "sessions:write"], &limits[..]]
            .concat(),
    );
    let key = made.1.trim_end();
    assert!(made.0 && key.parse::<uptok::api_keys::ClientKey>().is_ok(), "{key}");
    let public = &key[..18];
    assert_eq!(keys(&["list"]).1, format!("{public}\tactive\tnever\tsessions:write\tcron job\n"));
    assert_eq!(
        db.query_text("select requests_per_minute || allowed_networks::text || (created_by is null)::text as answer from api_keys"),
        "60{127.0.0.1/32,10.0.0.0/8}true"
    );
    for (wrong, sentence) in [
        (vec!["create", "--name", "cron job"], "with this name already exists"),
        (vec!["create", "--name", "x", "--scope", "all"], "use one of sessions:read"),
        (vec!["create", "--name", "x", "--allow", "10.0.0.1/8"], "Write 10.0.0.0/8"),
        (vec!["create", "--name", "x", "--expires", "2020-01-01"], "This date is in the past"),
        (vec!["delete", key], "a public key is uptok_ and 12 characters"),
        (vec!["delete", "uptok_000000000000"], "has no key"),
    ] {
        let (is_successful, message) = keys(&wrong);
        assert!(!is_successful && message.contains(sentence), "{message}");
        assert!(!message.contains(&key[19..]), "a secret is said again: {message}");
    }
    assert!(keys(&["delete", public]).1.contains("(cron job) is deleted"));
    assert!(keys(&["delete", public]).1.contains("was already deleted"));
    assert_eq!(keys(&["list"]), (true, String::new()));
}
