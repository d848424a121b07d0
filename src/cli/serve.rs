//! `uptok serve`: runs the dashboard and the API until a stop signal.

use super::command_context::{DatabaseHandle, load_secret, print_line};
use crate::{
    app::AppState,
    audit::{Actor, AuditContext, ChainKey},
    config::Settings,
    db::Db,
    seeds,
    server::{self, Listeners},
    web::format::time,
};

pub(super) fn run(settings: Settings, demo: bool) -> anyhow::Result<()> {
    // Without a secret, fail before the port is bound and the database is migrated.
    if settings.database_url().is_some() {
        load_secret(&settings)?;
    }
    let listeners = Listeners::bind(&settings)?;
    let mut database = DatabaseHandle::open(&settings)?;
    database.set_up(&settings)?;
    let secret = load_secret(&settings)?;
    if demo {
        let context = AuditContext::new(&ChainKey::new(&secret), Actor::CommandLine);
        let db = Db::new(&database.url, 1, settings.database_timeouts())?;
        if let Some(demo) = seeds::create_demo_account(&mut *db.connect()?, &context, time::now())? {
            print_line(&format!(
                "\n  Demo user   {}\n  Password    {}   (shown only once)\n  Client ID   {}\n",
                demo.email, demo.password, demo.client
            ))?;
        }
    }
    let state = AppState::new(settings, &database.url, &secret)?;
    let database_failure = database.supervise()?;
    actix_web::rt::System::new().block_on(async {
        let signals = server::StopSignals::new()?;
        let server = server::start(&state, listeners)?;
        tracing::info!(listen = %state.settings().listen, public_url = state.settings().public_url.origin(), "Listening");
        print_line(&format!("Uptok is at {}", state.settings().public_url.origin()))?;
        tokio::select! {
            stopped = server::run_until_stopped(&state, server, signals) => stopped,
            error = database_failure => Err(error),
        }
    })
}
