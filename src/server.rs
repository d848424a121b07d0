//! Serving: bind, answer, and stop without cutting anybody off.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use actix_web::{
    HttpServer,
    dev::{Server, ServerHandle},
};
use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{Parts, app};

/// How long requests that are being answered may take after a stop, in seconds.
const FINISH_SECONDS: u64 = 25;

/// Takes the address that the settings name.
///
/// # Errors
/// When the address is taken or not ours.
pub fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .with_context(|| format!("cannot listen on {listen}; choose another with UPTOK_LISTEN"))
}

/// Begins to answer on `listener`.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(parts: &Parts, listener: TcpListener) -> anyhow::Result<Server> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shared = parts.clone();
    let server = HttpServer::new(move || app(shared.clone()))
        .workers(parts.settings().workers.map_or(cores, usize::from))
        .client_request_timeout(Duration::from_secs(5))
        .client_disconnect_timeout(Duration::from_secs(5))
        .keep_alive(Duration::from_secs(30))
        .shutdown_timeout(FINISH_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// Waits for SIGTERM or SIGINT, then stops: `/readyz` says 503, after the drain time the listener closes, and what is
/// being answered is finished. A second signal ends the process at once.
///
/// # Errors
/// When the operating system does not let us listen to signals.
pub fn stop_on_signal(parts: &Parts, handle: ServerHandle) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let draining = parts.draining.clone();
    let drain = Duration::from_secs(parts.settings().drain_seconds);
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(drain_seconds = drain.as_secs(), "Stopping");
        draining.begin();
        let finish = async {
            tokio::time::sleep(drain).await;
            handle.stop(true).await;
        };
        tokio::select! {
            () = finish => {}
            _ = terminate.recv() => handle.stop(false).await,
            _ = interrupt.recv() => handle.stop(false).await,
        }
    });
    Ok(())
}
