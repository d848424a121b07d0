//! How fast sessions are exported, next to what PostgreSQL itself can do: `make bench`.
//!
//! It fills a PostgreSQL of its own, runs the release binary on it, and measures in turns the server with wrk and the
//! very statement of the export with pgbench. Rates depend on the machine and on its neighbours; the ratio of the two
//! hardly does. `docs/performance.md` says what each figure means.

mod database;
mod import;
mod load;
mod metering;
mod process;
mod procfs;
mod report;
mod scenario;
mod server;
mod settings;
mod statement;
mod stream;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use database::BenchDatabase;
use load::{LoadTest, LoadTools};
use report::Report;
use scenario::{Metric, Scenario, Threshold};
use server::{PAGE_CACHE_OFF, ServerProcess};
use settings::BenchSettings;

/// Sessions per page, as when a caller says nothing.
const PER_PAGE: u32 = 50;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` runs benchmarks too, to see whether they start.
        return ExitCode::SUCCESS;
    }
    match actix_web::rt::System::new().block_on(bench_until_signal()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; then there is nobody to tell.
            let _ignored = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever stops us drops the benchmark where it stands, and with it every process and file it made.
async fn bench_until_signal() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = bench() => outcome,
        _ = interrupt.recv() => anyhow::bail!("stopped"),
        _ = terminate.recv() => anyhow::bail!("stopped"),
    }
}

async fn bench() -> anyhow::Result<()> {
    let settings = BenchSettings::from_env()?;
    print_line("Starting a PostgreSQL of our own")?;
    let database = actix_web::rt::task::spawn_blocking(BenchDatabase::start).await??;
    let tools = LoadTools::find(&database)?;
    print_line(&format!("Filling it with {} sessions of one client and some of others", settings.sessions))?;
    let (url, sessions) = (database.url().to_owned(), settings.sessions);
    let measured_client =
        actix_web::rt::task::spawn_blocking(move || database::fill(&url, sessions)).await??;
    let server = ServerProcess::start(&database, "page-cache-off", &[PAGE_CACHE_OFF])?;
    let first_page = server.check_when_ready(&measured_client.key, settings.sessions).await?;
    let load = LoadTest::new(tools, &database, &measured_client, first_page.page_bytes)?;
    let mut report = Report::new(&database, &first_page)?;
    measure_scenarios(&load, &server, &settings, Scenario::uncached(), &mut report).await?;
    report.add_metric(memory_metric(&server, "MiB of memory after these, no page kept", 64.0)?);
    print_line("Measuring streams")?;
    for metric in stream::measure(&load, &server, &measured_client).await? {
        report.add_metric(metric);
    }
    drop(server);
    let server = ServerProcess::start(&database, "uptok", &[])?;
    server.check_when_ready(&measured_client.key, settings.sessions).await?;
    measure_scenarios(&load, &server, &settings, Scenario::cached(&measured_client), &mut report).await?;
    report.add_metric(memory_metric(&server, "MiB of memory after the run, pages kept", 128.0)?);
    drop(server);
    print_line("Measuring what counting the requests costs")?;
    report.metering = Some(metering::measure(&database, &measured_client, &load, &settings).await?);
    print_line("Measuring the import")?;
    let client = measured_client.credentials.client.as_str();
    let import_result = import::measure(&database, client, settings.sessions).await?;
    print_line(&format!("\n{report}\n\n{import_result}"))
}

async fn measure_scenarios(
    load: &LoadTest,
    server: &ServerProcess,
    settings: &BenchSettings,
    scenarios: Vec<Scenario>,
    report: &mut Report,
) -> anyhow::Result<()> {
    for scenario in scenarios {
        print_line(&format!("Measuring {}", scenario.name()))?;
        let measurement = load.measure(&scenario, server, settings.seconds).await?;
        report.add_measurement(scenario, measurement);
    }
    Ok(())
}

fn memory_metric(server: &ServerProcess, name: &str, threshold: f64) -> anyhow::Result<Metric> {
    let resident_mib = server.resident_mib().context("no /proc tells the memory of the server")?;
    Ok(Metric { name: name.to_owned(), value: resident_mib, threshold: Threshold::AtMost(threshold) })
}

/// Prints a line that whoever runs the benchmark waits for.
fn print_line(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
