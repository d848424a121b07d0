//! The probes: `/livez` (the process runs) and `/readyz` (database reachable and migrated, and not stopping).

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig, get, resource},
};

use crate::{db::Db, error::AppError};

/// Set when the process receives the signal to stop.
#[derive(Debug, Default)]
pub struct ShutdownFlag {
    is_draining: AtomicBool,
    is_finishing: AtomicBool,
}

impl ShutdownFlag {
    /// From now on `/readyz` answers 503.
    pub fn begin(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// From now on the process only waits for requests in progress.
    pub fn begin_finish(&self) {
        self.is_finishing.store(true, Ordering::Release);
    }

    pub(crate) fn is_finishing(&self) -> bool {
        self.is_finishing.load(Ordering::Acquire)
    }
}

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/livez").route(get().to(live)))
        .service(resource("/readyz").route(get().to(ready)));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("alive\n")
}

async fn ready(db: Data<Db>, draining: Data<ShutdownFlag>) -> Result<HttpResponse, AppError> {
    let reason = if draining.is_draining.load(Ordering::Acquire) {
        "stopping\n"
    } else {
        match db.is_ready().await {
            Ok(true) => return Ok(HttpResponse::Ok().content_type("text/plain").body("ready\n")),
            Ok(false) => "migrations are missing\n",
            Err(_unreachable) => "the database is not reachable\n",
        }
    };
    Ok(HttpResponse::ServiceUnavailable()
        .insert_header(("Retry-After", "1"))
        .content_type("text/plain")
        .body(reason))
}
