//! `/metrics`: the text format, the values, and what the documents and the dashboard say about them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    sessions::import_pages::{upload_accepted, wait_until_settled},
    support::{Reply, SmtpServer, TestApp, Visitor},
};

/// A node with metrics.
struct MeasuredApp {
    app: TestApp,
    metrics: Visitor,
}

impl MeasuredApp {
    async fn start(arguments: &[&str]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let app = TestApp::start_with(&[&["--metrics-listen", &address], arguments].concat()).await;
        Self { app, metrics: Visitor::new(&format!("http://{address}")) }
    }

    async fn read(&self) -> String {
        let reply = self.metrics.get("/metrics").await;
        assert_eq!(reply.status, 200);
        reply.body
    }

    /// The value of the sample with this name and these labels, as text.
    async fn value(&self, sample: &str) -> String {
        let text = self.read().await;
        let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{sample} is missing:\n{text}")).to_owned()
    }

    /// Waits until the sample has a value for which this holds.
    async fn wait_for(&self, sample: &str, holds: impl Fn(&str) -> bool) {
        while !holds(&self.value(sample).await) {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A metric as the parser of Prometheus' Python client reads it.
#[derive(Debug, serde::Deserialize)]
struct ParsedMetric {
    name: String,
    #[serde(rename = "type")]
    metric_type: String,
    help: String,
    labels: Vec<String>,
}

/// Fails if the text is not valid.
fn parse(text: &str) -> Vec<ParsedMetric> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let mut python = Command::new(target.join("schemathesis/bin/python"))
        .arg("tests/metrics/parse.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[actix_web::test]
async fn the_text_is_valid_and_the_operations_page_has_a_row_for_every_metric() {
    let node = MeasuredApp::start(&[]).await;
    node.app.visitor().get("/login").await;

    let reply = node.metrics.get("/metrics").await;

    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4");
    let rows: Vec<String> = parse(&reply.body)
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            format!("| `{}` | {} | {labels} | {} |", metric.name, metric.metric_type, metric.help)
        })
        .collect();
    let table = format!("| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n{}\n", rows.join("\n"));
    let page = fs::read_to_string("docs/operations.md").unwrap();
    assert!(page.contains(&format!("\n\n{table}\n")), "docs/operations.md needs this table:\n\n{table}");
}

/// The names of metrics in the queries of the dashboard.
fn names_in_dashboard() -> BTreeSet<String> {
    let text = fs::read_to_string("docs/grafana/uptok.json").unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 20, "{queries:?}");
    let words =
        queries.iter().flat_map(|query| query.split(|it: char| !it.is_ascii_alphanumeric() && it != '_'));
    let names = words.filter(|word| word.starts_with("uptok_"));
    let histogram = |name: &str| name.trim_end_matches("_bucket").trim_end_matches("_count").to_owned();
    names.map(histogram).collect()
}

#[actix_web::test]
async fn the_dashboard_shows_every_metric_and_no_other() {
    let node = MeasuredApp::start(&[]).await;
    node.app.visitor().get("/login").await;

    let metrics = parse(&node.read().await).into_iter().map(|metric| metric.name).collect();

    assert_eq!(names_in_dashboard(), metrics);
}

#[actix_web::test]
async fn requests_are_counted_by_the_pattern_of_their_path_and_name_nobody() {
    let node = MeasuredApp::start(&[]).await;
    let ada = node.app.sign_up("ada").await;
    let (key, client) = (ada.generate("laptop").await, ada.client_id().await);
    let count = |method: &str, route: &str, class: &str| {
        format!(
            "uptok_http_request_duration_seconds_count{{method=\"{method}\",route=\"{route}\",status_class=\"{class}\"}}"
        )
    };
    let get = async |path: &str| {
        Reply::read(ada.request(reqwest::Method::GET, path).bearer_auth(&key).send().await.unwrap()).await
    };
    for _ in 0..3 {
        assert_eq!(get("/api/sessions").await.status, 200);
    }
    assert_eq!(get("/api/sessions/0193e2f0-0000-7000-8000-000000000000").await.status, 404);
    assert_eq!(get("/no/such/page?secret=word").await.status, 404);
    let made_up = reqwest::Method::from_bytes(b"MADEUP").unwrap();
    ada.request(made_up, "/login").send().await.unwrap();

    assert_eq!(node.value(&count("GET", "/api/sessions", "2xx")).await, "3");
    assert_eq!(node.value(&count("GET", "/api/sessions/{sessionId}", "4xx")).await, "1");
    assert_eq!(node.value(&count("GET", "-", "4xx")).await, "1");
    let text = node.read().await;
    let public_key = &key[..18];
    for secret in [public_key, &client, "127.0.0.1", "0193e2f0", "no/such", "word", "MADEUP", "ada"] {
        assert!(!text.contains(secret), "{secret}:\n{text}");
    }
}

#[actix_web::test]
async fn refusals_are_counted_by_limit() {
    // The registration is the only attempt to log in that is allowed.
    let arguments = ["--bad-keys-per-minute", "1", "--logins-per-minute", "1"];
    let node = MeasuredApp::start(&arguments).await;
    let key = node.app.sign_up("ada").await.generate("laptop").await;
    node.app.db.execute("update api_keys set requests_per_minute = 1");
    let visitor = node.app.visitor();
    for _ in 0..2 {
        node.app.export(&[("clientKey", &key)]).await;
        node.app.export(&[("clientKey", "uptok_typo")]).await;
        visitor.post("/login", &[("email", "ada@example.org"), ("password", "wrong")]).await;
    }
    for _ in 0..6 {
        visitor.post("/questions", &[]).await;
    }

    for (limit, count) in
        [("key", "1"), ("bad_keys", "1"), ("login_address", "2"), ("login_account", "0"), ("questions", "1")]
    {
        let sample = format!("uptok_rate_limit_refusals_total{{limit=\"{limit}\"}}");
        assert_eq!(node.value(&sample).await, count, "{limit}");
    }
}

#[actix_web::test]
async fn mail_is_counted() {
    let smtp = SmtpServer::start();
    let node = MeasuredApp::start(&smtp.settings()).await;
    node.app.sign_up("ada").await.post("/password/forgot", &[("email", "ada@example.org")]).await;
    smtp.next().await;

    node.wait_for("uptok_mail_attempts_total{result=\"sent\"}", |sent| sent == "1").await;
    node.wait_for("uptok_outbox_waiting", |waiting| waiting == "0").await;
    let later = "update outbox set sent_at = null, content = '', next_attempt_at = now() + interval '1 day'";
    node.app.db.execute(later);
    assert_eq!(node.value("uptok_outbox_waiting").await, "1");
    assert_eq!(node.value("uptok_mail_attempts_total{result=\"failed\"}").await, "0");
}

#[actix_web::test]
async fn imports_are_counted() {
    let node = MeasuredApp::start(&[]).await;
    let ada = node.app.sign_up("ada").await;
    let file = "externalId,status,channel,createdAt,endedAt\n\
                a,missed,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n\
                b,lost,chat,2026-01-01T10:00:00Z,2026-01-01T10:00:30Z\n";
    let address = upload_accepted(&ada, "calls.csv", file).await;
    wait_until_settled(&ada, &address).await;
    assert_eq!(node.value("uptok_import_lines_total{result=\"created\"}").await, "0", "it was only checked");

    ada.post(&format!("{address}/start"), &[]).await.assert_sent_to(&address);
    node.wait_for("uptok_imports_finished_total{result=\"done\"}", |done| done == "1").await;

    for (result, lines) in [("created", "1"), ("rejected", "1"), ("skipped", "1"), ("updated", "0")] {
        let sample = format!("uptok_import_lines_total{{result=\"{result}\"}}");
        assert_eq!(node.value(&sample).await, lines, "{result}");
    }
    node.app.db.execute(
        "update imports set state = 'importing', worker = '0198c0de-0000-7000-8000-000000000000', heartbeat_at = now() + interval '1 day'",
    );
    assert_eq!(node.value("uptok_imports_waiting").await, "1");
}

#[actix_web::test]
async fn metrics_are_read_while_postgresql_is_away() {
    let node = MeasuredApp::start(&[]).await;
    assert_eq!(node.value("uptok_imports_waiting").await, "0");
    let key = node.app.sign_up("ada").await.generate("laptop").await;
    assert_eq!(node.app.export(&[("clientKey", &key)]).await.status, 200);
    node.app.db.allow_connections(false);
    node.app.db.terminate_connections();

    assert_eq!(node.value("uptok_imports_waiting").await, "NaN");
    assert_eq!(node.value("uptok_outbox_waiting").await, "NaN");
    node.wait_for("uptok_database_connect_failures_total", |failures| failures != "0").await;
    node.wait_for("uptok_usage_flush_failures_total", |failures| failures != "0").await;
    let seconds = |text: &str| text.parse::<f64>().unwrap();
    let lag = seconds(&node.value("uptok_usage_flush_lag_seconds").await);
    node.wait_for("uptok_usage_flush_lag_seconds", |later| seconds(later) > lag).await;

    node.app.db.allow_connections(true);
    node.wait_for("uptok_imports_waiting", |waiting| waiting == "0").await;
}

#[actix_web::test]
async fn metrics_are_served_on_their_own_address_only() {
    let node = MeasuredApp::start(&[]).await;

    assert_eq!(node.app.visitor().get("/metrics").await.status, 404);
    for path in ["/", "/login", "/livez", "/api/sessions", "/metrics/x"] {
        assert_eq!(node.metrics.get(path).await.status, 404, "{path}");
    }
    let post = node.metrics.request(reqwest::Method::POST, "/metrics").send().await.unwrap();
    assert_eq!(post.status(), 405);
}
