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

use database::Database;
use load::{Load, Programs};
use report::Report;
use scenario::{Bar, Compared, Figure};
use server::{KEEPS_NOTHING, Server};
use settings::Settings;

/// Sessions per page, as when a caller says nothing.
const PER_PAGE: u32 = 50;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        // `cargo test --all-targets` runs benchmarks too, to see whether they start.
        return ExitCode::SUCCESS;
    }
    match actix_web::rt::System::new().block_on(bench_until_stopped()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; then there is nobody to tell.
            let _ignored = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever stops us drops the benchmark where it stands, and with it every process and file it made.
async fn bench_until_stopped() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = bench() => outcome,
        _ = interrupt.recv() => anyhow::bail!("stopped"),
        _ = terminate.recv() => anyhow::bail!("stopped"),
    }
}

async fn bench() -> anyhow::Result<()> {
    let settings = Settings::read()?;
    say("Starting a PostgreSQL of our own")?;
    let database = actix_web::rt::task::spawn_blocking(Database::start).await??;
    let programs = Programs::find(&database)?;
    say(&format!("Filling it with {} sessions of one client and some of others", settings.sessions))?;
    let (url, sessions) = (database.url().to_owned(), settings.sessions);
    let filled = actix_web::rt::task::spawn_blocking(move || database::fill(&url, sessions)).await??;
    let server = Server::start(&database, "keeping-nothing", &[KEEPS_NOTHING])?;
    let answer = server.check(&filled.key, settings.sessions).await?;
    let load = Load::new(programs, &database, &filled, answer.page_bytes)?;
    let mut report = Report::new(&database, &answer)?;
    measure(&load, &server, &settings, (Figure::all(&filled), &mut report), false).await?;
    report.compare(memory(&server, "MiB of memory after these, no page kept", 64.0)?);
    say("Measuring streams")?;
    for compared in stream::measure(&load, &server, &filled).await? {
        report.compare(compared);
    }
    drop(server);
    let server = Server::start(&database, "uptok", &[])?;
    server.check(&filled.key, settings.sessions).await?;
    measure(&load, &server, &settings, (Figure::all(&filled), &mut report), true).await?;
    report.compare(memory(&server, "MiB of memory after the run, pages kept", 128.0)?);
    drop(server);
    say("Measuring what counting the requests costs")?;
    report.metering = Some(metering::measure(&database, &filled, &load, &settings).await?);
    say("Measuring the import")?;
    let client = filled.credentials.client.as_str();
    let imported = import::measure(&database, client, settings.sessions).await?;
    say(&format!("\n{report}\n\n{imported}"))
}

/// Measures the figures of a server that keeps pages, or of one that does not.
async fn measure(
    load: &Load,
    server: &Server,
    settings: &Settings,
    (figures, report): (Vec<Figure>, &mut Report),
    keeps_pages: bool,
) -> anyhow::Result<()> {
    for figure in figures.into_iter().filter(|figure| figure.keeps_pages == keeps_pages) {
        say(&format!("Measuring {}", figure.name()))?;
        let measured = load.measure(&figure, server, settings.seconds).await?;
        report.add(figure, measured);
    }
    Ok(())
}

fn memory(server: &Server, name: &str, bar: f64) -> anyhow::Result<Compared> {
    let memory = server.memory().context("no /proc tells the memory of the server")?;
    Ok(Compared { name: name.to_owned(), value: memory.now, bar: Bar::AtMost(bar) })
}

/// Prints a line that whoever runs the benchmark waits for.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
