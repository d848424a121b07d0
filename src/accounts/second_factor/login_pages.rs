//! The second step of a login: the page for a code.

use actix_session::Session;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use diesel::{Connection as _, PgConnection};

use super::{
    pending_cookie::{read_cookie, remove_cookie},
    pending_login::{self, PendingLogin},
};
use crate::{
    accounts::{
        account_services::{AccountServices, VerifiedLogin, record_failed_login},
        links::link_token::LinkToken,
        login::{
            after_login::{HOME, LoginReturn},
            invitation_acceptor::{ClientOfInvitation, InvitationAcceptor},
        },
        pages::show_login_again,
        sign_in::extractor::{MaybeSignedIn, SignedInUser, flash},
    },
    audit::{AccountEvent, AccountEventKind, Actor, AuditContext},
    error::AppError,
    ids::ClientId,
    web::{
        body::{FormFields, form::FormState},
        format::time,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 4 * 1024;
const TITLE: &str = "Enter a code";
const CODE_MISSING: &str = "Enter the code that your app shows now, or a recovery code.";
pub(in crate::accounts) const WRONG_CODE: &str =
    "That code is wrong or was already used. Wait for the next one, or enter a recovery code.";
/// Why the login starts again.
const LOGIN_OVER: &str = "This login took too long or had too many wrong codes. Log in again.";
/// The same for a login that was to accept an invitation, which is still pending.
const ACCEPTANCE_OVER: &str = "This login had too many wrong codes. Open the link of your invitation again.";
const INVITATION_GONE: &str = "This invitation no longer works. Ask for a new one.";

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
    let mut candidate = candidate.ok_or(AppError::SignedOut)?;
    let acting = context.clone().by(Actor::User(login.user_id));
    let login_return = LoginReturn::from_json(&login.login_return);
    let attempt = CodeAttempt { token, code, invitation_digest: login_return.invitation_digest.clone() };
    let outcome = attempt.verify(&services, acting).await;
    if let (Some(attempt), Ok(CodeOutcome::Right(_)) | Err(_)) = (device_attempt, &outcome) {
        attempt.give_back();
    }
    match outcome? {
        CodeOutcome::Right(acceptance) => {
            candidate.client_id = acceptance.client_id().or(candidate.client_id);
            let login = VerifiedLogin { user: candidate, email: login.email, login_return };
            let mut response = services.finish_login(&request, &session, &context, login)?;
            if let Some(message) = acceptance.message() {
                flash(&session, message)?;
            }
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

/// What the login did about an invitation.
enum InvitationOutcome {
    NotInvited,
    Joined(ClientOfInvitation),
    /// The link was used, withdrawn or replaced, or has expired in the meantime.
    Refused,
}

impl InvitationOutcome {
    fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::Joined(joined) => Some(joined.client_id.clone()),
            Self::NotInvited | Self::Refused => None,
        }
    }

    fn message(self) -> Option<Message> {
        match self {
            Self::NotInvited => None,
            Self::Joined(joined) => Some(Message::success(joined.message)),
            Self::Refused => Some(Message::error(INVITATION_GONE)),
        }
    }
}

enum CodeOutcome {
    Right(InvitationOutcome),
    Wrong,
    /// The login has had all its attempts, or was completed at the same moment.
    TooMany,
}

/// A code that was sent for a pending login.
struct CodeAttempt {
    token: LinkToken,
    code: String,
    /// The invitation that the login accepts.
    invitation_digest: Option<Vec<u8>>,
}

impl CodeAttempt {
    /// Counts the code, verifies it, and completes the pending login, so that it cannot be used again, together with its
    /// invitation.
    async fn verify(
        self,
        services: &AccountServices,
        context: AuditContext,
    ) -> Result<CodeOutcome, AppError> {
        let (factors, acceptor) = (services.second_factors.clone(), services.invitation_acceptor.clone());
        let verified = services.db.run(move |connection| {
            if !pending_login::count_attempt(connection, &self.token)? {
                return Ok(CodeOutcome::TooMany);
            }
            if !factors.verify(connection, &context, &self.code, time::now())? {
                return Ok(CodeOutcome::Wrong);
            }
            connection.transaction(|connection| {
                if !pending_login::complete(connection, &self.token)? {
                    return Ok(CodeOutcome::TooMany);
                }
                self.accept(&acceptor, connection, &context).map(CodeOutcome::Right)
            })
        });
        verified.await
    }

    fn accept(
        &self,
        acceptor: &InvitationAcceptor,
        connection: &mut PgConnection,
        context: &AuditContext,
    ) -> Result<InvitationOutcome, AppError> {
        let (Some(digest), Some(user_id)) = (&self.invitation_digest, context.user_id()) else {
            return Ok(InvitationOutcome::NotInvited);
        };
        let joined = acceptor.accept(connection, context, digest, user_id)?;
        Ok(joined.map_or(InvitationOutcome::Refused, InvitationOutcome::Joined))
    }
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
    let reason = if login_return.invitation_digest.is_some() { ACCEPTANCE_OVER } else { LOGIN_OVER };
    let mut response = show_login_again(services, login_return, Some(reason)).await?;
    remove_cookie(&mut response, services.is_https())?;
    Ok(response)
}
