//! The memory of the server under loads that could exhaust it, each on a server of its own with default settings.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::{
    StreamExt as _,
    future::{join, join3, try_join_all},
    stream,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout_at},
};

use super::{
    database::{BenchDatabase, MeasuredClient},
    load::LoadTest,
    print_line,
    scenario::Scenario,
    server::ServerProcess,
};

/// Time after a load until memory is read again.
const RECOVERY: Duration = Duration::from_secs(30);
/// Maximum memory of the server under a single load other than password guessing, in MiB.
const MAX_MIB: f64 = 128.0;
/// Maximum memory of the server under all loads at the same time, in MiB.
const MAX_MIXED_MIB: f64 = 192.0;
/// Memory of one password hash, in MiB.
const HASH_MIB: f64 = 19.0;
/// How much more than before a load the server may use for other things than hashes, and afterwards, in MiB.
const SPARE_MIB: f64 = 20.0;
/// Default of `UPTOK_PAGE_CACHE_MIB`: what the server may keep of the pages that a load has read.
const PAGE_CACHE_MIB: f64 = 32.0;

#[derive(Clone, Copy, PartialEq)]
enum Load {
    /// Clients that guess passwords, each time from another address and for another account.
    Guesses,
    /// Connections that read pages of 1000 sessions.
    LargePages,
    /// Clients that read everything as CSV.
    Streams,
    /// Batches of 1000 sessions, half of them at a time.
    Batches,
    /// Clients that request everything as CSV and read nothing.
    UnreadStreams,
    /// A quarter of each, at the same time.
    Mixed,
}

impl Load {
    const ALL: [Self; 6] =
        [Self::Guesses, Self::LargePages, Self::Streams, Self::Batches, Self::UnreadStreams, Self::Mixed];

    fn name(self) -> &'static str {
        match self {
            Self::Guesses => "60 clients guessing passwords",
            Self::LargePages => "64 connections at perPage=1000",
            Self::Streams => "64 streams",
            Self::Batches => "64 batches of 1000 sessions, 32 at a time",
            Self::UnreadStreams => "200 streams that nobody reads",
            Self::Mixed => "a quarter of each at the same time",
        }
    }
}

/// Memory of the server in MiB.
struct MemoryUse {
    load: Load,
    /// After one login and one export.
    before: f64,
    peak: f64,
    /// [`RECOVERY`] after the load.
    after: f64,
}

impl MemoryUse {
    fn max_peak(&self) -> f64 {
        let hashes = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let hashes = f64::from(u32::try_from(hashes).unwrap_or(u32::MAX));
        match self.load {
            Load::Guesses => self.before + hashes * HASH_MIB + SPARE_MIB,
            Load::Mixed => MAX_MIXED_MIB,
            _ => MAX_MIB,
        }
    }

    fn max_after(&self) -> f64 {
        let kept_pages =
            if matches!(self.load, Load::LargePages | Load::Mixed) { PAGE_CACHE_MIB } else { 0.0 };
        self.before + SPARE_MIB + kept_pages
    }
}

impl fmt::Display for MemoryUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { load, before, peak, after } = self;
        let bar = |is_met: bool| if is_met { "" } else { ": over the bar" };
        write!(
            formatter,
            "{:44} {before:>6.0} {peak:>6.0} (at most {:.0}{}) {after:>6.0} (at most {:.0}{})",
            load.name(),
            self.max_peak(),
            bar(*peak <= self.max_peak()),
            self.max_after(),
            bar(*after <= self.max_after())
        )
    }
}

/// Prints the memory under each load.
pub(crate) async fn measure(
    database: &BenchDatabase,
    measured_client: &MeasuredClient,
    load_test: &LoadTest,
    seconds: u32,
) -> anyhow::Result<()> {
    print_line(&format!(
        "\n{:44} {:>6} {:>6} {:>27}",
        "MiB of server memory", "before", "peak", "30 s after"
    ))?;
    for load in Load::ALL {
        // Any address that a guess claims to come from is believed.
        let server = ServerProcess::start(database, "memory", &[("UPTOK_TRUSTED_PROXIES", "127.0.0.1")])?;
        server.check_when_ready(&measured_client.key, measured_client.sessions).await?;
        let http = Client::new();
        let attack = Attack { server: &server, measured_client, load_test, http, seconds };
        print_line(&attack.measure(load).await?.to_string())?;
    }
    Ok(())
}

struct Attack<'a> {
    server: &'a ServerProcess,
    measured_client: &'a MeasuredClient,
    load_test: &'a LoadTest,
    http: Client,
    /// Duration of the load, except for the batches.
    seconds: u32,
}

