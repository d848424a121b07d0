//! Settings → Members: the list, the form that invites, and the pending invitations.

use actix_session::Session;
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use chrono::TimeDelta;
use diesel::Connection as _;
use uuid::Uuid;

use super::store::{self, MEMBERS_MAX, Member};
use crate::{
    accounts::{EmailAddress, LinkToken, MaybeSignedIn, Permission, Role, SignedIn, flash, invitation_mail},
    clients::invitations::{
        error::InvitationError,
        service::{self, NewInvitation},
        store::{self as invitation_store, INVITATION_DAYS, Invitation},
    },
    db::Db,
    error::AppError,
    mail::{Outbox, OutgoingMail},
    web::{
        body::{FormFields, form::FormState},
        format::{plural, time::DisplayTime},
        middleware::compression::mark_secret,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

pub(super) const INDEX: &str = "/settings/members";
/// Maximum size of a form about members, in bytes.
pub(super) const FORM_LIMIT: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "clients/members/index.html")]
struct MemberListPage {
    layout: PageLayout,
    client_id: String,
    members: Vec<MemberRow>,
    has_more: bool,
    may_manage: bool,
    /// The roles that the user may give.
    roles: Vec<Role>,
    invitations: Vec<InvitationRow>,
    form: FormState,
    new_link: Option<LinkToShow>,
}

impl MemberListPage {
    /// `5 members`.
    fn count_text(&self) -> String {
        let count = self.members.len();
        let noun = plural(i128::try_from(count).unwrap_or(i128::MAX), "member");
        if self.has_more { format!("More than {count} {noun}") } else { format!("{count} {noun}") }
    }
}

struct MemberRow {
    user_id: Uuid,
    name: String,
    email: String,
    role: Role,
    is_enabled: bool,
    is_self: bool,
    may_change: bool,
}

struct InvitationRow {
    invitation_id: Uuid,
    email: String,
    role: Role,
    invited_by: String,
    expires: DisplayTime,
    is_expired: bool,
    may_change: bool,
}

/// The link of a new invitation, which is shown only once.
struct LinkToShow {
    email: String,
    url: String,
    /// Whether it was also mailed.
    is_mailed: bool,
}

/// What the page shows besides the lists: a refused form, or a new link.
#[derive(Default)]
struct InviteOutcome {
    form: FormState,
    new_link: Option<LinkToShow>,
}

pub(crate) async fn index(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    show_list(StatusCode::OK, visitor, &db, InviteOutcome::default()).await
}

async fn show_list(
    status: StatusCode,
    visitor: MaybeSignedIn,
    db: &Db,
    outcome: InviteOutcome,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Members", NavSection::Members)?;
    let (client, may_manage) = (signed_in.client(), signed_in.may(Permission::ManageMembers));
    let (mut members, invitations) = db
        .run(move |connection| {
            let members = store::list(connection, &client)?;
            let invitations =
                if may_manage { invitation_store::list(connection, &client)? } else { Vec::new() };
            Ok::<_, AppError>((members, invitations))
        })
        .await?;
    let shown = usize::try_from(MEMBERS_MAX).unwrap_or(usize::MAX);
    let has_more = members.len() > shown;
    members.truncate(shown);
    let page = MemberListPage {
        layout,
        client_id: signed_in.client().to_string(),
        members: members.into_iter().map(|member| MemberRow::new(member, &signed_in)).collect(),
        has_more,
        may_manage,
        roles: list_roles(&signed_in),
        invitations: invitations.into_iter().map(|it| InvitationRow::new(it, &signed_in)).collect(),
        form: outcome.form,
        new_link: outcome.new_link,
    };
    respond(status, &page)
}

/// The roles that the user may give to others.
pub(super) fn list_roles(signed_in: &SignedIn) -> Vec<Role> {
    let roles = [Role::Member, Role::Admin, Role::Owner].into_iter();
    roles.filter(|role| signed_in.may(Permission::to_manage(*role))).collect()
}

impl MemberRow {
    fn new(member: Member, signed_in: &SignedIn) -> Self {
        Self {
            is_self: member.user_id == signed_in.user_id,
            may_change: signed_in.may(Permission::to_manage(member.role)),
            user_id: member.user_id,
            name: member.name,
            email: member.email,
            role: member.role,
            is_enabled: member.is_enabled,
        }
    }
}

