//! `GET /metrics`, on a listener of its own.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{Data, ServiceConfig, get, head, resource},
};
use prometheus::TEXT_FORMAT;
use tokio::time::timeout;

use crate::{
    db::Db,
    error::AppError,
    mail,
    metrics::{BacklogMetrics, MetricGroup, MetricsRegistry},
    sessions,
    usage::UsageFlusher,
};

/// Time limit for what is counted in the database. Prometheus waits 10 seconds, and must learn the rest in any case.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(1);

/// What a response is made of.
pub(crate) struct MetricsEndpoint {
    registry: MetricsRegistry,
    backlog: BacklogMetrics,
    db: Db,
    usage_flusher: Arc<UsageFlusher>,
}

/// The routes of the listener. It serves nothing else.
pub(crate) fn routes(endpoint: Data<MetricsEndpoint>) -> impl FnOnce(&mut ServiceConfig) {
    |config| {
        let metrics = resource("/metrics").route(get().to(show)).route(head().to(show));
        config.app_data(endpoint).service(metrics);
    }
}

async fn show(endpoint: Data<MetricsEndpoint>) -> Result<HttpResponse, AppError> {
    endpoint.count_backlog().await;
    endpoint.usage_flusher.metrics();
    let text = endpoint.registry.encode().map_err(AppError::broken)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, TEXT_FORMAT))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

impl MetricsEndpoint {
    /// `others` are the metrics that are only counted.
    pub(crate) fn new(db: &Db, usage_flusher: &Arc<UsageFlusher>, others: &[&dyn MetricGroup]) -> Self {
        let backlog = BacklogMetrics::default();
        let own: [&dyn MetricGroup; 4] =
            [&backlog, db.metrics(), usage_flusher.metrics(), usage_flusher.exchange_metrics()];
        let registry = MetricsRegistry::new(&[own.as_slice(), others].concat());
        Self { registry, backlog, db: db.clone(), usage_flusher: Arc::clone(usage_flusher) }
    }

    async fn count_backlog(&self) {
        let counted = self.db.run(|connection| {
            let imports = sessions::count_waiting_imports(connection)?;
            Ok::<_, AppError>((imports, mail::count_waiting(connection)?))
        });
        let counted = timeout(BACKLOG_TIMEOUT, counted).await;
        let (imports, outbox) = match counted {
            Ok(Ok((imports, outbox))) => (as_sample(imports), as_sample(outbox)),
            _ => (f64::NAN, f64::NAN),
        };
        self.backlog.imports.set(imports);
        self.backlog.outbox.set(outbox);
    }
}

/// Samples of Prometheus are floating-point numbers.
fn as_sample(count: i64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