impl Attack<'_> {
    async fn measure(&self, load: Load) -> anyhow::Result<MemoryUse> {
        // The server has answered an export when it became ready.
        self.guess(0).send().await?;
        let before = self.server.resident_mib().context("cannot read the memory of the server from /proc")?;
        self.run(load).await?;
        let peak =
            self.server.peak_resident_mib().context("cannot read the memory of the server from /proc")?;
        sleep(RECOVERY).await;
        let after = self.server.resident_mib().context("the server has ended")?;
        Ok(MemoryUse { load, before, peak, after })
    }

    async fn run(&self, load: Load) -> anyhow::Result<()> {
        match load {
            Load::Guesses => self.guess_passwords(60).await,
            Load::LargePages => self.read_large_pages(64).await,
            Load::Streams => self.read_streams(64).await,
            Load::Batches => self.record_batches(64).await,
            Load::UnreadStreams => self.ignore_streams(200).await,
            Load::Mixed => {
                let reads = join3(self.read_large_pages(16), self.read_streams(16), self.ignore_streams(50));
                let writes = join(self.guess_passwords(15), self.record_batches(16));
                let ((pages, streams, unread), (guesses, batches)) = join(reads, writes).await;
                pages.and(streams).and(unread).and(guesses).and(batches)
            }
        }
    }

    fn end(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds.into())
    }

    /// Ignores the answers: most say that the server is busy.
    async fn guess_passwords(&self, clients: u32) -> anyhow::Result<()> {
        let end = self.end();
        let guess = async |client: u32| {
            let mut number = client;
            while Instant::now() < end {
                number += clients;
                let _answer = self.guess(number).send().await?.bytes().await?;
            }
            anyhow::Ok(())
        };
        try_join_all((0..clients).map(guess)).await.map(drop)
    }

    fn guess(&self, number: u32) -> RequestBuilder {
        let [_, a, b, c] = number.to_be_bytes();
        let email = format!("nobody{number}@example.org");
        let form = [("email", email.as_str()), ("password", "a wrong guess of a password")];
        self.http
            .post(self.server.address("/login"))
            .header("X-Forwarded-For", format!("10.{a}.{b}.{c}"))
            .header("Sec-Fetch-Site", "same-origin")
            .form(&form)
    }

    async fn read_large_pages(&self, connections: u32) -> anyhow::Result<()> {
        let pages = (self.measured_client.sessions / 1000).max(1);
        let scenario = Scenario { pages, per_page: 1000, connections, page_cache: true, min_ratio: 0.0 };
        self.load_test.run_wrk(&scenario, self.server, self.seconds).await.map(drop)
    }

    async fn read_streams(&self, clients: usize) -> anyhow::Result<()> {
        let end = self.end();
        let read = async |_client| {
            let mut bytes = self.request_csv().await?.bytes_stream();
            while let Ok(Some(chunk)) = timeout_at(end.into(), bytes.next()).await {
                chunk?;
            }
            anyhow::Ok(())
        };
        try_join_all((0..clients).map(read)).await.map(drop)
    }

    async fn request_csv(&self) -> anyhow::Result<reqwest::Response> {
        let key = self.measured_client.key.expose();
        let form = [("clientKey", key.as_str()), ("format", "csv")];
        let answer = self.http.post(self.server.export_url()).form(&form).send().await?;
        ensure!(answer.status() == StatusCode::OK, "a stream answered {}", answer.status());
        Ok(answer)
    }

    async fn ignore_streams(&self, clients: usize) -> anyhow::Result<()> {
        let streams: Vec<TcpStream> = try_join_all((0..clients).map(|_| self.open_unread())).await?;
        sleep(Duration::from_secs(self.seconds.into())).await;
        drop(streams);
        Ok(())
    }

    /// Sends a request and reads no more than the status line.
    async fn open_unread(&self) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(2048)?;
        let mut stream = socket.connect(self.server.socket_address().parse()?).await?;
        let form = format!("clientKey={}&format=csv", self.measured_client.key.expose());
        let head = "POST /api/sessions/export-csv-data HTTP/1.1\r\nHost: uptok\r\n\
                    Content-Type: application/x-www-form-urlencoded";
        let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len());
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        ensure!(&status == b"HTTP/1.1 200", "a stream answered {}", String::from_utf8_lossy(&status));
        Ok(stream)
    }

    /// Records `count` batches of the first 1000 sessions, each as new sessions of the recording client.
    async fn record_batches(&self, count: usize) -> anyhow::Result<()> {
        let sessions = self.first_sessions().await?;
        // All before the first is sent: the server does not wait long for a body.
        let bodies: Vec<String> = (0..count).map(|number| batch(&sessions, number)).collect();
        let record = async |body: String| {
            let request = self.http.post(self.server.address("/api/sessions")).body(body);
            let request = request.header("Content-Type", "application/json");
            let answer = request.bearer_auth(self.measured_client.recorder.expose()).send().await?;
            let status = answer.status();
            ensure!(status == StatusCode::OK, "a batch answered {status}: {}", answer.text().await?);
            anyhow::Ok(())
        };
        let answers: Vec<_> = stream::iter(bodies).map(record).buffer_unordered(count / 2).collect().await;
        answers.into_iter().collect()
    }

    async fn first_sessions(&self) -> anyhow::Result<Vec<Value>> {
        let key = self.measured_client.key.expose();
        let form = [("clientKey", key.as_str()), ("perPage", "1000")];
        let mut page: Value =
            self.http.post(self.server.export_url()).form(&form).send().await?.json().await?;
        serde_json::from_value(page["data"].take()).context("the export has no sessions")
    }
}

/// The sessions as JSON, under the ids of batch `number`.
fn batch(sessions: &[Value], number: usize) -> String {
    let mut sessions = sessions.to_vec();
    for (index, session) in sessions.iter_mut().enumerate() {
        if let Value::Object(fields) = session {
            fields.remove("sessionId");
            fields.insert("externalId".to_owned(), format!("batch-{number}-{index}").into());
        }
    }
    Value::Array(sessions).to_string()
}
