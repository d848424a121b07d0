//! `uptok serve`.

use std::time::Duration;

use super::environment::{DatabaseHandle, say, secret};
use crate::{
    app::AppState,
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    db::Db,
    seeds, server,
    web::time,
};

pub(super) fn run(settings: Settings, demo: bool) -> anyhow::Result<()> {
    // Refused before anything is started.
    if settings.database_url().is_some() {
        secret(&settings)?;
    }
    let listener = server::bind(settings.listen)?;
    let database = DatabaseHandle::open(&settings)?;
    Db::migrate(&database.url)?;
    let secret = secret(&settings)?;
    if demo {
        let trail = AuditContext::new(&ChainKey::new(&secret), Actor::CommandLine);
        let db = Db::new(&database.url, 1, Duration::from_secs(settings.database_wait_seconds))?;
        if let Some(demo) = seeds::create(&mut *db.connect()?, &trail, time::now())? {
            say(&format!(
                "\n  Demo user   {}\n  Password    {}   (printed this once)\n  Client ID   {}\n",
                demo.email, demo.password, demo.client
            ))?;
        }
    }
    let state = AppState::new(settings, &database.url, &secret)?;
    actix_web::rt::System::new().block_on(async {
        let signals = server::StopSignals::new()?;
        let server = server::start(&state, listener)?;
        tracing::info!(listen = %state.settings().listen, public_url = state.settings().public_url.origin(), "Listening");
        say(&format!("Uptok is at {}", state.settings().public_url.origin()))?;
        server::run_until_stopped(&state, server, signals).await
    })
}
