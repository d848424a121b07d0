//! Load tests: wrk on the server and pgbench on the database, in turns.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use uptok::api_keys::KeyCredentials;

use super::{
    PER_PAGE,
    database::{BenchDatabase, MeasuredClient},
    process::ChildProcess,
    procfs::{CpuSampler, CpuTime},
    scenario::Scenario,
    server::ServerProcess,
    statement::ExportStatement,
};

/// Number of measurements of each. The report shows their median.
const ROUNDS: usize = 3;
/// Duration of the load on each before the first measurement.
pub(crate) const WARM_UP_SECONDS: u32 = 2;

/// Medians of a scenario. CPU times are µs per request or transaction, or `None` without `/proc`.
pub(crate) struct Measurement {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) pgbench_tps: f64,
    pub(crate) ratio: f64,
    pub(crate) server_cpu_micros: Option<f64>,
    pub(crate) postgres_cpu_micros: Option<f64>,
    pub(crate) pgbench_postgres_cpu_micros: Option<f64>,
}

/// Paths of the programs that the benchmark runs.
pub(crate) struct LoadTools {
    wrk: PathBuf,
    pgbench: PathBuf,
    pub(crate) psql: PathBuf,
}

impl LoadTools {
    pub(crate) fn find(database: &BenchDatabase) -> anyhow::Result<Self> {
        // Example: /usr/lib/postgresql/15/bin/postgres "-D" "." …
        let command = database.read_cluster_file("postmaster.opts")?;
        let postgres = Path::new(command.split(" \"").next().unwrap_or_default());
        let bin = postgres.parent().unwrap_or(Path::new(""));
        Ok(Self {
            wrk: find_program("wrk", bin)?,
            pgbench: find_program("pgbench", bin)?,
            psql: find_program("psql", bin)?,
        })
    }
}

/// Prefers `bin`, the directory of the running PostgreSQL, so that the versions match, over the `PATH`.
fn find_program(name: &str, bin: &Path) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    directories
        .find_map(|directory| Some(directory.join(name)).filter(|program| program.is_file()))
        .with_context(|| {
            format!("{name} is neither on the PATH nor in {}; `bin/setup bench` installs it", bin.display())
        })
}

pub(crate) struct LoadTest {
    pub(crate) tools: LoadTools,
    directory: PathBuf,
    database_url: String,
    key: String,
    credentials: KeyCredentials,
    /// Length of a response with a page of default size.
    page_bytes: f64,
    postmaster: u32,
}

