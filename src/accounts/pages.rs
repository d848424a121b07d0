//! Registering, logging in and logging out.

use std::net::IpAddr;

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    device_cookie::{self, DeviceCookieKey},
    display_name::DisplayName,
    email::EmailAddress,
    login_throttles::{DeviceAttempt, LoginThrottles},
    password::{NewPassword, PasswordHasher},
    sign_in::{
        extractor::{MaybeSignedIn, sign_in},
        table,
    },
    store::{self, LoginCandidate, NewUser, RegisterError},
};
use crate::{
    audit::{Actor, AuditContext},
    config::{Settings, SignUpPolicy},
    db::Db,
    error::AppError,
    web::{
        body::FormFields,
        client_address::{client_address, rate_limit_address},
        form::FormState,
        message::Message,
        page::{NavSection, PageLayout, respond, see_other},
        time,
    },
};

/// Maximum size of a form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
/// The same sentence for an unknown e-mail and a wrong password, so that nobody learns which e-mails have an account.
const WRONG_LOGIN: &str = "Wrong email or password.";

#[derive(Template)]
#[template(path = "accounts/register.html")]
struct RegisterPage {
    layout: PageLayout,
    form: FormState,
    /// `false` shows that registering is closed.
    is_open: bool,
}

impl RegisterPage {
    fn respond(status: StatusCode, form: FormState, is_open: bool) -> Result<HttpResponse, AppError> {
        respond(
            status,
            &Self { layout: PageLayout::signed_out("Create an account", NavSection::None), form, is_open },
        )
    }
}

#[derive(Template)]
#[template(path = "accounts/login.html")]
struct LoginPage {
    layout: PageLayout,
    form: FormState,
    can_register: bool,
}

pub(crate) async fn show_register(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    if visitor.signed_in.is_some() {
        return Ok(see_other("/settings/api-keys"));
    }
    let is_open = can_register(&db, settings.sign_up).await?;
    RegisterPage::respond(StatusCode::OK, FormState::default(), is_open)
}

async fn can_register(db: &Db, sign_up: SignUpPolicy) -> Result<bool, AppError> {
    match sign_up {
        SignUpPolicy::Open => Ok(true),
        SignUpPolicy::Closed => Ok(false),
        SignUpPolicy::First => db.run(store::any_user).await.map(|any| !any),
    }
}

pub(crate) async fn register(
    request: HttpRequest,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
    audit_context: AuditContext,
) -> Result<HttpResponse, AppError> {
    services.throttles.count_address(services.client_address(&request))?;
    let sign_up = services.settings.sign_up;
    if !can_register(&services.db, sign_up).await? {
        return RegisterPage::respond(StatusCode::FORBIDDEN, FormState::default(), false);
    }
    let mut form = FormState::default()
        .keep("name", fields.text("name"))
        .keep("company", fields.text("company"))
        .keep("email", fields.text("email"));
    let Some((name, company, email, password)) = parse_registration(&mut form, &fields) else {
        return RegisterPage::respond(StatusCode::UNPROCESSABLE_ENTITY, form, true);
    };
    let user = NewUser { email, name, password_hash: services.passwords.hash(password).await? };
    let (email, password_hash) = (user.email.clone(), user.password_hash.clone());
    let register_context = audit_context.clone();
    let stored = services.db.run(move |connection| {
        match store::register(connection, &register_context, &user, &company, sign_up == SignUpPolicy::First)
        {
            Err(RegisterError::Database(error)) => Err(error),
            outcome => Ok(outcome),
        }
    });
    match stored.await? {
        Ok((user_id, client)) => {
            sign_in(&session, user_id, &client, &audit_context)?;
            services.respond_to_login(&request, &email, &password_hash)
        }
        Err(RegisterError::EmailTaken) => {
            let form = form.refuse("email", "This email already has an account. Log in instead.");
            RegisterPage::respond(StatusCode::UNPROCESSABLE_ENTITY, form, true)
        }
        Err(_closed) => RegisterPage::respond(StatusCode::FORBIDDEN, FormState::default(), false),
    }
}

fn parse_registration(
    form: &mut FormState,
    fields: &FormFields<FORM_LIMIT>,
) -> Option<(DisplayName, DisplayName, EmailAddress, NewPassword)> {
    let [name, company, email] = ["name", "company", "email"].map(|field| fields.text(field));
    let about = [name, company, email];
    let name = form.check("name", name.parse());
    let company = form.check("company", company.parse());
    let email = form.check("email", email.parse());
    let password = form.check("password", NewPassword::parse(fields.text("password"), &about));
    Some((name?, company?, email?, password?))
}

pub(crate) async fn show_login(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    if visitor.signed_in.is_some() {
        return Ok(see_other("/settings/api-keys"));
    }
    let can_register = can_register(&db, settings.sign_up).await?;
    let layout = visitor.layout("Log in", NavSection::None);
    respond(StatusCode::OK, &LoginPage { layout, form: FormState::default(), can_register })
}

