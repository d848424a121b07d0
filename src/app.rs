//! The actix application: shared state, middleware and routes.

use std::sync::Arc;

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
    accounts::{
        DeviceCookieKey, InvitationAcceptor, LoginThrottles, MaybeSignedIn, PasswordHasher, SecondFactors,
        SignInStore, complete_confirmed_form, cookie_name,
    },
    api::{self, OpenApiDocument},
    api_keys::{ExpiryJob, KeyAuthenticator, KeyHasher},
    audit::ChainKey,
    clients::{accept_with_login, offer_switch},
    config::{CorsOrigin, MeteringMode, Settings},
    db::Db,
    error::AppError,
    mail::{MailSender, Outbox},
    metrics::{MetricGroup, RefusalMetrics, RequestMetrics},
    metrics_endpoint::MetricsEndpoint,
    pages,
    questions::QuestionThrottle,
    rate_limits::{LimitExchange, SharedLimits},
    secret::{DerivedKeyPurpose, InstallationSecret},
    sessions::{BatchQueue, Exporter, ImportWorker, PageCache},
    usage::{self, UsageFlusher, UsageMeter},
    web::{
        assets,
        connection::response_body::send_piecewise,
        health::{self, ShutdownFlag},
        middleware::{
            compression::compress_page,
            error_responses,
            request_log::{catch_panic, log_request},
            same_origin::refuse_cross_site,
            security_headers::set_security_headers,
        },
        page::{PublicSite, theme::apply_theme},
    },
};

/// The state that all workers share.
#[derive(Clone)]
pub struct AppState {
    settings: Data<Settings>,
    public_site: Data<PublicSite>,
    openapi_document: Data<OpenApiDocument>,
    db: Data<Db>,
    authenticator: Data<KeyAuthenticator>,
    chain_key: Data<ChainKey>,
    password_hasher: Data<PasswordHasher>,
    login_throttles: Data<LoginThrottles>,
    device_cookie_key: Data<DeviceCookieKey>,
    second_factors: Data<SecondFactors>,
    question_throttle: Data<QuestionThrottle>,
    page_cache: Arc<PageCache>,
    cookie_key: Arc<Key>,
    batch_queue: Data<BatchQueue>,
    usage_meter: Data<UsageMeter>,
    pub import_worker: Data<ImportWorker>,
    pub usage_flusher: Arc<UsageFlusher>,
    pub expiry_job: Arc<ExpiryJob>,
    pub mail_sender: Arc<MailSender>,
    outbox: Data<Outbox>,
    pub drain_state: Data<ShutdownFlag>,
    request_metrics: Data<RequestMetrics>,
    pub(crate) metrics_endpoint: Data<MetricsEndpoint>,
}

impl AppState {
    /// Builds the state for these settings and this database.
    ///
    /// # Errors
    /// If the database pool cannot be built or the random generator fails.
    pub fn new(settings: Settings, database_url: &str, secret: &InstallationSecret) -> anyhow::Result<Self> {
        let timeouts = settings.database_timeouts();
        let usage_meter = Arc::new(UsageMeter::new(settings.metering == MeteringMode::On));
        let chain_key = ChainKey::new(secret);
        let db = Db::new(database_url, settings.database_connections, timeouts)?;
        if let Some(reason) = db.no_pipeline() {
            tracing::info!(%reason, "Exports go through the pool of connections, which is slower");
        }
        let outbox = Outbox::new(&settings, secret);
        let mail_sender = Arc::new(MailSender::new(&settings, db.clone(), secret)?);
        let import_worker = Data::new(ImportWorker::new(db.clone(), chain_key.clone()));
        let limits = Arc::new(SharedLimits::new(secret, settings.bad_keys_per_minute));
        let flush_db = db.with_pool_of(1)?;
        let exchange = LimitExchange::new(Arc::clone(&limits));
        let usage_flusher = Arc::new(UsageFlusher::new(Arc::clone(&usage_meter), flush_db, exchange));
        let (requests, refusals) = (RequestMetrics::default(), RefusalMetrics::default());
        let authenticator = KeyAuthenticator::new(KeyHasher::new(secret), Arc::clone(&limits), &refusals);
        let login_throttles = LoginThrottles::new(settings.logins_per_minute, &db, &limits, &refusals);
        let groups: [&dyn MetricGroup; 4] =
            [&requests, &refusals, import_worker.metrics(), mail_sender.metrics()];
        Ok(Self {
            metrics_endpoint: Data::new(MetricsEndpoint::new(&db, &usage_flusher, &groups)),
            request_metrics: Data::new(requests),
            mail_sender,
            second_factors: Data::new(SecondFactors::new(secret, outbox.clone())),
            outbox: Data::new(outbox),
            expiry_job: Arc::new(ExpiryJob::new(db.clone(), &chain_key)),
            import_worker,
            chain_key: Data::new(chain_key),
            usage_flusher,
            usage_meter: Data::from(usage_meter),
            openapi_document: Data::new(OpenApiDocument::new(
                &api::endpoints(),
                &settings.public_url.origin(),
            )),
            public_site: Data::new(public_site(&settings)),
            authenticator: Data::new(authenticator),
            password_hasher: Data::new(PasswordHasher::new()?),
            login_throttles: Data::new(login_throttles),
            device_cookie_key: Data::new(DeviceCookieKey::new(secret)),
            db: Data::new(db),
            question_throttle: Data::new(QuestionThrottle::new(limits, &refusals)),
            page_cache: Arc::new(PageCache::new(settings.page_cache_mib * 1024 * 1024)),
            batch_queue: Data::new(BatchQueue::new(settings.database_connections)),
            cookie_key: Arc::new(Key::from(&secret.derive(DerivedKeyPurpose::SignInCookie))),
            drain_state: Data::new(ShutdownFlag::default()),
            settings: Data::new(settings),
        })
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn provide(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.settings.clone())
            .app_data(self.public_site.clone())
            .app_data(self.openapi_document.clone())
            .app_data(self.db.clone())
            .app_data(Data::new(pages::page_paths()))
            .app_data(self.authenticator.clone())
            .app_data(self.chain_key.clone())
            .app_data(self.password_hasher.clone())
            .app_data(self.login_throttles.clone())
            .app_data(self.device_cookie_key.clone())
            .app_data(self.second_factors.clone())
            .app_data(Data::new(InvitationAcceptor::new(accept_with_login)))
            .app_data(self.outbox.clone())
            .app_data(self.question_throttle.clone())
            .app_data(self.batch_queue.clone())
            .app_data(self.usage_meter.clone())
            .app_data(self.import_worker.clone())
            .app_data(self.drain_state.clone());
        if self.settings.metrics_listen.is_some() {
            config.app_data(self.request_metrics.clone());
        }
    }
}

