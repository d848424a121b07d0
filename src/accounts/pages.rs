//! Registering, logging in and logging out.

use std::net::IpAddr;

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    device_cookie::{self, DeviceCookieKey},
    display_name::DisplayName,
    email::EmailAddress,
    login_return::{HOME, LoginReturn},
    login_throttles::{DeviceAttempt, LoginThrottles},
    lost_form::{FieldView, LostForm},
    password::{NewPassword, PasswordHasher},
    sign_in::{
        extractor::{MaybeSignedIn, SignInOrigin, sign_in},
        table,
    },
    store::{self, LoginCandidate, NewUser, RegisterError},
};
use crate::{
    audit::{Actor, AuditContext},
    config::{Settings, SignUpPolicy},
    db::Db,
    error::AppError,
    mail::Outbox,
    web::{
        app_data::app_data,
        body::{FormFields, form::FormState},
        connection::client_address::{client_address, rate_limit_address},
        format::time,
        local_path::LocalPath,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum size of a form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
/// Maximum size of the login form, in bytes: it may carry another form.
const LOGIN_LIMIT: usize = 96 * 1024;
/// Maximum number of fields of the login form.
const LOGIN_FIELDS_MAX: usize = 272;
/// The same sentence for an unknown email and a wrong password, so that nobody learns which emails have an account.
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
    /// Whether to say that the visitor was logged out.
    was_logged_out: bool,
    hidden_fields: Vec<(String, String)>,
}

impl LoginPage {
    fn new(layout: PageLayout, can_register: bool, login_return: &LoginReturn) -> Self {
        let wants_page = login_return.path.is_some() || login_return.form.is_some();
        Self {
            layout,
            form: FormState::default(),
            can_register,
            was_logged_out: login_return.was_logged_in && wants_page,
            hidden_fields: login_return.hidden_fields(),
        }
    }
}

#[derive(Template)]
#[template(path = "accounts/continue.html")]
struct ContinuePage {
    layout: PageLayout,
    form: LostForm,
}

pub(crate) async fn show_register(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    if visitor.user.is_some() {
        return Ok(see_other(HOME));
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
    services.count_address(&request).await?;
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
    let user = NewUser { email, name, password_hash: services.hash_password(password).await? };
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
            sign_in(&session, user_id, &client, &SignInOrigin::new(&request, &audit_context))?;
            services.mark_browser(see_other(HOME), &request, &email, &password_hash)
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
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    let login_return = LoginReturn::from_query(&request, settings.public_url.is_https());
    if visitor.user.is_some() {
        return Ok(see_other(login_return.path.as_ref().map_or(HOME, LocalPath::as_str)));
    }
    let can_register = can_register(&db, settings.sign_up).await?;
    let layout = visitor.layout("Log in", NavSection::None);
    respond(StatusCode::OK, &LoginPage::new(layout, can_register, &login_return))
}

/// The login page as the answer to a form whose sign-in has ended. 403, because the form was not accepted.
pub(super) async fn show_login_again(
    services: &AccountServices,
    login_return: LoginReturn,
) -> Result<HttpResponse, AppError> {
    let can_register = can_register(&services.db, services.settings.sign_up).await?;
    let layout = PageLayout::signed_out("Log in", NavSection::None);
    respond(StatusCode::FORBIDDEN, &LoginPage::new(layout, can_register, &login_return))
}

/// Shows a form again, filled in, that was sent after the sign-in had ended. Without one, leads on.
pub(crate) async fn show_lost_form(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user("Send your form", NavSection::None)?;
    let id_hash = signed_in.id_hash().to_vec();
    let stored = db.run(move |connection| table::take_lost_form(connection, &id_hash)).await?;
    match stored.and_then(|json| serde_json::from_str::<LostForm>(&json).ok()) {
        Some(form) => respond(StatusCode::OK, &ContinuePage { layout, form }),
        None => Ok(see_other(HOME)),
    }
}

pub(crate) async fn login(
    request: HttpRequest,
    session: Session,
    fields: FormFields<LOGIN_LIMIT, LOGIN_FIELDS_MAX>,
    services: AccountServices,
    audit_context: AuditContext,
) -> Result<HttpResponse, AppError> {
    let login_return = LoginReturn::from_fields(&request, services.is_https(), &fields.iter());
    let email = fields.text("email").parse::<EmailAddress>().ok();
    let password = fields.text("password");
    let verified = services.verify_login(&request, email.as_ref(), password, audit_context.clone()).await?;
    let (Some(email), Some(user)) = (email, verified) else {
        let can_register = can_register(&services.db, services.settings.sign_up).await?;
        let layout = PageLayout::signed_out("Log in", NavSection::None);
        let mut page = LoginPage::new(layout, can_register, &login_return);
        page.form = page.form.keep("email", fields.text("email")).refuse("", WRONG_LOGIN);
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let origin = services.login_origin(&request, &audit_context, &email);
    sign_in(&session, user.user_id, user.client_id.as_ref(), &origin)?;
    let response = see_other(&login_return.finish(&session)?);
    services.mark_browser(response, &request, &email, &user.password_hash)
}

/// Records a failed login after the response, so that the response time does not reveal that the email has an
/// account.
fn record_failed_login(db: &Data<Db>, candidate: LoginCandidate, context: AuditContext) {
    let Some(client) = candidate.client_id else { return };
    let db = Data::clone(db);
    let context = context.by(Actor::Visitor);
    actix_web::rt::spawn(async move {
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

/// Extractor of what registration, login and invitations share.
pub(crate) struct AccountServices {
    pub(crate) db: Data<Db>,
    pub(super) passwords: Data<PasswordHasher>,
    pub(super) throttles: Data<LoginThrottles>,
    device_cookie_key: Data<DeviceCookieKey>,
    pub(super) settings: Data<Settings>,
    pub(super) outbox: Data<Outbox>,
}

impl AccountServices {
    pub(super) fn client_address(&self, request: &HttpRequest) -> IpAddr {
        rate_limit_address(client_address(request, &self.settings.trusted_proxies))
    }

    pub(super) fn is_https(&self) -> bool {
        self.settings.public_url.is_https()
    }

    /// Counts an attempt to register, or to create something else that fills the database, for the address.
    pub(crate) async fn count_address(&self, request: &HttpRequest) -> Result<(), AppError> {
        self.throttles.count_address(self.client_address(request)).await
    }

    pub(crate) async fn hash_password(&self, password: NewPassword) -> Result<String, AppError> {
        self.passwords.hash(password).await
    }

    /// The user with this email and password, after counting the attempt. `None` gets one and the same answer, after
    /// the same time: an unknown email, a wrong password or a disabled user. The audit log has the failure.
    pub(crate) async fn verify_login(
        &self,
        request: &HttpRequest,
        email: Option<&EmailAddress>,
        password: &str,
        context: AuditContext,
    ) -> Result<Option<LoginCandidate>, AppError> {
        let (candidate, device_attempt) = self.count_and_find(request, email).await?;
        let stored = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
        let is_enabled = candidate.as_ref().is_some_and(|candidate| candidate.is_enabled);
        let verified = self.passwords.verify(password, stored).await;
        let may_log_in = verified.map(|is_right| is_right && is_enabled);
        if let (Some(attempt), Ok(true) | Err(_)) = (device_attempt, &may_log_in) {
            attempt.give_back();
        }
        if may_log_in? {
            return Ok(candidate);
        }
        if let Some(candidate) = candidate {
            record_failed_login(&self.db, candidate, context);
        }
        Ok(None)
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
            self.throttles.count_stranger(self.client_address(request), email).await?;
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
            self.throttles.count_stranger(self.client_address(request), Some(email)).await?;
        }
        Ok((candidate, attempt))
    }

    /// Where a login comes from. The user is told by mail if the browser has not logged in to this account within a year.
    pub(crate) fn login_origin(
        &self,
        request: &HttpRequest,
        context: &AuditContext,
        email: &EmailAddress,
    ) -> SignInOrigin {
        let cookie = device_cookie::read_cookie(request, self.is_https());
        let is_new_device = self.device_cookie_key.find_entry(&cookie, email, today()).is_none();
        SignInOrigin::new(request, context).from_new_device(is_new_device)
    }

    /// Marks the browser for the next login to this account.
    pub(crate) fn mark_browser(
        &self,
        mut response: HttpResponse,
        request: &HttpRequest,
        email: &EmailAddress,
        password_hash: &str,
    ) -> Result<HttpResponse, AppError> {
        let before = device_cookie::read_cookie(request, self.is_https());
        let value = self.device_cookie_key.add_entry(&before, email, password_hash, today());
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
        std::future::ready((|| {
            Ok(Self {
                db: app_data(request)?,
                passwords: app_data(request)?,
                throttles: app_data(request)?,
                device_cookie_key: app_data(request)?,
                settings: app_data(request)?,
                outbox: app_data(request)?,
            })
        })())
    }
}
