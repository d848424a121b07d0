//! The export of all sessions as a file, compared with psql's `\copy` of the same columns.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use tokio::process::Command;
use uptok::sessions::SESSION_FIELDS;

use super::{
    database::MeasuredClient,
    load::{LoadTest, median},
    scenario::{Metric, Threshold},
    server::ServerProcess,
};

/// Number of measurements of each.
const ROUNDS: usize = 3;
/// Memory after this many bytes is the baseline, because buffers have reached their size by then.
const WARM_UP_BYTES: u64 = 20_000_000;

/// Returns the rate of the CSV export compared with psql, and the memory growth during a CSV or NDJSON export.
pub(crate) async fn measure(
    load: &LoadTest,
    server: &ServerProcess,
    measured_client: &MeasuredClient,
) -> anyhow::Result<Vec<Metric>> {
    let mut ratios = Vec::new();
    let mut memory_growth_mib: f64 = 0.0;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let export = measure_stream(server, measured_client, "csv").await?;
        let psql = measure_copy(load, measured_client).await?;
        rates.push(export.bytes_per_second / 1e6);
        ratios.push(export.bytes_per_second / psql);
        memory_growth_mib = memory_growth_mib.max(export.memory_growth_mib);
    }
    memory_growth_mib =
        memory_growth_mib.max(measure_stream(server, measured_client, "ndjson").await?.memory_growth_mib);
    Ok(vec![
        Metric {
            name: format!("CSV of all sessions ({:.0} MB/s) ÷ psql's \\copy", median(rates)),
            value: median(ratios),
            threshold: Threshold::AtLeast(0.7),
        },
        Metric {
            name: "MiB of memory growth during a stream".to_owned(),
            value: memory_growth_mib,
            threshold: Threshold::AtMost(16.0),
        },
    ])
}

struct StreamMeasurement {
    bytes_per_second: f64,
    /// Peak of the server's memory during the stream minus the baseline.
    memory_growth_mib: f64,
}

async fn measure_stream(
    server: &ServerProcess,
    measured_client: &MeasuredClient,
    format: &str,
) -> anyhow::Result<StreamMeasurement> {
    let start = Instant::now();
    let key = measured_client.key.expose();
    let form = reqwest::multipart::Form::new().text("clientKey", key).text("format", format.to_owned());
    let reply = reqwest::Client::new().post(server.export_url()).multipart(form).send().await?;
    ensure!(reply.status() == 200, "the stream answered {}", reply.status());
    let memory = || server.resident_mib().unwrap_or(0.0);
    let (mut bytes, mut lines, mut last_sample) = (0_u64, 0_usize, start);
    let (mut baseline, mut peak) = (None, 0.0_f64);
    let mut stream = reply.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        bytes += u64::try_from(chunk.len())?;
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
        if bytes > WARM_UP_BYTES && last_sample.elapsed() > Duration::from_millis(100) {
            last_sample = Instant::now();
            baseline = baseline.or_else(|| Some(memory()));
            peak = peak.max(memory());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let expected = usize::try_from(measured_client.sessions)? + usize::from(format == "csv");
    ensure!(lines == expected, "the stream has {lines} lines instead of {expected}");
    let memory_growth_mib = baseline.map_or(0.0, |baseline| peak - baseline);
    Ok(StreamMeasurement { bytes_per_second: f64::from(u32::try_from(bytes)?) / seconds, memory_growth_mib })
}

/// Returns the bytes per second that psql exports of the same columns.
async fn measure_copy(load: &LoadTest, measured_client: &MeasuredClient) -> anyhow::Result<f64> {
    let columns: Vec<&str> = SESSION_FIELDS.iter().map(|field| field.column).collect();
    let copy = format!(
        "\\copy (select {} from sessions where client_id = '{}' order by sequence) to program 'wc -c' with (format csv)",
        columns.join(", "),
        measured_client.credentials.client
    );
    let start = Instant::now();
    let mut psql = Command::new(&load.tools.psql);
    psql.args(["--no-psqlrc", "--quiet", "--command", &copy, load.database_url()]);
    let output = load.run_command(&mut psql).await?;
    let seconds = start.elapsed().as_secs_f64();
    let bytes: u32 = output.trim().parse().with_context(|| format!("psql printed {output}"))?;
    Ok(f64::from(bytes) / seconds)
}
