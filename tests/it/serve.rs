//! The binary itself: how it starts, what it refuses, what it logs, and how it stops.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::support::{TestDb, Visitor, test_app::PASSWORD};

const SECRET: &str = "the secret of this test, 32 characters or more";

/// The binary with nothing from our environment but the path to programs.
fn uptok(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// A port that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A node as its own process.
struct Node {
    process: Child,
    address: String,
    said: String,
}

impl Node {
    fn start(database_url: &str, more: &[&str]) -> Self {
        let mut command = uptok(&["serve"]);
        command.args(more).env("DATABASE_URL", database_url).env("UPTOK_SECRET", SECRET);
        Self::spawn(command)
    }

    /// Returns once it says that it is up.
    fn spawn(mut command: Command) -> Self {
        let address = free_address();
        let public_url = format!("http://{address}");
        let mut process = command
            .env("UPTOK_LISTEN", &address)
            .env("UPTOK_PUBLIC_URL", public_url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = String::new();
        for line in lines.by_ref() {
            said += &line;
            said += "\n";
            if line.starts_with("Uptok is at") {
                return Self { process, address, said };
            }
        }
        let log = read_all(process.stderr.take().unwrap());
        panic!("it ended with {}: {said}{log}", process.wait().unwrap());
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn visitor(&self) -> Visitor {
        Visitor::at(&format!("http://{}", self.address))
    }

    /// Waits for the end; returns the exit status and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let log = read_all(self.process.stderr.take().unwrap());
        (self.process.wait().unwrap().code(), log)
    }
}

fn read_all(mut from: impl std::io::Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

/// A request whose body is not whole yet.
fn half_a_request(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /api/sessions/export-csv-data HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nclien";
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The answer of `/readyz` to somebody new.
fn probe(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    read_all(stream)
}

#[test]
fn a_stop_finishes_what_is_being_answered() {
    for signal in ["TERM", "INT"] {
        let db = TestDb::new();
        let node = Node::start(&db.url, &["--drain-seconds", "5", "--log", "debug"]);
        let mut under_way = half_a_request(&node.address);

        node.signal(signal);
        // While it drains, the probe turns.
        let answer = loop {
            let answer = probe(&node.address);
            if !answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
        };
        under_way.write_all(b"tKey=x").unwrap();

        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("stopping\n"), "{answer}");
        assert!(read_all(&under_way).starts_with("HTTP/1.1 401"), "{signal}");
        let (code, log) = node.end();
        assert_eq!(code, Some(0), "{signal}: {log}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--drain-seconds", "60"]);

    node.signal("INT");
    node.signal("INT");
    node.signal("TERM");

    assert_eq!(node.end().0, Some(0));
}

#[actix_web::test]
async fn a_stop_loses_no_count() {
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
        let (code, log) = node.end();

        assert_eq!(code, Some(0), "{log}");
        assert_eq!(db.ask("select sum(requests)::text as answer from key_usage"), counted.to_string());
    }
}

#[test]
fn a_wrong_setting_stops_the_start_with_a_sentence_that_names_it() {
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
        let mut command = uptok(&["serve"]);
        command.env("DATABASE_URL", &db.url).env("UPTOK_SECRET", SECRET).env(name, value);

        let output = command.output().unwrap();

        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(word), "{name}={value}: {said}");
        assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{said}");
        if name != "UPTOK_SECRET" {
            assert!(!said.contains(SECRET));
        }
    }
}

#[test]
fn a_given_database_needs_a_given_secret() {
    let db = TestDb::new();
    let output = uptok(&["serve"]).env("DATABASE_URL", &db.url).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("set UPTOK_SECRET too"));
}

#[test]
fn a_taken_port_is_said() {
    let db = TestDb::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = uptok(&["serve"]);
    command.env("DATABASE_URL", &db.url).env("UPTOK_SECRET", SECRET).env("UPTOK_LISTEN", &address);

    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();

    assert!(
        said.contains(&format!("cannot listen on {address}; choose another with UPTOK_LISTEN")),
        "{said}"
    );
}

