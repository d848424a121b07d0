//! The load: wrk on the server, pgbench on the database, in turns.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use tokio::process::Command;
use uptok::api_keys::Credentials;

use super::{
    PER_PAGE,
    database::{Database, Filled},
    process::Process,
    procfs::{Cpu, Meter},
    scenario::Figure,
    server::Server,
    statement::Statement,
};

/// How often server and pgbench take turns; what is reported are medians.
const ROUNDS: usize = 3;
/// How long the server, and then pgbench, is under load before anything is measured.
pub(crate) const WARM_UP_SECONDS: u32 = 2;

/// What was measured. CPU is in µs per request or transaction, `None` where the system does not tell.
pub(crate) struct Measured {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) pgbench_tps: f64,
    pub(crate) ratio: f64,
    pub(crate) server_micros: Option<f64>,
    pub(crate) postgres_micros: Option<f64>,
    pub(crate) pgbench_postgres_micros: Option<f64>,
}

/// The programs that make load.
pub(crate) struct Programs {
    wrk: PathBuf,
    pgbench: PathBuf,
    pub(crate) psql: PathBuf,
}

impl Programs {
    pub(crate) fn find(database: &Database) -> anyhow::Result<Self> {
        // /usr/lib/postgresql/15/bin/postgres "-D" "." …
        let command = database.own_file("postmaster.opts")?;
        let postgres = Path::new(command.split(" \"").next().unwrap_or_default());
        let bin = postgres.parent().unwrap_or(Path::new(""));
        Ok(Self { wrk: found("wrk", bin)?, pgbench: found("pgbench", bin)?, psql: found("psql", bin)? })
    }
}

/// Beside the running PostgreSQL, so that the versions agree, or on the `PATH`.
fn found(name: &str, bin: &Path) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    places.find_map(|place| Some(place.join(name)).filter(|program| program.is_file())).with_context(|| {
        format!("{name} is neither on the PATH nor in {}; `bin/setup bench` installs it", bin.display())
    })
}

/// Everything that a measurement needs.
pub(crate) struct Load {
    pub(crate) programs: Programs,
    directory: PathBuf,
    database_url: String,
    key: String,
    credentials: Credentials,
    /// The length of a page, in bytes.
    page_bytes: f64,
    postmaster: u32,
}

