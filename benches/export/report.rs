//! What was measured, as a table.

use std::fmt;

use super::{
    database::Database,
    load::{Figure, Measured},
    metering::Metering,
    server::Answer,
    usage::Memory,
};

/// Everything that was measured.
pub(crate) struct Report {
    rows: Vec<(String, Measured)>,
    machine: String,
    page_bytes: u32,
    pub(crate) memory: Option<Memory>,
    pub(crate) metering: Option<Metering>,
}

impl Report {
    pub(crate) fn new(database: &Database, answer: &Answer) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let version = database.ask("select current_setting('server_version') as answer")?;
        let machine = format!("{cores} cores, PostgreSQL {version}, both loads on the same machine");
        Ok(Self { rows: Vec::new(), machine, page_bytes: answer.page_bytes, memory: None, metering: None })
    }

    pub(crate) fn add(&mut self, figure: &Figure, measured: Measured) {
        self.rows.push((figure.name(), measured));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:36} {:>37} {:>11} {:>7} {:>29}", "", "server", "pgbench", "", "CPU µs each")?;
        writeln!(
            formatter,
            "{:36} {:>13} {:>11} {:>11} {:>11} {:>7} {:>9} {:>9} {:>9}",
            "50 sessions per page",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "tps",
            "ratio",
            "server",
            "its pg",
            "pgbench's"
        )?;
        for (name, it) in &self.rows {
            writeln!(
                formatter,
                "{name:36} {:>13.0} {:>11.2} {:>11.2} {:>11.0} {:>7.2} {:>9} {:>9} {:>9}",
                it.requests_per_second,
                it.p50_ms,
                it.p99_ms,
                it.pgbench_tps,
                it.ratio,
                micros(it.server_micros),
                micros(it.postgres_micros),
                micros(it.pgbench_postgres_micros),
            )?;
        }
        if let Some(Memory { now, most }) = &self.memory {
            writeln!(formatter, "\nMemory of the server: {now:.0} MiB after the run, {most:.0} MiB at most")?;
        }
        if let Some(metering) = &self.metering {
            writeln!(formatter, "{metering}")?;
        }
        writeln!(formatter, "A page is {} bytes of JSON", self.page_bytes)?;
        write!(formatter, "{}", self.machine)
    }
}

fn micros(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