impl LoadTest {
    pub(crate) fn new(
        tools: LoadTools,
        database: &BenchDatabase,
        measured_client: &MeasuredClient,
        page_bytes: u32,
    ) -> anyhow::Result<Self> {
        let statement = ExportStatement::new(&measured_client.credentials, PER_PAGE);
        for page in [1, 2] {
            let rows = database.query_text(&statement.row_count_sql(page))?;
            ensure!(
                rows == PER_PAGE.to_string(),
                "the statement for pgbench returns {rows} rows for page {page}"
            );
        }
        let directory = database.directory().to_owned();
        fs::write(directory.join("wrk.lua"), include_str!("wrk.lua"))?;
        let postmaster = database.read_cluster_file("postmaster.pid")?;
        Ok(Self {
            tools,
            directory,
            database_url: database.url().to_owned(),
            key: measured_client.key.expose(),
            credentials: measured_client.credentials.clone(),
            page_bytes: f64::from(page_bytes),
            postmaster: postmaster.lines().next().unwrap_or_default().parse()?,
        })
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) async fn measure(
        &self,
        scenario: &Scenario,
        server: &ServerProcess,
        seconds: u32,
    ) -> anyhow::Result<Measurement> {
        self.run_wrk(scenario, server, WARM_UP_SECONDS).await?;
        self.run_pgbench(scenario, server, WARM_UP_SECONDS).await?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((
                self.run_wrk(scenario, server, seconds).await?,
                self.run_pgbench(scenario, server, seconds).await?,
            ));
        }
        let median_of =
            |get: fn(&(WrkResult, PgbenchResult)) -> f64| median(rounds.iter().map(get).collect());
        let cpu = |get: fn(&(WrkResult, PgbenchResult)) -> Option<f64>| {
            rounds.iter().map(get).collect::<Option<Vec<_>>>().map(median)
        };
        Ok(Measurement {
            requests_per_second: median_of(|(server, _)| server.per_second),
            p50_ms: median_of(|(server, _)| server.p50_ms),
            p99_ms: median_of(|(server, _)| server.p99_ms),
            pgbench_tps: median_of(|(_, pgbench)| pgbench.per_second),
            ratio: median_of(|(server, pgbench)| server.per_second / pgbench.per_second),
            server_cpu_micros: cpu(|(server, _)| Some(server.cpu_micros?.server)),
            postgres_cpu_micros: cpu(|(server, _)| Some(server.cpu_micros?.postgres)),
            pgbench_postgres_cpu_micros: cpu(|(_, pgbench)| Some(pgbench.cpu_micros?.postgres)),
        })
    }

    /// Runs wrk on `server`.
    ///
    /// # Errors
    /// If any request fails or the responses are shorter than a page, because errors are cheap and would look fast.
    pub(crate) async fn run_wrk(
        &self,
        scenario: &Scenario,
        server: &ServerProcess,
        seconds: u32,
    ) -> anyhow::Result<WrkResult> {
        let mut wrk = Command::new(&self.tools.wrk);
        wrk.args(["--latency", "-t2", &format!("-c{}", scenario.connections), &format!("-d{seconds}s")])
            .args(["-s", "wrk.lua", &server.export_url(), "--", &self.key])
            .args([scenario.pages.to_string(), scenario.per_page.to_string()]);
        let sampler = CpuSampler::new(server.pid()?, self.postmaster);
        let before = sampler.and_then(CpuSampler::sample);
        let output = self.run_command(&mut wrk).await?;
        let after = sampler.and_then(CpuSampler::sample);
        let values: HashMap<&str, f64> = output
            .lines()
            .filter_map(|line| {
                line.split_once(' ').and_then(|(name, value)| Some((name, value.parse().ok()?)))
            })
            .collect();
        let get =
            |name| values.get(name).copied().with_context(|| format!("wrk printed no {name}:\n{output}"));
        let (requests, http_errors, socket_errors) =
            (get("requests")?, get("http_errors")?, get("socket_errors")?);
        ensure!(
            http_errors + socket_errors == 0.0,
            "of {requests} requests, {http_errors} got an error response and {socket_errors} got none"
        );
        // wrk counts a redirect as a success, so check the size too.
        let page_bytes = self.page_bytes * f64::from(scenario.per_page) / f64::from(PER_PAGE);
        ensure!(get("bytes")? / requests > 0.8 * page_bytes, "answers are shorter than a page");
        Ok(WrkResult {
            per_second: requests / get("seconds")?,
            p50_ms: get("p50")?,
            p99_ms: get("p99")?,
            cpu_micros: cpu_per_operation(requests, before, after),
        })
    }

    async fn run_pgbench(
        &self,
        scenario: &Scenario,
        server: &ServerProcess,
        seconds: u32,
    ) -> anyhow::Result<PgbenchResult> {
        let (script, definitions) =
            ExportStatement::new(&self.credentials, scenario.per_page).pgbench_script(scenario.pages);
        fs::write(self.directory.join("pgbench.sql"), script)?;
        let mut pgbench = Command::new(&self.tools.pgbench);
        pgbench
            .args(["-n", "-M", "prepared", "-j", "2", "-f", "pgbench.sql"])
            .args(["-c", &scenario.connections.to_string(), "-T", &seconds.to_string()])
            .args(definitions)
            .arg(&self.database_url)
            // Plan once, as the server does. By default PostgreSQL may plan every execution, which makes pgbench slower.
            .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan");
        let sampler = CpuSampler::new(server.pid()?, self.postmaster);
        let before = sampler.and_then(CpuSampler::sample);
        let output = self.run_command(&mut pgbench).await?;
        let after = sampler.and_then(CpuSampler::sample);
        let get = |name: &str| {
            let value = output
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            value.with_context(|| format!("pgbench printed no {name}\n{output}"))
        };
        let transactions: f64 = get("number of transactions actually processed:")?;
        Ok(PgbenchResult {
            per_second: get("tps =")?,
            cpu_micros: cpu_per_operation(transactions, before, after),
        })
    }

    /// Runs `command` to its end and returns its standard output and error.
    pub(crate) async fn run_command(&self, command: &mut Command) -> anyhow::Result<String> {
        let succeeded = ChildProcess::start(command, &self.directory, "load.log")?.wait_for_success().await?;
        let output = fs::read_to_string(self.directory.join("load.log"))?;
        ensure!(succeeded, "{} failed:\n{output}", command.as_std().get_program().display());
        Ok(output)
    }
}

pub(crate) struct WrkResult {
    pub(crate) per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// µs per request.
    pub(crate) cpu_micros: Option<CpuTime>,
}

struct PgbenchResult {
    per_second: f64,
    cpu_micros: Option<CpuTime>,
}

/// Returns the CPU time between two samples in seconds, divided by `count`, in µs.
fn cpu_per_operation(count: f64, before: Option<CpuTime>, after: Option<CpuTime>) -> Option<CpuTime> {
    let (before, after) = (before?, after?);
    let micros = |before: f64, after: f64| (after - before) * 1e6 / count;
    Some(CpuTime {
        server: micros(before.server, after.server),
        postgres: micros(before.postgres, after.postgres),
    })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
