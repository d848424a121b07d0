//! All metrics, with their names, labels and meanings. Each part of the program counts in its own group, and
//! [`MetricsRegistry`] writes all groups in the text format of Prometheus.
//!
//! A label is always one of few fixed texts: never a key, a client, an address or the path of a request as sent.

use std::time::Duration;

use prometheus::{
    Error, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, core::Collector, exponential_buckets,
};

use crate::web::limits::limit_kind::LimitKind;

/// Upper bounds of the buckets of latencies: 14 from 0.5 ms, each twice the previous one, so up to 4.096 s.
const FIRST_BUCKET_SECONDS: f64 = 0.0005;
const BUCKETS: usize = 14;

const VALID: &str = "the name and the labels are valid";

/// The metrics of one part of the program.
pub(crate) trait MetricGroup {
    fn collectors(&self) -> Vec<Box<dyn Collector>>;
}

/// Implements [`MetricGroup`] for a struct whose fields are metrics.
macro_rules! metric_group {
    ($group:ident { $($field:ident),+ }) => {
        impl MetricGroup for $group {
            fn collectors(&self) -> Vec<Box<dyn Collector>> {
                vec![$(Box::new(self.$field.clone())),+]
            }
        }
    };
}

/// The metrics of one process.
pub(crate) struct MetricsRegistry(Registry);

impl MetricsRegistry {
    /// # Panics
    /// If two metrics have the same name.
    pub(crate) fn new(groups: &[&dyn MetricGroup]) -> Self {
        let registry = Registry::new();
        let build = gauge_with_version();
        for collector in groups.iter().flat_map(|group| group.collectors()).chain([build]) {
            registry.register(collector).expect("each metric has its own name");
        }
        Self(registry)
    }

