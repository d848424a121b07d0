//! Benchmark of the export, compared with PostgreSQL itself. Run it with `make bench`.
//!
//! Starts a PostgreSQL of its own with generated sessions, runs the release binary on it, and alternates between wrk on
//! the server and pgbench with the same SQL statement. Absolute rates depend on the machine and its load, so compare
//! versions by the ratio of the two. `docs/performance.md` explains each figure.

mod database;
mod import;
mod load;
mod memory;
mod metering;
mod pages;
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
use pages::PageLoad;
use report::Report;
use scenario::{Metric, Scenario, Threshold};
use server::{PAGE_CACHE_OFF, ServerProcess};
use settings::BenchSettings;

/// The API's default page size, in sessions.
const PER_PAGE: u32 = 50;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` runs benchmarks without `--bench`, only to check that they start.
        return ExitCode::SUCCESS;
    }
    match actix_web::rt::System::new().block_on(bench_until_signal()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Ignore the error: if standard error is closed, there is nowhere to report it.
            let _ignored = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Cancels the benchmark on SIGINT or SIGTERM. Dropping it kills every process and removes every file it created.
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
    print_line("Starting PostgreSQL")?;
    let database = actix_web::rt::task::spawn_blocking(BenchDatabase::start).await??;
    let tools = LoadTools::find(&database)?;
    print_line(&format!(
        "Generating {} sessions for the measured client and some for others",
        settings.sessions
    ))?;
    let (url, sessions) = (database.url().to_owned(), settings.sessions);
    let measured_client =
        actix_web::rt::task::spawn_blocking(move || database::fill(&url, sessions)).await??;
    let server = ServerProcess::start(&database, "page-cache-off", &[PAGE_CACHE_OFF])?;
    let first_page = server.check_when_ready(&measured_client.key, settings.sessions).await?;
    let load = LoadTest::new(tools, &database, &measured_client, first_page.page_bytes)?;
    if settings.is_memory_only {
        drop(server);
        return memory::measure(&database, &measured_client, &load, 2 * settings.seconds).await;
    }
    let mut report = Report::new(&database, &first_page)?;
    measure_scenarios(&load, &server, &settings, Scenario::uncached(), &mut report).await?;
    report.add_metric(memory_metric(&server, "MiB of server memory afterwards, page cache off", 64.0)?);
    print_line("Measuring streams")?;
    for metric in stream::measure(&load, &server, &measured_client).await? {
        report.add_metric(metric);
    }
    drop(server);
    let server = ServerProcess::start(&database, "uptok", &[])?;
    server.check_when_ready(&measured_client.key, settings.sessions).await?;
    measure_scenarios(&load, &server, &settings, Scenario::cached(&measured_client), &mut report).await?;
    report.add_metric(memory_metric(&server, "MiB of server memory after the run, page cache on", 128.0)?);
    print_line("Measuring pages")?;
    let page_load = PageLoad::start(&database, &server).await?;
    report.add_metric(page_load.measure_api_keys().await?);
    let lighthouse_report = page_load.run_lighthouse().await?;
    drop(server);
    print_line("Measuring the cost of counting requests")?;
    report.metering = Some(metering::measure(&database, &measured_client, &load, &settings).await?);
    print_line("Measuring the import")?;
    let client = measured_client.credentials.client.as_str();
    let import_result = import::measure(&database, client, settings.sessions).await?;
    print_line(&format!("\n{report}\n\n{import_result}\n\n{lighthouse_report}\n"))?;
    memory::measure(&database, &measured_client, &load, 2 * settings.seconds).await
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
    let resident_mib = server.resident_mib().context("cannot read the memory of the server from /proc")?;
    Ok(Metric { name: name.to_owned(), value: resident_mib, threshold: Threshold::AtMost(threshold) })
}

fn print_line(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
