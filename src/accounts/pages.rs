//! Registering, logging in and logging out.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    account_services::{AccountServices, VerifiedLogin},
    display_name::DisplayName,
    email::EmailAddress,
    password::NewPassword,
    sign_in::{
        extractor::{MaybeSignedIn, SignInOrigin, sign_in},
        table,
    },
    store::{self, NewUser, RegisterError},
};
use crate::{
    accounts::login::{
        after_login::{HOME, LoginReturn},
        interrupted_form::{FieldView, InterruptedForm},
    },
    audit::AuditContext,
    config::{Settings, SignUpPolicy},
    db::Db,
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
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
    form: InterruptedForm,
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
    let email = form.check("email", EmailAddress::parse_deliverable(email));
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

/// The login page as the answer to a form that needs a login. 403, because the form was not accepted.
pub(super) async fn show_login_again(
    services: &AccountServices,
    login_return: LoginReturn,
    error: Option<&'static str>,
) -> Result<HttpResponse, AppError> {
    let can_register = can_register(&services.db, services.settings.sign_up).await?;
    let layout = PageLayout::signed_out("Log in", NavSection::None);
    let mut page = LoginPage::new(layout, can_register, &login_return);
    if let Some(error) = error {
        page.form = page.form.refuse("", error);
    }
    respond(StatusCode::FORBIDDEN, &page)
}

/// Shows a form again, filled in, that was sent after the sign-in had ended. Without one, leads on.
pub(crate) async fn show_interrupted_form(
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user("Send your form", NavSection::None)?;
    let id_hash = signed_in.id_hash().to_vec();
    let stored = db.run(move |connection| table::take_interrupted_form(connection, &id_hash)).await?;
    match stored.and_then(|json| serde_json::from_str::<InterruptedForm>(&json).ok()) {
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
    if user.has_second_factor {
        return services.ask_for_code_before(user, &login_return).await;
    }
    services.finish_login(&request, &session, &audit_context, VerifiedLogin { user, email, login_return })
}

pub(crate) async fn logout(session: Session) -> HttpResponse {
    session.purge();
    see_other("/login")
}
