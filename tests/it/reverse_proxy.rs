//! The configurations of nginx and HAProxy in `docs/operations.md`, with the real programs.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all};
use reqwest::Method;

use crate::{
    serve::Node,
    support::{Reply, TestApp, TestDb, Visitor, test_app::PASSWORD},
};

/// Runs a program that Debian installs where only root looks.
fn proxy_command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The first block of this language in `docs/operations.md`.
fn documented(language: &str) -> &'static str {
    let page = include_str!("../../docs/operations.md");
    page.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap()
}

/// An nginx on its own port, killed on drop.
struct Nginx {
    process: Child,
    directory: PathBuf,
    url: String,
}

impl Nginx {
    /// Starts the documented configuration in front of `app`, without TLS.
    async fn start(app: &TestApp) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let directory = std::env::temp_dir().join(format!("uptok-nginx-{}", address.replace(':', "-")));
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("nginx.conf"), Self::configuration(&address, app.address())).unwrap();
        let mut command = proxy_command("nginx");
        command.args(["-e", "error.log", "-c", "nginx.conf", "-p"]).arg(&directory);
        let process = command.spawn().unwrap();
        let nginx = Self { process, directory, url: format!("http://{address}") };
        while TcpStream::connect(&address).is_err() {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        nginx
    }

    fn configuration(listen: &str, upstream: &str) -> String {
        let server = documented("nginx")
            .lines()
            .filter(|line| !line.trim_start().starts_with("ssl_"))
            .collect::<Vec<_>>()
            .join("\n")
            .replace("443 ssl", listen)
            .replace("127.0.0.1:8080", upstream);
        assert!(server.contains(listen) && server.contains(upstream), "{server}");
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let paths = paths.map(|name| format!("{name}_temp_path {name};\n")).concat();
        format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{server}\n}}\n"
        )
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

#[actix_web::test]
async fn download_through_nginx_is_whole_or_fails() {
    let app = TestApp::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    let ada = app.sign_up("ada").await;
    let key = ada.generate("laptop").await;
    app.db.change_sessions(
        "insert into sessions (client_id, sequence, session_id, status, channel, created_at, ended_at, notes) \
         select client_id, n, gen_random_uuid(), 'missed', 'chat', now(), now(), repeat('long ', 500) \
         from clients, generate_series(1, 20000) n",
    );
    let nginx = Nginx::start(&app).await;
    let form = [("clientKey", key.as_str()), ("format", "csv")];
    let download = async || {
        let path = "/api/sessions/export-csv-data";
        Visitor::new(&nginx.url).request(Method::POST, path).form(&form).send().await.unwrap().bytes_stream()
    };

    let whole: usize =
        download().await.map(|bytes| bytes.unwrap().len()).fold(0, async |sum, it| sum + it).await;
    let mut stream = download().await;
    stream.next().await.unwrap().unwrap();
    ada.post(&format!("/settings/api-keys/{}/delete", &key[..18]), &[]).await;
    let rest: Vec<_> = stream.collect().await;

    assert!(whole > 50_000_000, "{whole}");
    assert!(rest.last().unwrap().is_err(), "a part looks like the whole file");
}

/// A HAProxy on its own port, killed on drop.
struct HaProxy {
    process: Child,
    file: PathBuf,
    url: String,
}

impl HaProxy {
    /// Starts the documented configuration in front of two nodes, without TLS.
    fn start(nodes: [&Node; 2]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let configuration = documented("haproxy")
            .replace(":443 ssl crt /etc/haproxy/keys.example.org.pem", &address)
            .replace("10.0.0.11:8080", &nodes[0].address)
            .replace("10.0.0.12:8080", &nodes[1].address);
        assert!(
            configuration.contains(&address) && configuration.contains(&nodes[1].address),
            "{configuration}"
        );
        let file = std::env::temp_dir().join(format!("uptok-haproxy-{}.cfg", address.replace(':', "-")));
        fs::write(&file, configuration).unwrap();
        let process = proxy_command("haproxy").arg("-db").arg("-f").arg(&file).spawn().unwrap();
        while TcpStream::connect(&address).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, file, url: format!("http://{address}") }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        fs::remove_file(&self.file).unwrap();
    }
}

#[actix_web::test]
async fn node_that_stops_behind_haproxy_fails_no_request() {
    let db = TestDb::new();
    let settings = ["--sign-up", "open", "--drain-seconds", "5", "--log", "warn"];
    let [first, second] = [(); 2].map(|()| Node::start(&db.url, &settings));
    let haproxy = HaProxy::start([&first, &second]);
    let ada = Visitor::new(&haproxy.url);
    let account = [("name", "Ada"), ("company", "Ada"), ("email", "ada@example.org"), ("password", PASSWORD)];
    ada.post("/register", &account).await.assert_sent_to("/settings/api-keys");
    let key = ada.generate_recorder("laptop").await;
    db.execute("update api_keys set requests_per_minute = 0");
    let send = async |visitor: &Visitor| {
        let session = serde_json::json!({"status": "missed", "channel": "chat", "createdAt": "2026-01-01T10:00:00Z",
            "endedAt": "2026-01-01T10:00:30Z"});
        let recording = visitor.request(Method::POST, "/api/sessions").bearer_auth(&key).json(&session);
        let recorded = Reply::read(recording.send().await.unwrap()).await;
        let export = visitor.request(Method::GET, "/api/sessions?perPage=5").bearer_auth(&key);
        [recorded.status, Reply::read(export.send().await.unwrap()).await.status]
    };

    let stopping = thread::spawn(move || {
        first.signal("TERM");
        first.wait_for_exit()
    });
    let visitors = [(); 4].map(|()| Visitor::new(&haproxy.url));
    let mut statuses = Vec::new();
    while !stopping.is_finished() {
        statuses.extend(join_all(visitors.iter().map(send)).await.concat());
    }
    statuses.extend(join_all(visitors.iter().map(send)).await.concat());

    assert_eq!(stopping.join().unwrap(), (Some(0), String::new()));
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let recorded = db.query_text("select concat(count(*)) as answer from sessions");
    assert_eq!(recorded, (statuses.len() / 2).to_string());
}
