//! The second step of a login: the page for a code.

use actix_session::Session;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::{
    pending_cookie::{read_cookie, remove_cookie},
    pending_login::{self, PendingLogin},
};
use crate::{
    accounts::{
        account_services::{AccountServices, VerifiedLogin, record_failed_login},
        links::link_token::LinkToken,
        login::after_login::{HOME, LoginReturn},
        pages::show_login_again,
        sign_in::extractor::{MaybeSignedIn, SignedInUser},
    },
    audit::{AccountEvent, AccountEventKind, Actor, AuditContext},
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
        format::time,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 4 * 1024;
const TITLE: &str = "Enter a code";
const CODE_MISSING: &str = "Enter the code that your app shows now, or a recovery code.";
pub(in crate::accounts) const WRONG_CODE: &str =
    "This code is wrong or was used. Wait for the next one, and check the clock of your device.";
/// Why the login starts again.
const LOGIN_OVER: &str = "This login took too long or had too many wrong codes. Log in again.";

#[derive(Template)]
#[template(path = "accounts/second_factor/login.html")]
struct CodePage {
    layout: PageLayout,
    form: FormState,
}

impl CodePage {
    fn respond(status: StatusCode, form: FormState) -> Result<HttpResponse, AppError> {
        respond(status, &Self { layout: PageLayout::signed_out(TITLE, NavSection::None), form })
    }
}

/// Without a pending login, leads to the login page.
pub(crate) async fn show(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    if visitor.user.is_some() {
        return Ok(see_other(HOME));
    }
    match find_login(&request, &services).await? {
        Some(_login) => CodePage::respond(StatusCode::OK, FormState::default()),
        None => Ok(see_other("/login")),
    }
}

pub(crate) async fn submit(
    request: HttpRequest,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
    context: AuditContext,
) -> Result<HttpResponse, AppError> {
    let Some((token, login)) = find_login(&request, &services).await? else {
        let is_signed_in = SignedInUser::extract(&request).await.is_ok();
        return if is_signed_in {
            Ok(see_other(HOME))
        } else {
            start_again(&services, LoginReturn::default()).await
        };
    };
    let Some(code) = fields.get("code").map(str::to_owned) else {
        let form = FormState::default().refuse("code", CODE_MISSING);
        return CodePage::respond(StatusCode::UNPROCESSABLE_ENTITY, form);
    };
    let (candidate, device_attempt) = services.count_and_find(&request, Some(&login.email)).await?;
    let candidate = candidate.ok_or(AppError::SignedOut)?;
    let acting = context.clone().by(Actor::User(login.user_id));
    let outcome = verify(&services, token, code, acting).await;
    if let (Some(attempt), Ok(CodeOutcome::Right) | Err(_)) = (device_attempt, &outcome) {
        attempt.give_back();
    }
    let login_return = LoginReturn::from_json(&login.login_return);
    match outcome? {
        CodeOutcome::Right => {
            let login = VerifiedLogin { user: candidate, email: login.email, login_return };
            let mut response = services.finish_login(&request, &session, &context, login)?;
            remove_cookie(&mut response, services.is_https())?;
            Ok(response)
        }
        CodeOutcome::Wrong => {
            let event = AccountEvent::new(AccountEventKind::SignInFailed).with("wrong", "code");
            record_failed_login(&services.db, candidate.user_id, context, event);
            let form = FormState::default().refuse("code", WRONG_CODE);
            CodePage::respond(StatusCode::UNPROCESSABLE_ENTITY, form)
        }
        CodeOutcome::TooMany => start_again(&services, login_return).await,
    }
}

enum CodeOutcome {
    Right,
    Wrong,
    /// The login has had all its attempts, or was completed at the same moment.
    TooMany,
}

/// Counts the code, verifies it, and completes the pending login, so that it cannot be used again.
async fn verify(
    services: &AccountServices,
    token: LinkToken,
    code: String,
    context: AuditContext,
) -> Result<CodeOutcome, AppError> {
    let factors = services.second_factors.clone();
    let verified = services.db.run(move |connection| {
        if !pending_login::count_attempt(connection, &token)? {
            return Ok(CodeOutcome::TooMany);
        }
        if !factors.verify(connection, &context, &code, time::now())? {
            return Ok(CodeOutcome::Wrong);
        }
        let is_first = pending_login::complete(connection, &token)?;
        Ok::<_, diesel::result::Error>(if is_first { CodeOutcome::Right } else { CodeOutcome::TooMany })
    });
    verified.await
}

async fn find_login(
    request: &HttpRequest,
    services: &AccountServices,
) -> Result<Option<(LinkToken, PendingLogin)>, AppError> {
    let Some(token) = read_cookie(request, services.is_https()) else { return Ok(None) };
    let wanted = token.clone();
    let login = services.db.run(move |connection| pending_login::find(connection, &wanted)).await?;
    Ok(login.map(|login| (token, login)))
}

/// The login page, which carries on where the login was to lead.
async fn start_again(
    services: &AccountServices,
    login_return: LoginReturn,
) -> Result<HttpResponse, AppError> {
    let mut response = show_login_again(services, login_return, Some(LOGIN_OVER)).await?;
    remove_cookie(&mut response, services.is_https())?;
    Ok(response)
}
