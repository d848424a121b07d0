//! The programs in `examples/`. `bin/setup test` installs their languages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{FaultyProxy, ProxyAction, Reply, TestApp, Visitor};

/// The command of an example.
type Program = &'static [String];

static PYTHON: LazyLock<Vec<String>> = LazyLock::new(|| script("python3", "examples/python/export.py"));
static PHP: LazyLock<Vec<String>> = LazyLock::new(|| script("php", "examples/php/export.php"));
static TYPESCRIPT: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = build_folder("typescript");
    let types = absolute("tests/openapi/node_modules/@types");
    let mut compiler = Command::new(absolute("tests/openapi/node_modules/.bin/tsc"));
    build(compiler.args(["--project", "examples/typescript", "--typeRoots", &types, "--outDir", &folder]));
    fs::write(format!("{folder}/package.json"), r#"{"type": "module"}"#).unwrap();
    vec!["node".to_owned(), format!("{folder}/export.js")]
});
static GO: LazyLock<Vec<String>> = LazyLock::new(|| {
    let program = format!("{}/export", build_folder("go"));
    let mut compiler = Command::new("go");
    compiler.args(["build", "-o", &program, "export.go"]).current_dir("examples/go");
    build(compiler.env("CGO_ENABLED", "0").env("GOFLAGS", ""));
    vec![program]
});
static RUST: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = build_folder("rust");
    let mut compiler = Command::new("cargo");
    compiler.args(["build", "--quiet", "--locked", "--manifest-path", "examples/rust/Cargo.toml"]);
    build(compiler.args(["--target-dir", &folder]));
    vec![format!("{folder}/debug/uptok-export-example")]
});

fn script(interpreter: &str, path: &str) -> Vec<String> {
    vec![interpreter.to_owned(), absolute(path)]
}

