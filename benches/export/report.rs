//! The report that is printed at the end.

use std::fmt;

use super::{
    database::BenchDatabase,
    load::Measurement,
    metering::MeteringCost,
    scenario::{Metric, Scenario, Threshold},
    server::FirstPage,
};

/// Maximum of p99 ÷ p50 with 64 connections.
const MAX_TAIL_RATIO: f64 = 3.0;
/// Minimum of the request rate for random pages ÷ that for the first page.
const MIN_RANDOM_PAGE_RATIO: f64 = 0.75;

pub(crate) struct Report {
    rows: Vec<(Scenario, Measurement)>,
    metrics: Vec<Metric>,
    machine: String,
    page_bytes: u32,
    pub(crate) metering: Option<MeteringCost>,
}

impl Report {
    pub(crate) fn new(database: &BenchDatabase, first_page: &FirstPage) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let version = database.query_text("select current_setting('server_version') as answer")?;
        let machine = format!("{cores} cores, PostgreSQL {version}, all loads on the same machine");
        let page_bytes = first_page.page_bytes;
        Ok(Self { rows: Vec::new(), metrics: Vec::new(), machine, page_bytes, metering: None })
    }

    pub(crate) fn add_measurement(&mut self, scenario: Scenario, measurement: Measurement) {
        self.rows.push((scenario, measurement));
    }

    pub(crate) fn add_metric(&mut self, metric: Metric) {
        self.metrics.push(metric);
    }

    /// Metrics calculated from the rows: tail latency, and random pages compared with the first page.
    fn derived_metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for (scenario, measurement) in &self.rows {
            if scenario.connections == 64 {
                let (name, value) =
                    (format!("p99 ÷ p50, {}", scenario.name()), measurement.p99_ms / measurement.p50_ms);
                metrics.push(Metric { name, value, threshold: Threshold::AtMost(MAX_TAIL_RATIO) });
            }
            let first = self.rows.iter().find(|(first, _)| {
                first.is_baseline() && first.connections == scenario.connections && scenario.pages > 1
            });
            if let Some((_, first)) = first {
                let name = format!("{} ÷ page 1", scenario.name());
                let value = measurement.requests_per_second / first.requests_per_second;
                metrics.push(Metric { name, value, threshold: Threshold::AtLeast(MIN_RANDOM_PAGE_RATIO) });
            }
        }
        metrics
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
        for (scenario, measurement) in &self.rows {
            writeln!(
                formatter,
                "{:32} {:>13.0} {:>10.2} {:>10.2} {:>9.0} {:>9} {:>9} {:>9} {:>7.2} {}",
                scenario.name(),
                measurement.requests_per_second,
                measurement.p50_ms,
                measurement.p99_ms,
                measurement.pgbench_tps,
                format_micros(measurement.server_cpu_micros),
                format_micros(measurement.postgres_cpu_micros),
                format_micros(measurement.pgbench_postgres_cpu_micros),
                measurement.ratio,
                Threshold::AtLeast(scenario.min_ratio).describe(measurement.ratio),
            )?;
        }
        writeln!(formatter)?;
        for Metric { name, value, threshold } in self.derived_metrics().iter().chain(&self.metrics) {
            writeln!(formatter, "{name:56} {value:>9.2} {}", threshold.describe(*value))?;
        }
        if let Some(metering) = &self.metering {
            writeln!(formatter, "\n{metering}")?;
        }
        writeln!(formatter, "\nA page of 50 sessions is {} bytes of JSON", self.page_bytes)?;
        write!(formatter, "{}", self.machine)
    }
}

fn format_micros(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"))
}