impl Load {
    pub(crate) fn new(
        programs: Programs,
        database: &Database,
        filled: &Filled,
        page_bytes: u32,
    ) -> anyhow::Result<Self> {
        let statement = Statement::of(&filled.credentials, PER_PAGE);
        for page in [1, 2] {
            let rows = database.ask(&statement.count(page))?;
            ensure!(
                rows == PER_PAGE.to_string(),
                "the statement for pgbench gives {rows} rows of page {page}"
            );
        }
        let directory = database.directory().to_owned();
        fs::write(directory.join("wrk.lua"), include_str!("wrk.lua"))?;
        let postmaster = database.own_file("postmaster.pid")?;
        Ok(Self {
            programs,
            directory,
            database_url: database.url().to_owned(),
            key: filled.key.expose(),
            credentials: filled.credentials.clone(),
            page_bytes: f64::from(page_bytes),
            postmaster: postmaster.lines().next().unwrap_or_default().parse()?,
        })
    }

    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(crate) async fn measure(
        &self,
        figure: &Figure,
        server: &Server,
        seconds: u32,
    ) -> anyhow::Result<Measured> {
        self.wrk(figure, server, WARM_UP_SECONDS).await?;
        self.pgbench(figure, server, WARM_UP_SECONDS).await?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((
                self.wrk(figure, server, seconds).await?,
                self.pgbench(figure, server, seconds).await?,
            ));
        }
        let of = |get: fn(&(Requests, Transactions)) -> f64| median(rounds.iter().map(get).collect());
        let cpu = |get: fn(&(Requests, Transactions)) -> Option<f64>| {
            rounds.iter().map(get).collect::<Option<Vec<_>>>().map(median)
        };
        Ok(Measured {
            requests_per_second: of(|(server, _)| server.per_second),
            p50_ms: of(|(server, _)| server.p50_ms),
            p99_ms: of(|(server, _)| server.p99_ms),
            pgbench_tps: of(|(_, pgbench)| pgbench.per_second),
            ratio: of(|(server, pgbench)| server.per_second / pgbench.per_second),
            server_micros: cpu(|(server, _)| Some(server.micros?.server)),
            postgres_micros: cpu(|(server, _)| Some(server.micros?.postgres)),
            pgbench_postgres_micros: cpu(|(_, pgbench)| Some(pgbench.micros?.postgres)),
        })
    }

    /// What the server does under this load.
    pub(crate) async fn wrk(
        &self,
        figure: &Figure,
        server: &Server,
        seconds: u32,
    ) -> anyhow::Result<Requests> {
        let mut wrk = Command::new(&self.programs.wrk);
        wrk.args(["--latency", "-t2", &format!("-c{}", figure.connections), &format!("-d{seconds}s")])
            .args(["-s", "wrk.lua", &server.url(), "--", &self.key])
            .args([figure.pages.to_string(), figure.per_page.to_string()]);
        let meter = Meter::of(server.pid()?, self.postmaster);
        let before = meter.and_then(Meter::read);
        let said = self.run(&mut wrk).await?;
        let after = meter.and_then(Meter::read);
        let figures: HashMap<&str, f64> = said
            .lines()
            .filter_map(|line| {
                line.split_once(' ').and_then(|(name, value)| Some((name, value.parse().ok()?)))
            })
            .collect();
        let get = |name| figures.get(name).copied().with_context(|| format!("wrk said no {name}:\n{said}"));
        let (requests, refused, broken) = (get("requests")?, get("refused")?, get("broken")?);
        ensure!(
            refused + broken == 0.0,
            "of {requests} requests {refused} were answered with an error and {broken} not at all"
        );
        // wrk takes a redirect for a success.
        let page_bytes = self.page_bytes * f64::from(figure.per_page) / f64::from(PER_PAGE);
        ensure!(get("bytes")? / requests > 0.8 * page_bytes, "answers are shorter than a page");
        Ok(Requests {
            per_second: requests / get("seconds")?,
            p50_ms: get("p50")?,
            p99_ms: get("p99")?,
            micros: per(requests, before, after),
        })
    }

    async fn pgbench(&self, figure: &Figure, server: &Server, seconds: u32) -> anyhow::Result<Transactions> {
        let (script, definitions) = Statement::of(&self.credentials, figure.per_page).script(figure.pages);
        fs::write(self.directory.join("pgbench.sql"), script)?;
        let mut pgbench = Command::new(&self.programs.pgbench);
        pgbench
            .args(["-n", "-M", "prepared", "-j", "2", "-f", "pgbench.sql"])
            .args(["-c", &figure.connections.to_string(), "-T", &seconds.to_string()])
            .args(definitions)
            .arg(&self.database_url)
            // Planned once: on its own PostgreSQL may plan anew each time, and would be an easy match.
            .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan");
        let meter = Meter::of(server.pid()?, self.postmaster);
        let before = meter.and_then(Meter::read);
        let said = self.run(&mut pgbench).await?;
        let after = meter.and_then(Meter::read);
        let get = |name: &str| {
            let value = said
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            value.with_context(|| format!("pgbench said no {name}\n{said}"))
        };
        let transactions: f64 = get("number of transactions actually processed:")?;
        Ok(Transactions { per_second: get("tps =")?, micros: per(transactions, before, after) })
    }

    /// What `command` prints.
    pub(crate) async fn run(&self, command: &mut Command) -> anyhow::Result<String> {
        let succeeds = Process::start(command, &self.directory, "load.log")?.succeeds().await?;
        let said = fs::read_to_string(self.directory.join("load.log"))?;
        ensure!(succeeds, "{} failed:\n{said}", command.as_std().get_program().display());
        Ok(said)
    }
}

/// What a server did under load.
pub(crate) struct Requests {
    pub(crate) per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// CPU time of each request, in µs.
    pub(crate) micros: Option<Cpu>,
}

struct Transactions {
    per_second: f64,
    micros: Option<Cpu>,
}

/// CPU time per request, in µs.
fn per(count: f64, before: Option<Cpu>, after: Option<Cpu>) -> Option<Cpu> {
    let (before, after) = (before?, after?);
    let micros = |before: f64, after: f64| (after - before) * 1e6 / count;
    Some(Cpu {
        server: micros(before.server, after.server),
        postgres: micros(before.postgres, after.postgres),
    })
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
