//! The nginx configuration in `docs/operations.md`, with a real nginx.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt as _;
use reqwest::Method;

use crate::support::{TestApp, Visitor};

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
        let mut command = Command::new("nginx");
        // Debian installs it where only root looks.
        command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap()));
        command.args(["-e", "error.log", "-c", "nginx.conf", "-p"]).arg(&directory);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, directory, url: format!("http://{address}") };
        while TcpStream::connect(&address).is_err() {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        nginx
    }

    fn configuration(listen: &str, upstream: &str) -> String {
        let page = include_str!("../../docs/operations.md");
        let documented = page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
        let server = documented
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
