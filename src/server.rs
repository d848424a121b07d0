//! Runs the HTTP server and shuts it down gracefully.

use std::{
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::{
    App,
    dev::{AppConfig, Server, fn_service},
    rt::net::TcpStream,
};
use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    app::{AppState, app},
    config::Settings,
    metrics_endpoint,
    web::connection::{ClientConnection, ProgressTimeouts},
};

/// Time that requests in progress have to complete after the listener has closed.
const FINISH_SECONDS: u64 = 25;

/// The addresses that the server listens on.
pub struct Listeners {
    pub http: TcpListener,
    /// Serves `/metrics` and nothing else.
    pub metrics: Option<TcpListener>,
}

impl Listeners {
    /// Called before the database is opened, so that an address in use is reported at once.
    ///
    /// # Errors
    /// If an address is in use or does not belong to this machine.
    pub fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let metrics = settings.metrics_listen.map(|address| bind(address, "UPTOK_METRICS_LISTEN"));
        Ok(Self { http: bind(settings.listen, "UPTOK_LISTEN")?, metrics: metrics.transpose()? })
    }
}

fn bind(listen: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .with_context(|| format!("cannot listen on {listen}; choose another with {variable}"))
}

/// Starts the server and the background jobs. Must be called in an actix runtime.
///
/// # Errors
/// If a listener cannot be used.
pub fn start(state: &AppState, listeners: Listeners) -> anyhow::Result<Server> {
    let server = listen(state, listeners)?;
    let usage_flusher = Arc::clone(&state.usage_flusher);
    actix_web::rt::spawn(async move { usage_flusher.run().await });
    let expiry_job = Arc::clone(&state.expiry_job);
    actix_web::rt::spawn(async move { expiry_job.run().await });
    let mail_sender = Arc::clone(&state.mail_sender);
    actix_web::rt::spawn(async move { mail_sender.run().await });
    let import_worker = state.import_worker.clone();
    actix_web::rt::spawn(async move { import_worker.run().await });
    Ok(server)
}

/// Starts the workers. As `HttpServer` of actix does it, which serves only connections that it opened itself.
fn listen(state: &AppState, listeners: Listeners) -> anyhow::Result<Server> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let address = listeners.http.local_addr()?;
    let metrics_endpoint = state.metrics_endpoint.clone();
    let state = state.clone();
    let builder = Server::build()
        .workers(state.settings().workers.map_or(cores, usize::from))
        .shutdown_timeout(FINISH_SECONDS)
        .disable_signals();
    let shutdown = builder.graceful_shutdown_signal();
    let builder = builder.listen("http", listeners.http, move || {
        let shutdown = shutdown.clone();
        let application = app(state.clone()).into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .client_request_timeout(Duration::from_secs(5))
            .client_disconnect_timeout(Duration::from_secs(5))
            .keep_alive(Duration::from_secs(30))
            .local_addr(address)
            .on_connect_ext(|connection: &ClientConnection, extensions| {
                extensions.insert(connection.reset_on_close());
            })
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            .finish(map_config(application, |()| AppConfig::default()));
        let drain_state = state.drain_state.clone();
        fn_service(move |stream: TcpStream| {
            let client_address = stream.peer_addr().ok();
            let connection = ClientConnection::new(stream, ProgressTimeouts::default(), drain_state.clone());
            ready(Ok::<_, DispatchError>((connection, Protocol::Http1, client_address)))
        })
        .and_then(http)
    })?;
    let Some(listener) = listeners.metrics else { return Ok(builder.run()) };
    // Prometheus is trusted, so this listener has no other timeouts than those of actix.
    let builder = builder.listen("metrics", listener, move || {
        let metrics = App::new().configure(metrics_endpoint::routes(metrics_endpoint.clone()));
        let metrics = metrics.into_factory().map_err(|error| error.error_response());
        HttpService::build().finish(map_config(metrics, |()| AppConfig::default())).tcp()
    })?;
    Ok(builder.run())
}

/// Serves requests until SIGTERM or SIGINT, then shuts down in three steps:
///
/// 1. `/readyz` returns 503 for the drain time, so that load balancers send no more requests.
/// 2. The listener closes, and requests in progress get 25 seconds to complete, those of clients that take nothing 5. A
///    second signal ends both steps at once.
/// 3. Request counts that are still in memory are stored. Another signal skips this.
///
/// # Errors
/// If the server fails.
pub async fn run_until_stopped(
    state: &AppState,
    server: Server,
    mut signals: StopSignals,
) -> anyhow::Result<()> {
    let handle = server.handle();
    let mut server = pin!(server);
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = signals.next() => {}
    }
    let drain = Duration::from_secs(state.settings().drain_seconds);
    tracing::info!(drain_seconds = drain.as_secs(), "Stopping");
    state.drain_state.begin();
    let finish = async {
        tokio::time::sleep(drain).await;
        state.drain_state.begin_finish();
        // No need to wait here: `server` completes once it has stopped.
        drop(handle.stop(true));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = &mut server => ended?,
        () = finish => {}
        () = signals.next() => tracing::warn!("Stopping at once"),
    }
    tokio::select! {
        () = state.usage_flusher.finish() => {}
        () = signals.next() => {}
    }
    Ok(())
}

/// Handlers for SIGTERM and SIGINT. Until it is created, either signal kills the process immediately.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Installs the handlers. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// If the operating system refuses to install them.
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
