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
mod report;
mod server;
mod settings;
mod statement;
mod usage;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

use database::Database;
use load::{Figure, Load, Programs};
use report::Report;
use server::Server;
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
    let server = Server::start(&database)?;
    let answer = server.check(&filled.key, settings.sessions).await?;
    let load = Load::new(programs, &database, &server, &filled, answer.page_bytes)?;
    let mut report = Report::new(&database, &answer)?;
    for figure in figures(settings.sessions) {
        say(&format!("Measuring {}", figure.name()))?;
        report.add(&figure, load.measure(&figure, settings.seconds).await?);
    }
    report.memory = server.memory();
    say("Measuring what counting the requests costs")?;
    report.metering = Some(metering::measure(&database, &filled, &answer, &settings).await?);
    say("Measuring the import")?;
    let client = filled.credentials.client.as_str();
    let imported = import::measure(&database, client, settings.sessions).await?;
    say(&format!("\n{report}\n\n{imported}"))
}

fn figures(sessions: u32) -> Vec<Figure> {
    let pages = [1, sessions / PER_PAGE];
    pages.into_iter().flat_map(|pages| [16, 64].map(|connections| Figure { pages, connections })).collect()
}

/// Prints a line that whoever runs the benchmark waits for.
fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
