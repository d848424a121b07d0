//! The speed of `uptok import`, compared with psql's `\copy` of the same rows: into a table without indexes and
//! constraints, and into one with those of `sessions`.

use std::{fmt, time::Instant};

use anyhow::ensure;
use tokio::process::Command;

use super::{
    database::{BenchDatabase, SECRET},
    load::median,
    process::ChildProcess,
};

/// Maximum number of sessions in the file.
const MAX_SESSIONS: u32 = 200_000;
/// Number of measurements of each. The report shows their median.
const ROUNDS: usize = 3;

/// Medians in rows per second.
pub(crate) struct ImportResult {
    sessions: u32,
    import: f64,
    bare: f64,
    indexed: f64,
}

impl fmt::Display for ImportResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, import, bare, indexed } = self;
        writeln!(formatter, "Import of {sessions} sessions by `uptok import`: {import:.0} rows/s")?;
        writeln!(formatter, "  \\copy into a bare table {bare:.0} rows/s, ratio {:.2}", import / bare)?;
        write!(
            formatter,
            "  \\copy into a table like sessions {indexed:.0} rows/s, ratio {:.2}",
            import / indexed
        )
    }
}

/// Imports sessions of `client`, each time into a new client.
pub(crate) async fn measure(
    database: &BenchDatabase,
    client: &str,
    sessions: u32,
) -> anyhow::Result<ImportResult> {
    let bench = ImportBench { database, sessions: sessions.min(MAX_SESSIONS) };
    bench.prepare(client).await?;
    let (mut import, mut bare, mut indexed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        import.push(bench.import(round).await?);
        bare.push(bench.copy("bench_bare").await?);
        indexed.push(bench.copy("bench_indexed").await?);
    }
    bench.psql("drop table bench_bare, bench_indexed").await?;
    let [import, bare, indexed] = [import, bare, indexed].map(median);
    Ok(ImportResult { sessions: bench.sessions, import, bare, indexed })
}

struct ImportBench<'a> {
    database: &'a BenchDatabase,
    sessions: u32,
}

impl ImportBench<'_> {
    /// Writes the file for the import and one with the same rows for psql, and creates the tables for the latter.
    async fn prepare(&self, client: &str) -> anyhow::Result<()> {
        let source = format!("from sessions where client_id = '{client}' and sequence <= {}", self.sessions);
        let record = include_str!("import.sql").replace('\n', " ");
        self.psql(&format!("\\copy ({record} {source}) to 'import.csv' csv header")).await?;
        self.psql(&format!("\\copy (select * {source}) to 'rows.csv' csv")).await?;
        self.psql("create table bench_bare as table sessions with no data").await?;
        self.psql("create table bench_indexed (like sessions including all)").await
    }

    async fn import(&self, round: usize) -> anyhow::Result<f64> {
        let client = format!("cl_import{round:04}");
        self.psql(&format!("insert into clients (client_id, name) values ('{client}', 'Import {round}')"))
            .await?;
        self.psql(&format!("insert into session_counters (client_id) values ('{client}')")).await?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptok"));
        command.args(["import", "import.csv", "--client", &client, "--database-url", self.database.url()]);
        command.env("UPTOK_SECRET", SECRET);
        self.rows_per_second(&mut command).await
    }

    async fn copy(&self, table: &str) -> anyhow::Result<f64> {
        self.psql(&format!("truncate {table}")).await?;
        let mut command = self.psql_command(&format!("\\copy {table} from 'rows.csv' csv"));
        self.rows_per_second(&mut command).await
    }

    async fn psql(&self, sql: &str) -> anyhow::Result<()> {
        self.run(&mut self.psql_command(sql)).await
    }

    fn psql_command(&self, sql: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, self.database.url()]);
        psql
    }

    /// Runs `command`, which must import or copy all sessions.
    async fn rows_per_second(&self, command: &mut Command) -> anyhow::Result<f64> {
        let start = Instant::now();
        self.run(command).await?;
        Ok(f64::from(self.sessions) / start.elapsed().as_secs_f64())
    }

    async fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        let directory = self.database.directory();
        let succeeded = ChildProcess::start(command, directory, "import.log")?.wait_for_success().await?;
        let output = std::fs::read_to_string(directory.join("import.log"))?;
        ensure!(succeeded, "{} failed:\n{output}", command.as_std().get_program().display());
        Ok(())
    }
}