fn public_site(settings: &Settings) -> PublicSite {
    PublicSite { origin: settings.public_url.origin(), is_https: settings.public_url.is_https() }
}

/// The application of one worker thread.
///
/// In actix the last `wrap` is the outermost, so each list reads from its end.
#[expect(clippy::needless_pass_by_value, reason = "the application must not borrow from the state")]
pub fn app(
    state: AppState,
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
        .default_service(web::to(endpoint_not_found))
        .wrap(from_fn(catch_panic))
        .wrap(from_fn(usage::count_request))
        .wrap(from_fn(error_responses::as_problem_json))
        .wrap(cors(&state.settings));
    let probes_and_files = |config: &mut ServiceConfig| {
        health::routes(config);
        assets::routes(config);
    };
    let page_scope = web::scope("")
        .configure(pages::register)
        .default_service(web::to(page_not_found))
        .wrap(from_fn(catch_panic))
        .wrap(from_fn(offer_switch))
        .wrap(from_fn(complete_confirmed_form))
        .wrap(sign_in_middleware(&state))
        .wrap(from_fn(refuse_cross_site))
        .wrap(from_fn(error_responses::as_page))
        .wrap(from_fn(apply_theme))
        .wrap(from_fn(compress_page));
    App::new()
        .configure(|config| state.provide(config))
        .app_data(Data::new(Exporter::new(&state.db, Arc::clone(&state.page_cache))))
        .configure(probes_and_files)
        .service(api)
        .service(page_scope)
        .wrap(from_fn(set_security_headers))
        .wrap(from_fn(log_request))
        .wrap(from_fn(send_piecewise))
}

async fn endpoint_not_found() -> Result<String, AppError> {
    Err(AppError::NotFound)
}

/// Extracts the visitor, so that the error page has the navigation of a signed-in user.
async fn page_not_found(_visitor: MaybeSignedIn) -> Result<String, AppError> {
    Err(AppError::NotFound)
}

/// Allows any origin or those in the settings, never with credentials: the API reads no cookies. All methods are
/// allowed alike: CORS protects what a browser sends by itself, but a page that sends a key already has it.
fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers(["Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"])
        .expose_headers([
            "X-Request-Id",
            "Retry-After",
            "Content-Disposition",
            "ETag",
            "Link",
            "Location",
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

fn sign_in_middleware(state: &AppState) -> SessionMiddleware<SignInStore> {
    let is_https = state.public_site.is_https;
    let lifetime = PersistentSession::default().session_ttl(time::Duration::days(7));
    let store = SignInStore::new(
        state.db.as_ref().clone(),
        state.chain_key.as_ref().clone(),
        state.outbox.as_ref().clone(),
    );
    // Not `Strict`, or someone who follows a mailed link from webmail would seem logged out.
    SessionMiddleware::builder(store, (*state.cookie_key).clone())
        .cookie_name(cookie_name(is_https).to_owned())
        .cookie_secure(is_https)
        .cookie_same_site(SameSite::Lax)
        .cookie_http_only(true)
        .cookie_content_security(CookieContentSecurity::Signed)
        .session_lifecycle(lifetime)
        .build()
}
