//! The actix application: middleware in its order, and the routes of each room. The only place that sees all rooms.

use std::{sync::Arc, time::Duration};

use actix_cors::Cors;
use actix_session::{
    SessionMiddleware,
    config::{CookieContentSecurity, PersistentSession},
};
use actix_web::{
    App, Error,
    body::MessageBody,
    cookie::{Key, SameSite, time},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};

use crate::{
    accounts::{LoginThrottles, MaybeSignedIn, PasswordHasher, SignInStore, cookie_name},
    api::{self, OpenApiDocument},
    api_keys::{Authenticator, ExpiryJob, KeyHasher},
    audit::ChainKey,
    config::{CorsOrigin, Metering, Settings},
    db::Db,
    error::AppError,
    pages,
    questions::QuestionThrottle,
    secret::{InstallationSecret, KeyPurpose},
    sessions::{Exporter, ImportWorker, PageCache},
    usage::{self, UsageFlusher, UsageMeter},
    web::{
        assets, error_pages,
        health::{self, DrainState},
        page::PublicSite,
        request_log::{catch_panic, log_request},
        same_origin::refuse_cross_site,
        security_headers::set_security_headers,
    },
};

/// What all workers share.
#[derive(Clone)]
pub struct AppState {
    settings: Data<Settings>,
    site: Data<PublicSite>,
    document: Data<OpenApiDocument>,
    db: Data<Db>,
    gate: Data<Authenticator>,
    chain: Data<ChainKey>,
    passwords: Data<PasswordHasher>,
    login_throttles: Data<LoginThrottles>,
    question_throttle: Data<QuestionThrottle>,
    kept_pages: Arc<PageCache>,
    cookie_key: Arc<Key>,
    meter: Data<UsageMeter>,
    /// Goes through what is imported in the browser.
    pub worker: Data<ImportWorker>,
    /// Stores what is counted.
    pub keeper: Arc<UsageFlusher>,
    /// Writes down which keys have expired.
    pub expiry_watch: Arc<ExpiryJob>,
    /// Says that the process is about to stop.
    pub draining: Data<DrainState>,
}

impl AppState {
    /// Everything that the settings call for, with this database.
    ///
    /// # Errors
    /// When the database pool cannot be built or the operating system gives no random bytes.
    pub fn new(settings: Settings, database_url: &str, secret: &InstallationSecret) -> anyhow::Result<Self> {
        let wait = Duration::from_secs(settings.database_wait_seconds);
        let meter = Arc::new(UsageMeter::new(settings.metering == Metering::On));
        let chain = ChainKey::new(secret);
        let db = Db::new(database_url, settings.database_connections, wait)?;
        if let Some(reason) = db.no_pipeline() {
            tracing::info!(%reason, "Exports go through the pool of connections, which is slower");
        }
        Ok(Self {
            expiry_watch: Arc::new(ExpiryJob::new(db.clone(), &chain)),
            worker: Data::new(ImportWorker::new(db.clone(), chain.clone())),
            chain: Data::new(chain),
            keeper: Arc::new(UsageFlusher::new(Arc::clone(&meter), Db::new(database_url, 1, wait)?)),
            meter: Data::from(meter),
            document: Data::new(OpenApiDocument::new(&api::endpoints(), &settings.public_url.origin())),
            site: Data::new(PublicSite {
                origin: settings.public_url.origin(),
                is_https: settings.public_url.is_https(),
            }),
            db: Data::new(db),
            gate: Data::new(Authenticator::new(KeyHasher::new(secret), settings.bad_keys_per_minute)),
            passwords: Data::new(PasswordHasher::new()?),
            login_throttles: Data::new(LoginThrottles::per_minute(settings.logins_per_minute)),
            question_throttle: Data::new(QuestionThrottle::default()),
            kept_pages: Arc::new(PageCache::new(settings.page_cache_mib * 1024 * 1024)),
            cookie_key: Arc::new(Key::from(&secret.derive(KeyPurpose::SignInCookie))),
            draining: Data::new(DrainState::default()),
            settings: Data::new(settings),
        })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn provide(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.settings.clone())
            .app_data(self.site.clone())
            .app_data(self.document.clone())
            .app_data(self.db.clone())
            .app_data(self.gate.clone())
            .app_data(self.chain.clone())
            .app_data(self.passwords.clone())
            .app_data(self.login_throttles.clone())
            .app_data(self.question_throttle.clone())
            .app_data(self.meter.clone())
            .app_data(self.worker.clone())
            .app_data(self.draining.clone());
    }
}

/// The application of one worker.
///
/// In actix the last `wrap` is the outermost: read each list from its end.
#[expect(clippy::needless_pass_by_value, reason = "what the application holds must not borrow from here")]
pub fn app(
    parts: AppState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let api = web::scope("/api")
        .configure(api::routes)
        .default_service(web::to(nothing_here))
        .wrap(from_fn(catch_panic))
        .wrap(from_fn(usage::count))
        .wrap(from_fn(error_pages::as_problem_json))
        .wrap(cors(&parts.settings));
    let probes_and_files = |config: &mut ServiceConfig| {
        health::routes(config);
        assets::routes(config);
    };
    let page_scope = web::scope("")
        .configure(pages::register)
        .default_service(web::to(no_page_here))
        .wrap(from_fn(catch_panic))
        .wrap(sign_ins(&parts))
        .wrap(from_fn(refuse_cross_site))
        .wrap(from_fn(error_pages::as_page));
    App::new()
        .configure(|config| parts.provide(config))
        .app_data(Data::new(Exporter::new(&parts.db, Arc::clone(&parts.kept_pages))))
        .configure(probes_and_files)
        .service(api)
        .service(page_scope)
        .wrap(from_fn(set_security_headers))
        .wrap(from_fn(log_request))
}

async fn nothing_here() -> Result<String, AppError> {
    Err(AppError::NotFound)
}

/// Knows who is looking, so that the page that says it keeps the navigation.
async fn no_page_here(_visitor: MaybeSignedIn) -> Result<String, AppError> {
    Err(AppError::NotFound)
}

/// Any origin may read, or those that the operator named; never with credentials, and no cookie is looked at there.
fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers(["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"])
        .expose_headers([
            "X-Request-Id",
            "Retry-After",
            "Content-Disposition",
            "ETag",
            "Link",
            "Idempotency-Replayed",
            "RateLimit",
            "RateLimit-Policy",
        ])
        .max_age(3600);
    if settings.any_origin() {
        return cors.allow_any_origin().send_wildcard();
    }
    settings.cors_origins.iter().fold(cors, |cors, origin| match origin {
        CorsOrigin::Only(origin) => cors.allowed_origin(origin),
        CorsOrigin::Any => cors,
    })
}

fn sign_ins(parts: &AppState) -> SessionMiddleware<SignInStore> {
    let is_https = parts.site.is_https;
    let lifetime = PersistentSession::default().session_ttl(time::Duration::days(7));
    let store = SignInStore::new(parts.db.as_ref().clone(), parts.chain.as_ref().clone());
    SessionMiddleware::builder(store, (*parts.cookie_key).clone())
        .cookie_name(cookie_name(is_https).to_owned())
        .cookie_secure(is_https)
        .cookie_same_site(SameSite::Lax)
        .cookie_http_only(true)
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(lifetime)
        .build()
}