#[actix_web::test]
async fn no_secret_reaches_the_log() {
    let db = TestDb::new();
    let node = Node::start(&db.url, &["--log", "debug", "--log-format", "json", "--sign-up", "open"]);
    let ada = node.visitor();
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    let cookie = ada.post("/register", &account).await.header("set-cookie").to_owned();
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
    let (_, log) = node.end();

    let cookie = cookie.split(['=', ';']).nth(1).unwrap();
    for secret in [
        &key[19..],
        PASSWORD,
        "a wrong password, 1",
        cookie,
        &cookie[cookie.len() - 64..],
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

/// A data directory of its own, gone with the test.
struct DataDir(PathBuf);

impl DataDir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("uptok-serve-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = uptok(arguments);
        command.env("UPTOK_DATA_DIR", &self.0);
        command
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[actix_web::test]
async fn without_settings_it_brings_its_own_database_and_a_demo_that_works() {
    let data = DataDir::new();
    let node = Node::spawn(data.command(&["serve", "--demo"]));
    let word = |label: &str| {
        let line = node.said.lines().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.trim_start().trim_start_matches(label).split_whitespace().next().unwrap().to_owned()
    };
    let (email, password, client) = (word("Demo user"), word("Password"), word("Client ID"));
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
    second.end();
    let users = data.command(&["user", "list"]).output().unwrap();
    assert_eq!(String::from_utf8(users.stdout).unwrap(), format!("{email}\towner\t{client}\n"));
    node.signal("TERM");
    assert_eq!(node.end().0, Some(0));
    let again = Node::spawn(data.command(&["serve", "--demo"]));
    assert!(!again.said.contains("Password"), "the demo is made on a new database alone");
    again.signal("TERM");
    again.end();
}

#[test]
fn importing_reports_bad_lines_and_the_counts() {
    let db = TestDb::new();
    let add = |arguments: &[&str], password: &str| {
        let mut process = uptok(arguments)
            .env("DATABASE_URL", &db.url)
            .env("UPTOK_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
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
    let short = add(&user, "short\n");
    let added = String::from_utf8(add(&user, "a long enough password\n").stdout).unwrap();
    let client = added.trim().rsplit(' ').next().unwrap().to_owned();
    let csv = "status,channel,createdAt,endedAt\nmissed,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\nlost,video,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";

    let output = add(&["import", "-", "--client", &client], csv);

    assert!(String::from_utf8(short.stderr).unwrap().contains("at least 15 characters"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1 created, 0 updated, 0 unchanged, 1 rejected\n");
    let bad = String::from_utf8(output.stderr).unwrap();
    assert!(
        bad.contains("line 3: status: Use one of completed, missed, abandoned, declined, failed."),
        "{bad}"
    );
}

#[test]
fn keys_are_made_listed_and_deleted_from_the_command_line() {
    let db = TestDb::new();
    let client = db.ask(
        "insert into clients (client_id, name) values ('cl_0123456789', 'Ada') returning client_id as answer",
    );
    let keys = |arguments: &[&str]| {
        let mut command = uptok(&["keys"]);
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
        db.ask("select requests_per_minute || allowed_networks::text || (created_by is null)::text as answer from api_keys"),
        "60{127.0.0.1/32,10.0.0.0/8}true"
    );
    for (wrong, sentence) in [
        (vec!["create", "--name", "cron job"], "has this name already"),
        (vec!["create", "--name", "x", "--scope", "all"], "use one of sessions:read"),
        (vec!["create", "--name", "x", "--allow", "10.0.0.1/8"], "Write 10.0.0.0/8"),
        (vec!["create", "--name", "x", "--expires", "2020-01-01"], "This day is over"),
        (vec!["delete", key], "a public key is uptok_ and 12 characters"),
        (vec!["delete", "uptok_000000000000"], "never had a key"),
    ] {
        let (is_done, said) = keys(&wrong);
        assert!(!is_done && said.contains(sentence), "{said}");
        assert!(!said.contains(&key[19..]), "a secret is said again: {said}");
    }
    assert!(keys(&["delete", public]).1.contains("(cron job) is deleted"));
    assert!(keys(&["delete", public]).1.contains("was deleted already"));
    assert_eq!(keys(&["list"]), (true, String::new()));
}
