//! What was measured, as a table.

use std::fmt;

use super::{
    database::Database,
    load::Measured,
    metering::Metering,
    scenario::{Bar, Compared, Figure},
    server::Answer,
};

/// p99 is at most so many times p50, with many callers.
const TAIL: f64 = 3.0;
/// A page drawn from all is answered at least so often, compared with the first one.
const RANDOM: f64 = 0.75;

/// Everything that was measured.
pub(crate) struct Report {
    rows: Vec<(Figure, Measured)>,
    compared: Vec<Compared>,
    machine: String,
    page_bytes: u32,
    pub(crate) metering: Option<Metering>,
}

impl Report {
    pub(crate) fn new(database: &Database, answer: &Answer) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let version = database.ask("select current_setting('server_version') as answer")?;
        let machine = format!("{cores} cores, PostgreSQL {version}, all loads on the same machine");
        let page_bytes = answer.page_bytes;
        Ok(Self { rows: Vec::new(), compared: Vec::new(), machine, page_bytes, metering: None })
    }

    pub(crate) fn add(&mut self, figure: Figure, measured: Measured) {
        self.rows.push((figure, measured));
    }

    pub(crate) fn compare(&mut self, compared: Compared) {
        self.compared.push(compared);
    }

    /// What the rows say when they are compared with each other.
    fn between_rows(&self) -> Vec<Compared> {
        let mut found = Vec::new();
        for (figure, it) in &self.rows {
            if figure.connections == 64 {
                let (name, value) = (format!("p99 ÷ p50, {}", figure.name()), it.p99_ms / it.p50_ms);
                found.push(Compared { name, value, bar: Bar::AtMost(TAIL) });
            }
            let first = self.rows.iter().find(|(first, _)| {
                first.is_first_page() && first.connections == figure.connections && figure.pages > 1
            });
            if let Some((_, first)) = first {
                let name = format!("{} ÷ page 1", figure.name());
                let value = it.requests_per_second / first.requests_per_second;
                found.push(Compared { name, value, bar: Bar::AtLeast(RANDOM) });
            }
        }
        found
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:32} {:>35} {:>9} {:>29}", "", "server", "pgbench", "CPU µs each")?;
        writeln!(
            formatter,
            "{:32} {:>13} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "50 sessions per page",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "tps",
            "server",
            "its pg",
            "pgbench's",
            "ratio"
        )?;
        for (figure, it) in &self.rows {
            writeln!(
                formatter,
                "{:32} {:>13.0} {:>10.2} {:>10.2} {:>9.0} {:>9} {:>9} {:>9} {:>7.2} {}",
                figure.name(),
                it.requests_per_second,
                it.p50_ms,
                it.p99_ms,
                it.pgbench_tps,
                micros(it.server_micros),
                micros(it.postgres_micros),
                micros(it.pgbench_postgres_micros),
                it.ratio,
                Bar::AtLeast(figure.bar).said_of(it.ratio),
            )?;
        }
        writeln!(formatter)?;
        for Compared { name, value, bar } in self.between_rows().iter().chain(&self.compared) {
            writeln!(formatter, "{name:56} {value:>9.2} {}", bar.said_of(*value))?;
        }
        if let Some(metering) = &self.metering {
            writeln!(formatter, "\n{metering}")?;
        }
        writeln!(formatter, "\nA page of 50 is {} bytes of JSON", self.page_bytes)?;
        write!(formatter, "{}", self.machine)
    }
}

fn micros(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