pub(crate) async fn login(
    request: HttpRequest,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
    audit_context: AuditContext,
) -> Result<HttpResponse, AppError> {
    let email = fields.text("email").parse::<EmailAddress>().ok();
    let (candidate, device_attempt) = services.count_and_find(&request, email.as_ref()).await?;
    let stored = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
    // A disabled user gets the answer for a wrong password, after the same time. The audit log records it.
    let is_enabled = candidate.as_ref().is_some_and(|candidate| candidate.is_enabled);
    let verified = services.passwords.verify(fields.text("password"), stored).await;
    let may_log_in = verified.map(|is_right| is_right && is_enabled);
    if let (Some(attempt), Ok(true) | Err(_)) = (device_attempt, &may_log_in) {
        attempt.give_back();
    }
    let may_log_in = may_log_in?;
    match (email, candidate) {
        (Some(email), Some(candidate)) if may_log_in => {
            sign_in(&session, candidate.user_id, &candidate.client_id, &audit_context)?;
            services.respond_to_login(&request, &email, &candidate.password_hash)
        }
        (_, candidate) => {
            if let Some(candidate) = candidate {
                record_failed_login(&services.db, candidate, audit_context);
            }
            let form = FormState::default().keep("email", fields.text("email")).refuse("", WRONG_LOGIN);
            let can_register = can_register(&services.db, services.settings.sign_up).await?;
            let layout = PageLayout::signed_out("Log in", NavSection::None);
            respond(StatusCode::UNPROCESSABLE_ENTITY, &LoginPage { layout, form, can_register })
        }
    }
}

/// Records a failed login after the response, so that the response time does not reveal that the e-mail has an
/// account.
fn record_failed_login(db: &Data<Db>, candidate: LoginCandidate, context: AuditContext) {
    let db = Data::clone(db);
    let context = context.by(Actor::Visitor);
    actix_web::rt::spawn(async move {
        let client = candidate.client_id;
        let written =
            db.run(move |connection| table::record_failed(connection, &client, &context, candidate.user_id));
        if let Err(error) = written.await {
            tracing::error!(?error, "A failed login is not in the audit log");
        }
    });
}

pub(crate) async fn logout(session: Session) -> HttpResponse {
    session.purge();
    see_other("/login")
}

/// Extractor of what registration and login share.
pub(crate) struct AccountServices {
    db: Data<Db>,
    passwords: Data<PasswordHasher>,
    throttles: Data<LoginThrottles>,
    device_cookie_key: Data<DeviceCookieKey>,
    settings: Data<Settings>,
}

impl AccountServices {
    fn client_address(&self, request: &HttpRequest) -> IpAddr {
        rate_limit_address(client_address(request, &self.settings.trusted_proxies))
    }

    fn is_https(&self) -> bool {
        self.settings.public_url.is_https()
    }

    /// Counts an attempt to log in, and finds the user.
    ///
    /// A browser that has logged in to the account before has an allowance of its own. All other attempts count for
    /// their address and their account, before the query; those whose device cookie turns out to be outdated, after it.
    async fn count_and_find(
        &self,
        request: &HttpRequest,
        email: Option<&EmailAddress>,
    ) -> Result<(Option<LoginCandidate>, Option<DeviceAttempt>), AppError> {
        let cookie = device_cookie::read_cookie(request, self.is_https());
        let entry = email.and_then(|email| self.device_cookie_key.find_entry(&cookie, email, today()));
        if entry.is_none() {
            self.throttles.count_stranger(self.client_address(request), email)?;
        }
        let Some(email) = email else { return Ok((None, None)) };
        let wanted = email.clone();
        let candidate = self.db.run(move |connection| store::login_candidate(connection, &wanted)).await?;
        let Some(entry) = entry else { return Ok((candidate, None)) };
        let attempt = candidate
            .as_ref()
            .filter(|user| self.device_cookie_key.has_same_password(&entry, &user.password_hash))
            .and_then(|_known| self.throttles.count_device(&entry));
        if attempt.is_none() {
            self.throttles.count_stranger(self.client_address(request), Some(email))?;
        }
        Ok((candidate, attempt))
    }

    /// Redirects a user who has just logged in, and marks the browser for the next login to this account.
    fn respond_to_login(
        &self,
        request: &HttpRequest,
        email: &EmailAddress,
        password_hash: &str,
    ) -> Result<HttpResponse, AppError> {
        let before = device_cookie::read_cookie(request, self.is_https());
        let value = self.device_cookie_key.add_entry(&before, email, password_hash, today());
        let mut response = see_other("/settings/api-keys");
        response
            .add_cookie(&device_cookie::build_cookie(value, self.is_https()))
            .map_err(|error| AppError::broken(error.to_string()))?;
        Ok(response)
    }
}

/// The day by this machine's clock, in days since 1970.
fn today() -> i64 {
    time::now().timestamp().div_euclid(24 * 60 * 60)
}

impl actix_web::FromRequest for AccountServices {
    type Error = AppError;
    type Future = std::future::Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut actix_web::dev::Payload) -> Self::Future {
        fn data<T: 'static>(request: &HttpRequest) -> Result<Data<T>, AppError> {
            request
                .app_data()
                .cloned()
                .ok_or_else(|| AppError::broken("app.rs does not provide what a page needs"))
        }
        std::future::ready((|| {
            Ok(Self {
                db: data(request)?,
                passwords: data(request)?,
                throttles: data(request)?,
                device_cookie_key: data(request)?,
                settings: data(request)?,
            })
        })())
    }
}