    /// The text format of Prometheus, version 0.0.4.
    ///
    /// # Errors
    /// If a metric has no samples.
    pub(crate) fn encode(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(VALID)
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect(VALID)
}

fn decimal_gauge(name: &str, help: &str) -> Gauge {
    Gauge::new(name, help).expect(VALID)
}

/// A counter for each value of `label`, from 0.
fn counters(name: &str, help: &str, label: &str, values: &[&str]) -> IntCounterVec {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect(VALID);
    for value in values {
        counters.with_label_values(&[value]);
    }
    counters
}

fn gauge_with_version() -> Box<dyn Collector> {
    let help = "Always 1; the label is the version of this binary.";
    let options = Opts::new("uptok_build_info", help).const_label("version", env!("CARGO_PKG_VERSION"));
    let build = IntGauge::with_opts(options).expect(VALID);
    build.set(1);
    Box::new(build)
}

/// Counts something that is in progress, from its creation until it is dropped.
pub(crate) struct InProgress(IntGauge);

impl InProgress {
    pub(crate) fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Answered HTTP requests.
#[derive(Clone)]
pub(crate) struct RequestMetrics {
    duration: HistogramVec,
}

metric_group!(RequestMetrics { duration });

impl Default for RequestMetrics {
    fn default() -> Self {
        let options = HistogramOpts::new(
            "uptok_http_request_duration_seconds",
            "Requests and the seconds until their answer began, by pattern of the path.",
        );
        let buckets = exponential_buckets(FIRST_BUCKET_SECONDS, 2.0, BUCKETS).expect("the bounds grow");
        let labels = ["method", "route", "status_class"];
        Self { duration: HistogramVec::new(options.buckets(buckets), &labels).expect(VALID) }
    }
}

impl RequestMetrics {
    /// `method` and `route` must be bounded in number: a known method and the pattern of a path.
    pub(crate) fn record(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let class = match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.duration.with_label_values(&[method, route, class]).observe(duration.as_secs_f64());
    }
}

/// Connections to PostgreSQL.
#[derive(Clone)]
pub(crate) struct DatabaseMetrics {
    pub(crate) pool_size: IntGauge,
    pub(crate) pool_in_use: IntGauge,
    pub(crate) pool_waiting: IntGauge,
    pub(crate) pool_timeouts: IntCounter,
    pub(crate) pool_broken: IntCounter,
    pub(crate) connect_failures: IntCounter,
    pub(crate) pipeline_open: IntGauge,
    pub(crate) pipeline_in_use: IntGauge,
    pub(crate) pipeline_waiting: IntGauge,
    pub(crate) pipeline_broken: IntCounter,
    pub(crate) pipeline_fallbacks: IntCounter,
}

metric_group!(DatabaseMetrics {
    pool_size,
    pool_in_use,
    pool_waiting,
    pool_timeouts,
    pool_broken,
    connect_failures,
    pipeline_open,
    pipeline_in_use,
    pipeline_waiting,
    pipeline_broken,
    pipeline_fallbacks
});

impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self {
            pool_size: gauge("uptok_database_pool_size", "Maximum number of connections in the pool."),
            pool_in_use: gauge("uptok_database_pool_in_use", "Connections of the pool that are in use."),
            pool_waiting: gauge(
                "uptok_database_pool_waiting",
                "Requests and tasks that wait for a connection of the pool.",
            ),
            pool_timeouts: counter(
                "uptok_database_pool_timeouts_total",
                "Requests and tasks that got no connection of the pool in time.",
            ),
            pool_broken: counter(
                "uptok_database_pool_broken_total",
                "Connections of the pool that were given up because PostgreSQL did not answer.",
            ),
            connect_failures: counter(
                "uptok_database_connect_failures_total",
                "Failed attempts to open a connection of the pool.",
            ),
            pipeline_open: gauge(
                "uptok_database_pipeline_connections",
                "Open pipelined connections, at most one per worker.",
            ),
            pipeline_in_use: gauge(
                "uptok_database_pipeline_in_use",
                "Queries under way on pipelined connections.",
            ),
            pipeline_waiting: gauge(
                "uptok_database_pipeline_waiting",
                "Queries that wait because those under way may return too many rows.",
            ),
            pipeline_broken: counter(
                "uptok_database_pipeline_broken_total",
                "Pipelined connections that failed or did not answer.",
            ),
            pipeline_fallbacks: counter(
                "uptok_database_pipeline_fallbacks_total",
                "Queries that the pool answered because no pipelined connection could.",
            ),
        }
    }
}

/// Storing the counts of API requests.
#[derive(Clone)]
pub(crate) struct FlushMetrics {
    /// Set when the metrics are read.
    pub(crate) lag_seconds: Gauge,
    pub(crate) failures: IntCounter,
}

metric_group!(FlushMetrics { lag_seconds, failures });

impl Default for FlushMetrics {
    fn default() -> Self {
        Self {
            lag_seconds: decimal_gauge(
                "uptok_usage_flush_lag_seconds",
                "Seconds since all counts of API requests were last stored; about 1 is normal.",
            ),
            failures: counter(
                "uptok_usage_flush_failures_total",
                "Attempts to store counts of API requests that failed.",
            ),
        }
    }
}

/// Requests that a rate limit refused.
#[derive(Clone)]
pub(crate) struct RefusalMetrics {
    refusals: IntCounterVec,
}

metric_group!(RefusalMetrics { refusals });

impl Default for RefusalMetrics {
    fn default() -> Self {
        let help = "Requests that a rate limit refused (429).";
        let values = LimitKind::ALL.map(LimitKind::as_str);
        Self { refusals: counters("uptok_rate_limit_refusals_total", help, "limit", &values) }
    }
}

impl RefusalMetrics {
    pub(crate) fn counter(&self, kind: LimitKind) -> IntCounter {
        self.refusals.with_label_values(&[kind.as_str()])
    }
}

/// Exchanges of rate limits with other nodes.
#[derive(Clone)]
pub(crate) struct ExchangeMetrics {
    exchanges: IntCounterVec,
}

