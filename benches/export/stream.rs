//! Everything as a file, beside what psql makes of the same columns.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use tokio::process::Command;
use uptok::sessions::COLUMNS;

use super::{
    database::Filled,
    load::{Load, median},
    scenario::{Bar, Compared},
    server::Server,
};

/// How often the stream and psql take turns.
const ROUNDS: usize = 3;
/// Memory is compared with what it is after so many bytes.
const SETTLED_BYTES: u64 = 20_000_000;

/// How the streams do, three figures.
pub(crate) async fn measure(load: &Load, server: &Server, filled: &Filled) -> anyhow::Result<Vec<Compared>> {
    let mut ratios = Vec::new();
    let mut growth: f64 = 0.0;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let ours = streamed(server, filled, "csv").await?;
        let theirs = copied(load, filled).await?;
        rates.push(ours.bytes_per_second / 1e6);
        ratios.push(ours.bytes_per_second / theirs);
        growth = growth.max(ours.growth);
    }
    growth = growth.max(streamed(server, filled, "ndjson").await?.growth);
    Ok(vec![
        Compared {
            name: format!("CSV of everything ({:.0} MB/s) ÷ psql's \\copy", median(rates)),
            value: median(ratios),
            bar: Bar::AtLeast(0.7),
        },
        Compared {
            name: "MiB that memory grows in a stream".to_owned(),
            value: growth,
            bar: Bar::AtMost(16.0),
        },
    ])
}

struct Streamed {
    bytes_per_second: f64,
    /// By so many MiB the server's memory was above what it was when the stream had settled.
    growth: f64,
}

async fn streamed(server: &Server, filled: &Filled, format: &str) -> anyhow::Result<Streamed> {
    let begin = Instant::now();
    let key = filled.key.expose();
    let form = reqwest::multipart::Form::new().text("clientKey", key).text("format", format.to_owned());
    let reply = reqwest::Client::new().post(server.url()).multipart(form).send().await?;
    ensure!(reply.status() == 200, "the stream answered {}", reply.status());
    let memory = || server.memory().map_or(0.0, |memory| memory.now);
    let (mut bytes, mut lines, mut looked) = (0_u64, 0_usize, begin);
    let (mut settled, mut most) = (None, 0.0_f64);
    let mut stream = reply.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        bytes += u64::try_from(chunk.len())?;
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
        if bytes > SETTLED_BYTES && looked.elapsed() > Duration::from_millis(100) {
            looked = Instant::now();
            settled = settled.or_else(|| Some(memory()));
            most = most.max(memory());
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let expected = usize::try_from(filled.sessions)? + usize::from(format == "csv");
    ensure!(lines == expected, "the stream has {lines} lines instead of {expected}");
    let growth = settled.map_or(0.0, |settled| most - settled);
    Ok(Streamed { bytes_per_second: f64::from(u32::try_from(bytes)?) / seconds, growth })
}

/// What psql makes of the same columns, in bytes per second.
async fn copied(load: &Load, filled: &Filled) -> anyhow::Result<f64> {
    let columns: Vec<String> = COLUMNS.iter().map(|name| in_sql(name)).collect();
    let copy = format!(
        "\\copy (select {} from sessions where client_id = '{}' order by sequence) to program 'wc -c' with (format csv)",
        columns.join(", "),
        filled.credentials.client
    );
    let begin = Instant::now();
    let mut psql = Command::new(&load.programs.psql);
    psql.args(["--no-psqlrc", "--quiet", "--command", &copy, load.database_url()]);
    let said = load.run(&mut psql).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let bytes: u32 = said.trim().parse().with_context(|| format!("psql said {said}"))?;
    Ok(f64::from(bytes) / seconds)
}

/// `createdAt` is `created_at` there.
fn in_sql(name: &str) -> String {
    let letter = |letter: char| {
        let before = if letter.is_ascii_uppercase() { "_" } else { "" };
        format!("{before}{}", letter.to_ascii_lowercase())
    };
    name.chars().map(letter).collect()
}
