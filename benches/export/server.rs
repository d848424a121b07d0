//! The release binary, started the way docs/operations.md recommends.

use std::{fs, net::TcpListener, path::PathBuf, time::Duration};

use anyhow::{bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use uptok::api_keys::ClientKey;

use super::{
    PER_PAGE,
    database::{BenchDatabase, SECRET},
    process::ChildProcess,
    procfs,
};

/// Killed on drop.
pub(crate) struct ServerProcess {
    process: ChildProcess,
    base_url: String,
    log: PathBuf,
}

/// Turns the page cache off, so that every request reads its page from PostgreSQL.
pub(crate) const PAGE_CACHE_OFF: (&str, &str) = ("UPTOK_PAGE_CACHE_MIB", "0");

/// The first page of the export, after its content was checked.
pub(crate) struct FirstPage {
    /// Length of the response body.
    pub(crate) page_bytes: u32,
}

impl ServerProcess {
    /// Starts a server with `settings` on a free port. It logs to `{name}.log` in the directory of the database.
    pub(crate) fn start(
        database: &BenchDatabase,
        name: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        // SCHED_BATCH, as in the systemd unit of docs/operations.md. chrt execs the server, so it keeps the process ID.
        let mut serve = Command::new("chrt");
        serve
            .args(["--batch", "0", env!("CARGO_BIN_EXE_uptok"), "serve", "--listen", &address])
            .env("DATABASE_URL", database.url())
            .env("UPTOK_SECRET", SECRET)
            .envs(settings.iter().copied());
        // Log to disk, as in production: requests must not get faster because nothing is written.
        let file = format!("{name}.log");
        let process = ChildProcess::start(&mut serve, database.directory(), &file)?;
        let log = database.directory().join(file);
        Ok(Self { process, base_url: format!("http://{address}"), log })
    }

    pub(crate) fn export_url(&self) -> String {
        self.address("/api/sessions/export-csv-data")
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Returns the IP address and port.
    pub(crate) fn socket_address(&self) -> &str {
        self.base_url.trim_start_matches("http://")
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.process.id()
    }

    pub(crate) fn resident_mib(&self) -> Option<f64> {
        procfs::resident_mib(self.process.id().ok()?)
    }

    pub(crate) fn peak_resident_mib(&self) -> Option<f64> {
        procfs::peak_resident_mib(self.process.id().ok()?)
    }

    /// Waits about 10 seconds at most for the server to become ready, then checks the first page.
    ///
    /// # Errors
    /// If it does not become ready, with its log, or if the page is not the expected one.
    pub(crate) async fn check_when_ready(&self, key: &ClientKey, sessions: u32) -> anyhow::Result<FirstPage> {
        for _ in 0..100 {
            if reqwest::get(format!("{}/readyz", self.base_url))
                .await
                .is_ok_and(|reply| reply.status() == 200)
            {
                return self.check_first_page(key, sessions).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the server did not start:\n{}", fs::read_to_string(&self.log)?);
    }

    async fn check_first_page(&self, key: &ClientKey, sessions: u32) -> anyhow::Result<FirstPage> {
        let form = reqwest::multipart::Form::new().text("clientKey", key.expose());
        let reply = reqwest::Client::new().post(self.export_url()).multipart(form).send().await?;
        let (status, body) = (reply.status(), reply.bytes().await?);
        ensure!(status == 200, "the export answered {status}: {}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body)?;
        let rows = answer["data"].as_array().map_or(0, Vec::len);
        ensure!(answer["totalSessions"] == sessions, "totalSessions is {}", answer["totalSessions"]);
        ensure!(rows == usize::try_from(PER_PAGE)?, "the first page has {rows} sessions");
        ensure!(answer["data"][0]["sequence"] == 1, "the first session is {}", answer["data"][0]);
        Ok(FirstPage { page_bytes: u32::try_from(body.len())? })
    }
}