metric_group!(ExchangeMetrics { exchanges });

impl Default for ExchangeMetrics {
    fn default() -> Self {
        let help = "Attempts to exchange the use of rate limits with the other nodes, about one a second.";
        let values = ["done", "failed"];
        Self { exchanges: counters("uptok_rate_limit_exchanges_total", help, "result", &values) }
    }
}

impl ExchangeMetrics {
    pub(crate) fn record(&self, is_done: bool) {
        self.exchanges.with_label_values(&[if is_done { "done" } else { "failed" }]).inc();
    }
}

/// Imports in the browser.
#[derive(Clone)]
pub(crate) struct ImportMetrics {
    finished: IntCounterVec,
    lines: IntCounterVec,
}

metric_group!(ImportMetrics { finished, lines });

impl Default for ImportMetrics {
    fn default() -> Self {
        Self {
            finished: counters(
                "uptok_imports_finished_total",
                "Imports that this node finished.",
                "result",
                &["done", "failed"],
            ),
            lines: counters(
                "uptok_import_lines_total",
                "Lines of files that this node imported.",
                "result",
                &["created", "updated", "unchanged", "rejected", "skipped"],
            ),
        }
    }
}

impl ImportMetrics {
    pub(crate) fn record_done(&self) {
        self.finished.with_label_values(&["done"]).inc();
    }

    pub(crate) fn record_failed(&self) {
        self.finished.with_label_values(&["failed"]).inc();
    }

    /// `counts` has one number for each result.
    pub(crate) fn add_lines(&self, counts: &[(&str, u64)]) {
        for (result, count) in counts {
            self.lines.with_label_values(&[result]).inc_by(*count);
        }
    }
}

/// Attempts to send mail.
#[derive(Clone)]
pub(crate) struct MailMetrics {
    attempts: IntCounterVec,
}

metric_group!(MailMetrics { attempts });

impl Default for MailMetrics {
    fn default() -> Self {
        let help = "Attempts of this node to send a mail.";
        Self { attempts: counters("uptok_mail_attempts_total", help, "result", &["sent", "failed"]) }
    }
}

impl MailMetrics {
    pub(crate) fn record(&self, is_sent: bool) {
        self.attempts.with_label_values(&[if is_sent { "sent" } else { "failed" }]).inc();
    }
}

/// Work that waits in the database, for any node. Read when the metrics are.
#[derive(Clone)]
pub(crate) struct BacklogMetrics {
    pub(crate) imports: Gauge,
    pub(crate) outbox: Gauge,
}

metric_group!(BacklogMetrics { imports, outbox });

impl Default for BacklogMetrics {
    fn default() -> Self {
        Self {
            imports: decimal_gauge(
                "uptok_imports_waiting",
                "Imports that wait for a node or are under way on one; NaN if PostgreSQL did not answer.",
            ),
            outbox: decimal_gauge(
                "uptok_outbox_waiting",
                "Mails in the outbox that are not sent yet; NaN if PostgreSQL did not answer.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_groups_are_written_and_a_metric_in_progress_ends() {
        let (requests, database) = (RequestMetrics::default(), DatabaseMetrics::default());
        let registry = MetricsRegistry::new(&[&requests, &database]);
        requests.record("GET", "/api/sessions", 404, Duration::from_millis(3));
        let in_progress = InProgress::new(&database.pool_in_use);
        let line = |wanted: &str| {
            let text = registry.encode().unwrap();
            text.lines().find_map(|it| it.strip_prefix(wanted)).map(str::to_owned)
        };
        let class = "uptok_http_request_duration_seconds_count{method=\"GET\",route=\"/api/sessions\",status_class=\"4xx\"}";

        assert_eq!(line(class).unwrap(), " 1");
        assert_eq!(line("uptok_database_pool_in_use ").unwrap(), "1");
        drop(in_progress);
        assert_eq!(line("uptok_database_pool_in_use ").unwrap(), "0");
    }
}
