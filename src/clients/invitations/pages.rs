//! `/invitations/{invitation_token}`: accepting an invitation. Showing the page consumes nothing, because mail scanners follow links.

use std::future::{Ready, ready};

use actix_session::{Session, SessionExt as _};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Path};
use askama::Template;
use uuid::Uuid;

use super::{
    error::InvitationError,
    service,
    store::{self, Invitation},
};
use crate::{
    accounts::{
        self, AccountServices, DisplayName, HOME, LinkToken, MaybeSignedIn, NewPassword, NewUser,
        SignInOrigin, flash, sign_in, switch_client,
    },
    audit::{Actor, AuditContext},
    db::Db,
    error::{AppError, LinkPurpose},
    web::{
        body::{FormFields, form::FormState},
        format::time::DisplayTime,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
const DEAD_LINK: AppError = AppError::DeadLink(LinkPurpose::Invitation);
const WRONG_PASSWORD: &str = "This is not the password of your account. Try again.";

/// What someone needs to accept an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invitee {
    /// Signed in with the invited address: nothing.
    SignedIn,
    /// Has an account with the invited address: its password.
    Registered,
    /// Has no account: a name and a new password.
    New,
}

#[derive(Template)]
#[template(path = "clients/invitations/accept.html")]
struct AcceptPage {
    layout: PageLayout,
    token: LinkToken,
    client_name: String,
    email: String,
    /// `an admin`.
    role: &'static str,
    invited_by: Option<String>,
    expires: DisplayTime,
    invitee: Invitee,
    form: FormState,
}

impl AcceptPage {
    fn asks_for_name(&self) -> bool {
        self.invitee == Invitee::New
    }

    fn asks_for_password(&self) -> bool {
        self.invitee != Invitee::SignedIn
    }
}

/// A valid link, and what the visitor needs to accept it.
struct OpenInvitation {
    token: LinkToken,
    invitation: Invitation,
    invitee: Invitee,
}

impl OpenInvitation {
    /// Returns `None` if the link does not work, or is for someone other than the user who is signed in.
    async fn find(token: &str, visitor: &MaybeSignedIn, db: &Db) -> Result<Option<Self>, AppError> {
        let Ok(token) = token.parse::<LinkToken>() else { return Ok(None) };
        let wanted = token.clone();
        let found = db.run(move |connection| {
            let Some(invitation) = store::find_valid(connection, &wanted.digest())? else { return Ok(None) };
            let user_id = accounts::find_user_id(connection, &invitation.email)?;
            Ok::<_, AppError>(Some((invitation, user_id)))
        });
        let Some((invitation, user_id)) = found.await? else { return Ok(None) };
        let invitee = match (&visitor.user, user_id) {
            (Some(user), _) if user.email().parse().as_ref() == Ok(&invitation.email) => Invitee::SignedIn,
            (Some(_someone_else), _) => return Ok(None),
            (None, Some(_)) => Invitee::Registered,
            (None, None) => Invitee::New,
        };
        Ok(Some(Self { token, invitation, invitee }))
    }

    fn respond(
        self,
        status: StatusCode,
        visitor: MaybeSignedIn,
        form: FormState,
    ) -> Result<HttpResponse, AppError> {
        let Self { token, invitation, invitee } = self;
        let page = AcceptPage {
            layout: visitor.layout("Invitation", NavSection::None),
            token,
            client_name: invitation.client_name,
            email: invitation.email.to_string(),
            role: invitation.role.with_article(),
            invited_by: invitation.invited_by,
            expires: invitation.expires_at.into(),
            invitee,
            form,
        };
        respond(status, &page)
    }
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    token: Path<String>,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    let open = OpenInvitation::find(&token, &visitor, &services.db).await?.ok_or(DEAD_LINK)?;
    open.respond(StatusCode::OK, visitor, FormState::default())
}

pub(crate) async fn accept(
    acceptance: Acceptance,
    visitor: MaybeSignedIn,
    token: Path<String>,
    fields: FormFields<FORM_LIMIT>,
) -> Result<HttpResponse, AppError> {
    let open = OpenInvitation::find(&token, &visitor, &acceptance.services.db).await?.ok_or(DEAD_LINK)?;
    match open.invitee {
        Invitee::SignedIn => acceptance.accept_signed_in(open, visitor).await,
        Invitee::Registered => acceptance.accept_registered(open, visitor, &fields).await,
        Invitee::New => acceptance.accept_new(open, visitor, &fields).await,
    }
}

/// Extractor of what accepting needs besides the invitation.
pub(crate) struct Acceptance {
    request: HttpRequest,
    session: Session,
    services: AccountServices,
    context: AuditContext,
}

impl FromRequest for Acceptance {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let services = AccountServices::from_request(request, payload).into_inner();
        let context = AuditContext::for_actor(request, Actor::Visitor);
        let (request, session) = (request.clone(), request.get_session());
        ready(services.and_then(|services| Ok(Self { request, session, services, context: context? })))
    }
}

