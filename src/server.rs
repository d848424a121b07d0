//! Serving: bind, answer, and stop without cutting anybody off.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix_web::{HttpServer, dev::Server};
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{AppState, app};

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

/// Begins to answer on `listener`, and with what is done beside answering. In a runtime.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(parts: &AppState, listener: TcpListener) -> anyhow::Result<Server> {
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
    let keeper = Arc::clone(&parts.keeper);
    actix_web::rt::spawn(async move { keeper.run().await });
    let watch = Arc::clone(&parts.expiry_watch);
    actix_web::rt::spawn(async move { watch.run().await });
    let worker = parts.worker.clone();
    actix_web::rt::spawn(async move { worker.run().await });
    Ok(server.run())
}

/// Answers until SIGTERM or SIGINT, then stops: `/readyz` says 503, after the drain time the listener closes, and what is
/// being answered is finished. A second signal cuts it off. At last what was counted is stored, unless one more signal
/// comes.
///
/// # Errors
/// When the server fails.
pub async fn run_until_stopped(
    parts: &AppState,
    server: Server,
    mut signals: StopSignals,
) -> anyhow::Result<()> {
    let handle = server.handle();
    let mut server = pin!(server);
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = signals.next() => {}
    }
    let drain = Duration::from_secs(parts.settings().drain_seconds);
    tracing::info!(drain_seconds = drain.as_secs(), "Stopping");
    parts.draining.begin();
    let finish = async {
        tokio::time::sleep(drain).await;
        // The server itself says when it has stopped.
        drop(handle.stop(true));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = &mut server => ended?,
        () = finish => {}
        () = signals.next() => tracing::warn!("Stopping at once"),
    }
    tokio::select! {
        () = parts.keeper.finish() => {}
        () = signals.next() => {}
    }
    Ok(())
}

/// SIGTERM and SIGINT, heard from the moment this is made: before that, one ends the process on the spot.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to listen, in a runtime.
    ///
    /// # Errors
    /// When the operating system does not let us.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