impl InvitationRow {
    fn new(invitation: Invitation, signed_in: &SignedIn) -> Self {
        Self {
            may_change: signed_in.may(Permission::to_manage(invitation.role)),
            invitation_id: invitation.invitation_id,
            email: invitation.email.to_string(),
            role: invitation.role,
            invited_by: invitation.invited_by.unwrap_or_else(|| "–".to_owned()),
            expires: invitation.expires_at.into(),
            is_expired: invitation.is_expired,
        }
    }
}

pub(crate) async fn invite(
    visitor: MaybeSignedIn,
    fields: FormFields<FORM_LIMIT>,
    outbox: Data<Outbox>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let mut form = FormState::default().keep("email", fields.text("email")).keep("role", fields.text("role"));
    let email = form.check("email", EmailAddress::parse_deliverable(fields.text("email")));
    let role = form.check("role", fields.get("role").unwrap_or(Role::Member.as_str()).parse::<Role>());
    let (Some(email), Some(role)) = (email, role) else {
        return show_refused_form(visitor, &db, form).await;
    };
    let (client, context, token) = (signed_in.client(), signed_in.audit_context(), LinkToken::generate());
    let link = LinkToShow::new(&outbox, &email, &token);
    let mail = link.mail(&signed_in);
    let new = NewInvitation { email, role };
    let created = db.run(move |connection| {
        let created = connection.transaction(|connection| {
            service::create(connection, &context, &client, &new, &token)?;
            outbox.enqueue(connection, &mail).map_err(InvitationError::from)
        });
        Ok::<_, AppError>(created)
    });
    match created.await? {
        Ok(()) => show_link(visitor, &db, link).await,
        Err(error) => match error.field() {
            Some(field) => {
                let form = form.refuse(field, error.to_string());
                show_refused_form(visitor, &db, form).await
            }
            None => Err(error.into()),
        },
    }
}

async fn show_refused_form(
    visitor: MaybeSignedIn,
    db: &Db,
    form: FormState,
) -> Result<HttpResponse, AppError> {
    let outcome = InviteOutcome { form, new_link: None };
    show_list(StatusCode::UNPROCESSABLE_ENTITY, visitor, db, outcome).await
}

/// Shows the link in this response, because a redirect would have to store it in between.
async fn show_link(visitor: MaybeSignedIn, db: &Db, link: LinkToShow) -> Result<HttpResponse, AppError> {
    let outcome = InviteOutcome { form: FormState::default(), new_link: Some(link) };
    let mut response = show_list(StatusCode::OK, visitor, db, outcome).await?;
    mark_secret(&mut response);
    Ok(response)
}

impl LinkToShow {
    fn new(outbox: &Outbox, email: &EmailAddress, token: &LinkToken) -> Self {
        let url = outbox.link(&format!("/invitations/{}", token.expose()));
        Self { email: email.to_string(), url, is_mailed: outbox.is_on() }
    }

    fn mail(&self, inviter: &SignedIn) -> OutgoingMail {
        let valid_for = TimeDelta::days(INVITATION_DAYS.into());
        let (client_name, name) = (inviter.client_name(), inviter.user().name());
        invitation_mail(&self.email, client_name, name, self.url.clone(), valid_for)
    }
}

/// Makes a new link for an invitation and shows it.
pub(crate) async fn resend(
    visitor: MaybeSignedIn,
    path: Path<String>,
    outbox: Data<Outbox>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let invitation_id = parse_id(&path)?;
    let (client, context, token) = (signed_in.client(), signed_in.audit_context(), LinkToken::generate());
    let resent = db.run(move |connection| {
        connection.transaction(|connection| {
            let invitation = service::resend(connection, &context, &client, invitation_id, &token)?;
            let link = LinkToShow::new(&outbox, &invitation.email, &token);
            outbox.enqueue(connection, &link.mail(&signed_in))?;
            Ok::<_, InvitationError>(link)
        })
    });
    let link = resent.await?;
    show_link(visitor, &db, link).await
}

pub(crate) async fn withdraw(
    signed_in: SignedIn,
    session: Session,
    path: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let invitation_id = parse_id(&path)?;
    let (client, context) = (signed_in.client(), signed_in.audit_context());
    let withdrawn =
        db.run(move |connection| service::withdraw(connection, &context, &client, invitation_id)).await?;
    flash(&session, format!("Withdrew the invitation of {}. Its link no longer works.", withdrawn.email))?;
    Ok(see_other(INDEX))
}

/// A malformed id is 404, like one of another client.
pub(super) fn parse_id(text: &str) -> Result<Uuid, AppError> {
    text.parse().map_err(|_malformed| AppError::NotFound)
}