impl Acceptance {
    async fn accept_signed_in(
        self,
        open: OpenInvitation,
        visitor: MaybeSignedIn,
    ) -> Result<HttpResponse, AppError> {
        let Some(user) = visitor.user.clone() else { return Err(AppError::SignedOut) };
        let context = user.audit_context();
        let (acting, token, user_id) = (context.clone(), open.token, user.user_id);
        let accepted =
            run(&self.services.db, move |connection| service::accept(connection, &acting, &token, user_id));
        let invitation = accepted.await?.ok_or(DEAD_LINK)?;
        switch_client(&self.session, &invitation.client_id, &context)?;
        self.services.confirm(&user).await?;
        flash(&self.session, service::welcome(&invitation))?;
        Ok(see_other(HOME))
    }

    async fn accept_registered(
        self,
        open: OpenInvitation,
        visitor: MaybeSignedIn,
        fields: &FormFields<FORM_LIMIT>,
    ) -> Result<HttpResponse, AppError> {
        let email = open.invitation.email.clone();
        let login = self.services.verify_login(
            &self.request,
            Some(&email),
            fields.text("password"),
            self.context.clone(),
        );
        let Some(user) = login.await? else {
            let form = FormState::default().refuse("password", WRONG_PASSWORD);
            return open.respond(StatusCode::UNPROCESSABLE_ENTITY, visitor, form);
        };
        if user.has_second_factor {
            return self.services.ask_for_code_before_accepting(user, &open.token).await;
        }
        let (acting, token, user_id) = (self.context.clone(), open.token, user.user_id);
        let accepted =
            run(&self.services.db, move |connection| service::accept(connection, &acting, &token, user_id));
        let invitation = accepted.await?.ok_or(DEAD_LINK)?;
        let origin = self.services.login_origin(&self.request, &self.context, &email);
        self.sign_in(user_id, &invitation, &origin)?;
        self.services.mark_browser(see_other(HOME), &self.request, &email, &user.password_hash)
    }

    async fn accept_new(
        self,
        open: OpenInvitation,
        visitor: MaybeSignedIn,
        fields: &FormFields<FORM_LIMIT>,
    ) -> Result<HttpResponse, AppError> {
        self.services.count_address(&self.request).await?;
        let mut form = FormState::default().keep("name", fields.text("name"));
        let about =
            [fields.text("name"), open.invitation.client_name.as_str(), open.invitation.email.as_str()];
        let password = form.check("password", NewPassword::parse(fields.text("password"), &about));
        let name = form.check("name", fields.text("name").parse::<DisplayName>());
        let (Some(password), Some(name)) = (password, name) else {
            return open.respond(StatusCode::UNPROCESSABLE_ENTITY, visitor, form);
        };
        let email = open.invitation.email.clone();
        let password_hash = self.services.hash_password(password).await?;
        let user = NewUser { email: email.clone(), name, password_hash: password_hash.clone() };
        let (acting, token) = (self.context.clone(), open.token);
        let accepted = run(&self.services.db, move |connection| {
            service::accept_as_new_user(connection, &acting, &token, &user)
        });
        let (user_id, invitation) = accepted.await?.ok_or(DEAD_LINK)?;
        self.sign_in(user_id, &invitation, &SignInOrigin::new(&self.request, &self.context))?;
        self.services.mark_browser(see_other(HOME), &self.request, &email, &password_hash)
    }

    fn sign_in(&self, user_id: Uuid, invitation: &Invitation, origin: &SignInOrigin) -> Result<(), AppError> {
        sign_in(&self.session, user_id, &invitation.client_id, origin)?;
        flash(&self.session, service::welcome(invitation))
    }
}

/// Runs the acceptance. Returns `None` if the link was used, withdrawn or replaced in the meantime.
async fn run<T: Send + 'static>(
    db: &Db,
    work: impl FnOnce(&mut diesel::PgConnection) -> Result<T, InvitationError> + Send + 'static,
) -> Result<Option<T>, AppError> {
    let accepted = db.run(move |connection| match work(connection) {
        Err(InvitationError::NotFound) => Ok(None),
        outcome => outcome.map(Some),
    });
    accepted.await
}