fn absolute(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

fn build_folder(name: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn build(compiler: &mut Command) {
    let output = compiler.output().unwrap_or_else(|error| panic!("{compiler:?}: {error}"));
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}{error}");
}

/// A client with 2300 sessions that have not changed for months, and a file to export them to.
struct Export {
    app: TestApp,
    visitor: Visitor,
    key: String,
    program: Program,
    file: PathBuf,
}

impl Export {
    async fn new(program: &'static LazyLock<Vec<String>>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = actix_web::web::block(|| LazyLock::force(program).as_slice()).await.unwrap();
        let app = TestApp::start().await;
        let visitor = app.sign_up("ada").await;
        app.record(&visitor.client_id().await, 2300);
        app.db.change_sessions(
            "update sessions set updated_at = '2026-01-01T00:00:00.120Z', currency = 'EUR', \
             order_value_minor = (9007199254740993 + sequence) * case when sequence % 2 = 0 then 1 else -1 end, \
             notes = E'{\"a\": [1]} \\\\ \\n 東京 🦀', tags = '{vip,\"a}\\\"{b\"}'",
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("uptok-export-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let key = visitor.generate_recorder("export").await;
        Self { app, visitor, key, program, file: folder.join("sessions.ndjson") }
    }

    fn command(&self, url: &str, key: &str) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg(&self.file).env("UPTOK_URL", url).env("UPTOK_API_KEY", key);
        command
    }

    async fn run(&self, url: &str, key: &str) -> Output {
        let mut command = self.command(url, key);
        let output = actix_web::web::block(move || command.output().unwrap()).await.unwrap();
        let printed = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(!printed.concat().contains(&self.key[19..]), "the key is never printed: {printed:?}");
        output
    }

    /// Exports, and returns how many sessions the program says it wrote.
    async fn export(&self, url: &str) -> usize {
        let output = self.run(url, &self.key).await;
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.split(' ').next().unwrap().parse().unwrap()
    }

    /// Runs an export that fails, and returns the sentence that says why.
    async fn fail(&self, url: &str, key: &str) -> String {
        let output = self.run(url, key).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let sentence = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty() && sentence.lines().count() == 1, "{sentence}");
        assert!(sentence.starts_with("The export stopped and can be started again: "), "{sentence}");
        assert!(sentence.ends_with(".\n") && !sentence.trim_end().contains(". "), "{sentence}");
        sentence
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts that the last line of each session is what the API returns.
    async fn assert_is_current(&self) {
        let request = self.visitor.request(Method::GET, "/api/sessions.ndjson").bearer_auth(&self.key);
        let current = Reply::read(request.send().await.unwrap()).await.body;
        let by_id = |sessions: Vec<Value>| -> BTreeMap<String, Value> {
            sessions.into_iter().map(|it| (it["sessionId"].as_str().unwrap().to_owned(), it)).collect()
        };
        let current = by_id(current.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
        assert!(by_id(self.lines()) == current, "the file differs from the API");
    }

    async fn record_one(&self) {
        let session = json!({"externalId": "new", "status": "missed", "channel": "chat",
            "createdAt": "2026-10-01T10:00:00Z", "endedAt": "2026-10-01T10:00:30Z"});
        let request = self.visitor.request(Method::POST, "/api/sessions").bearer_auth(&self.key);
        assert_eq!(request.json(&session).send().await.unwrap().status(), 200);
    }

    /// Waits until the saved progress contains this text.
    async fn wait_for_progress(&self, text: &str) {
        let progress = PathBuf::from(format!("{}.progress", self.file.display()));
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&progress).is_ok_and(|saved| saved.contains(text)) {
            assert!(Instant::now() < deadline, "no {text} in {}", progress.display());
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        fs::remove_dir_all(self.file.parent().unwrap()).unwrap();
    }
}

async fn check_everything_is_exported_and_then_only_changes(export: Export) {
    let url = export.app.url.clone();
    assert_eq!(export.export(&url).await, 2300);
    assert_eq!(export.lines().len(), 2300, "each session once");
    export.assert_is_current().await;

    export.app.db.change_sessions(
        "update sessions set notes = 'changed', updated_at = now() where sequence in (5, 2200)",
    );
    export.record_one().await;
    assert_eq!(export.export(&url).await, 3);
    export.assert_is_current().await;
}

async fn check_a_killed_export_continues_where_it_was(export: Export) {
    let proxy = FaultyProxy::start(&export.app.url, &[ProxyAction::Forward, ProxyAction::KeepSilent]);
    let mut command = export.command(&proxy.url, &export.key);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    export.wait_for_progress("s1000").await;
    process.kill().unwrap();
    process.wait().unwrap();
    // As if it had been killed while it wrote a page.
    let mut written = fs::read(&export.file).unwrap();
    written.extend(b"{\"sessionId\":\"half of a");
    fs::write(&export.file, written).unwrap();

    assert_eq!(export.export(&export.app.url).await, 1300);

    assert_eq!(export.lines().len(), 2300);
    export.assert_is_current().await;
}

async fn check_it_waits_as_retry_after_says(export: Export) {
    let actions = &[ProxyAction::Refuse(503, "1"), ProxyAction::Refuse(429, "2"), ProxyAction::Forward];
    let proxy = FaultyProxy::start(&export.app.url, actions);

    assert_eq!(export.export(&proxy.url).await, 2300);

    let arrivals = proxy.arrivals();
    assert_eq!(arrivals.len(), 5);
    assert!(arrivals[1] - arrivals[0] >= Duration::from_secs(1));
    assert!(arrivals[2] - arrivals[1] >= Duration::from_secs(2));
}

async fn check_failures_end_with_one_sentence(export: Export) {
    let url = export.app.url.clone();
    let boxes = [("name", "weak"), ("chooseScopes", "yes"), ("sessions:write", "yes")];
    let weak = export.visitor.post("/settings/api-keys", &boxes).await.html().text("[data-whole-key-text]");

    let refused = export.fail(&url, &weak).await;
    assert!(refused.contains("This key does not have the scope sessions:read (HTTP 403)"), "{refused}");
    assert!(export.fail(&url, "uptok_x\u{e9}").await.contains("UPTOK_API_KEY"));
    assert!(export.fail(&url, "").await.contains("UPTOK_API_KEY"));
    assert!(export.fail("http://127.0.0.1:1", &export.key).await.contains("cannot be reached"));
    assert!(export.fail("127.0.0.1", &export.key).await.contains("UPTOK_URL"));
    for (actions, requests, status) in [
        (&[ProxyAction::Refuse(503, "0")], 5, "HTTP 503"),
        (&[ProxyAction::Refuse(429, "0")], 5, "HTTP 429"),
        (&[ProxyAction::Refuse(429, "301")], 1, "HTTP 429"),
        (&[ProxyAction::Refuse(302, "0")], 1, "HTTP 302"),
    ] {
        let proxy = FaultyProxy::start(&url, actions);
        let refused = export.fail(&proxy.url, &export.key).await;
        assert!(refused.contains("(key)") && refused.contains(status), "{refused}");
        assert_eq!(proxy.arrivals().len(), requests, "{status}");
    }
    let proxy = FaultyProxy::start(&url, &[ProxyAction::Forward, ProxyAction::CutOff]);
    let broken_off = export.fail(&proxy.url, &export.key).await;
    assert!(broken_off.contains("the answer broke off"), "{broken_off}");

    assert_eq!(export.export(&url).await, 1300);
    export.assert_is_current().await;
}

macro_rules! tests_of_examples {
    ($($language:ident: $program:ident;)*) => {$(
        mod $language {
            use super::*;

            #[actix_web::test]
            async fn everything_is_exported_and_then_only_changes() {
                check_everything_is_exported_and_then_only_changes(Export::new(&$program).await).await;
            }

            #[actix_web::test]
            async fn a_killed_export_continues_where_it_was() {
                check_a_killed_export_continues_where_it_was(Export::new(&$program).await).await;
            }

            #[actix_web::test]
            async fn it_waits_as_retry_after_says() {
                check_it_waits_as_retry_after_says(Export::new(&$program).await).await;
            }

            #[actix_web::test]
            async fn failures_end_with_one_sentence() {
                check_failures_end_with_one_sentence(Export::new(&$program).await).await;
            }
        }
    )*};
}

tests_of_examples! {
    python: PYTHON;
    typescript: TYPESCRIPT;
    php: PHP;
    go: GO;
    rust: RUST;
}

#[test]
fn versions_in_the_examples_are_those_of_the_tests() {
    let example = fs::read_to_string("examples/typescript/package.json").unwrap();
    let tests = fs::read_to_string("tests/openapi/package.json").unwrap();
    for package in ["typescript", "@types/node"] {
        let find =
            |text: &str| serde_json::from_str::<Value>(text).unwrap()["devDependencies"][package].clone();
        assert_eq!(find(&example), find(&tests), "{package}");
    }
}
