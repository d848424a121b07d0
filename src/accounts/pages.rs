//! Register, log in, log out.

use std::{net::IpAddr, num::NonZeroU32};

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    display_name::DisplayName,
    email::EmailAddress,
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
    ids::ClientId,
    web::{
        body::FormFields,
        client_address::{client_address, counted_as},
        form::FormState,
        page::{NavSection, PageLayout, respond, see_other},
        throttle::Throttle,
    },
};

/// Forms of this room have at most so many bytes.
const FORM_LIMIT: usize = 16 * 1024;
/// One sentence for an unknown e-mail and a wrong password.
const WRONG_LOGIN: &str = "This e-mail and password do not belong together.";

/// How often somebody may try to log in or register: per address, and per account.
pub struct LoginThrottles {
    addresses: Throttle<IpAddr>,
    accounts: Throttle<String>,
}

impl LoginThrottles {
    /// `tries` per minute for each address and for each account.
    #[must_use]
    pub fn per_minute(tries: NonZeroU32) -> Self {
        Self { addresses: Throttle::per_minute(tries), accounts: Throttle::per_minute(tries) }
    }
}

#[derive(Template)]
#[template(path = "accounts/register.html")]
struct RegisterPage {
    layout: PageLayout,
    form: FormState,
    /// Whether registering is possible at all.
    is_open: bool,
}

impl RegisterPage {
    fn page(status: StatusCode, form: FormState, is_open: bool) -> Result<HttpResponse, AppError> {
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
    /// Whether to offer registering.
    may_register: bool,
}

pub(crate) async fn show_register(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    if visitor.signed_in.is_some() {
        return Ok(see_other("/settings/api-keys"));
    }
    let is_open = may_register(&db, settings.sign_up).await?;
    RegisterPage::page(StatusCode::OK, FormState::default(), is_open)
}

async fn may_register(db: &Db, sign_up: SignUpPolicy) -> Result<bool, AppError> {
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
    desk: AccountServices,
    trail: AuditContext,
) -> Result<HttpResponse, AppError> {
    desk.throttles.addresses.count(&desk.address(&request))?;
    let sign_up = desk.settings.sign_up;
    if !may_register(&desk.db, sign_up).await? {
        return RegisterPage::page(StatusCode::FORBIDDEN, FormState::default(), false);
    }
    let mut form = FormState::default()
        .keep("name", fields.text("name"))
        .keep("company", fields.text("company"))
        .keep("email", fields.text("email"));
    let Some((name, company, email, password)) = parsed_registration(&mut form, &fields) else {
        return RegisterPage::page(StatusCode::UNPROCESSABLE_ENTITY, form, true);
    };
    let user = NewUser { email, name, password_hash: desk.passwords.hash(password).await? };
    let registering = trail.clone();
    let stored = desk.db.run(move |connection| {
        match store::register(connection, &registering, &user, &company, sign_up == SignUpPolicy::First) {
            Err(RegisterError::Database(error)) => Err(error),
            outcome => Ok(outcome),
        }
    });
    match stored.await? {
        Ok((user_id, client)) => {
            sign_in(&session, user_id, &client, &trail)?;
            Ok(see_other("/settings/api-keys"))
        }
        Err(RegisterError::EmailTaken) => {
            let form = form.refuse("email", "This e-mail has an account already. Log in instead.");
            RegisterPage::page(StatusCode::UNPROCESSABLE_ENTITY, form, true)
        }
        Err(_closed) => RegisterPage::page(StatusCode::FORBIDDEN, FormState::default(), false),
    }
}

fn parsed_registration(
    form: &mut FormState,
    fields: &FormFields<FORM_LIMIT>,
) -> Option<(DisplayName, DisplayName, EmailAddress, NewPassword)> {
    let [name, company, email] = ["name", "company", "email"].map(|field| fields.text(field));
    let about = [name, company, email];
    let password = form.check("password", NewPassword::parse(fields.text("password"), &about));
    let name = form.check("name", name.parse());
    let company = form.check("company", company.parse());
    let email = form.check("email", email.parse());
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
    let may_register = may_register(&db, settings.sign_up).await?;
    let layout = visitor.layout("Log in", NavSection::None);
    respond(StatusCode::OK, &LoginPage { layout, form: FormState::default(), may_register })
}

pub(crate) async fn login(
    request: HttpRequest,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    desk: AccountServices,
    trail: AuditContext,
) -> Result<HttpResponse, AppError> {
    desk.throttles.addresses.count(&desk.address(&request))?;
    let email = fields.text("email").parse::<EmailAddress>().ok();
    let candidate = match email {
        Some(email) => {
            desk.throttles.accounts.count(&email.as_str().to_owned())?;
            desk.db.run(move |connection| store::login_candidate(connection, &email)).await?
        }
        None => None,
    };
    let stored = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
    let is_right = desk.passwords.verify(fields.text("password"), stored).await?;
    match candidate {
        // Whoever is disabled is answered like a wrong password, in the same time, and is told in the audit log.
        Some(candidate) if is_right && candidate.is_enabled => {
            let client = ClientId::from_database(candidate.client_id);
            sign_in(&session, candidate.user_id, &client, &trail)?;
            Ok(see_other("/settings/api-keys"))
        }
        wrong => {
            if let Some(candidate) = wrong {
                note_failed(&desk.db, candidate, trail);
            }
            let form = FormState::default().keep("email", fields.text("email")).refuse("", WRONG_LOGIN);
            let may_register = may_register(&desk.db, desk.settings.sign_up).await?;
            let layout = PageLayout::signed_out("Log in", NavSection::None);
            respond(StatusCode::UNPROCESSABLE_ENTITY, &LoginPage { layout, form, may_register })
        }
    }
}

/// Writes a failed login down after the answer is made: how long it takes must not tell that the e-mail is known.
fn note_failed(db: &Data<Db>, candidate: LoginCandidate, trail: AuditContext) {
    let db = Data::clone(db);
    let trail = trail.by(Actor::Visitor);
    actix_web::rt::spawn(async move {
        let client = ClientId::from_database(candidate.client_id);
        let written =
            db.run(move |connection| table::note_failed(connection, &client, &trail, candidate.user_id));
        if let Err(error) = written.await {
            tracing::error!(?error, "A failed login is not in the audit log");
        }
    });
}

pub(crate) async fn logout(session: Session) -> HttpResponse {
    session.purge();
    see_other("/login")
}

/// What registering and logging in need at hand.
pub(crate) struct AccountServices {
    db: Data<Db>,
    passwords: Data<PasswordHasher>,
    throttles: Data<LoginThrottles>,
    settings: Data<Settings>,
}

impl AccountServices {
    fn address(&self, request: &HttpRequest) -> IpAddr {
        counted_as(client_address(request, &self.settings.trusted_proxies))
    }
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
                settings: data(request)?,
            })
        })())
    }
}
