//! Forgotten passwords: the page that sends a link, and the page that the link leads to.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;

use super::service;
use crate::{
    accounts::{
        account_services::AccountServices,
        email::EmailAddress,
        links::{ValidLink, link_token::LinkToken},
        password::NewPassword,
        sign_in::extractor::MaybeSignedIn,
    },
    audit::AuditContext,
    db::Db,
    error::{AppError, LinkPurpose},
    mail::Outbox,
    web::{
        body::{FormFields, form::FormState},
        page::{NavSection, PageLayout, respond},
    },
};

/// Maximum size of a form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;
const DEAD_LINK: AppError = AppError::DeadLink(LinkPurpose::PasswordReset);

#[derive(Template)]
#[template(path = "accounts/forgot.html")]
struct ForgotPage {
    layout: PageLayout,
    form: FormState,
    /// Without mail the page says who can help.
    has_mail: bool,
    /// The address that a link is sent to, if it has an account.
    sent_to: Option<EmailAddress>,
}

#[derive(Template)]
#[template(path = "accounts/reset.html")]
struct ResetPage {
    layout: PageLayout,
    form: FormState,
    /// The account whose password is set.
    email: String,
    token: String,
    is_set: bool,
}

pub(crate) async fn show_forgot(
    visitor: MaybeSignedIn,
    outbox: Data<Outbox>,
) -> Result<HttpResponse, AppError> {
    let layout = visitor.layout("Forgot your password?", NavSection::None);
    let page = ForgotPage { layout, form: FormState::default(), has_mail: outbox.is_on(), sent_to: None };
    respond(StatusCode::OK, &page)
}

pub(crate) async fn send_link(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
    context: AuditContext,
) -> Result<HttpResponse, AppError> {
    services.throttles.count_address(services.client_address(&request)).await?;
    let mut form = FormState::default().keep("email", fields.text("email"));
    let email = form.check("email", fields.text("email").parse::<EmailAddress>());
    let status = if form.is_wrong() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let layout = visitor.layout("Forgot your password?", NavSection::None);
    let page = ForgotPage { layout, form, has_mail: services.outbox.is_on(), sent_to: email.clone() };
    let response = respond(status, &page)?;
    if let (Some(email), true) = (email, services.outbox.is_on()) {
        send_after_response(&services, email, context);
    }
    Ok(response)
}

pub(crate) async fn show_reset(
    visitor: MaybeSignedIn,
    token: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (token, link) = find_link(&visitor, &token, &db).await?;
    ResetPage::new(visitor, &token, &link).respond(StatusCode::OK)
}

pub(crate) async fn reset(
    visitor: MaybeSignedIn,
    token: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
    context: AuditContext,
) -> Result<HttpResponse, AppError> {
    let (token, link) = find_link(&visitor, &token, &services.db).await?;
    let mut page = ResetPage::new(visitor, &token, &link);
    let about = [link.email.as_str(), &link.user_name];
    let password = NewPassword::parse(fields.text("newPassword"), &about);
    let Some(password) = page.form.check("newPassword", password) else {
        return page.respond(StatusCode::UNPROCESSABLE_ENTITY);
    };
    let hash = services.passwords.hash(password).await?;
    let outbox = services.outbox.clone();
    let is_set = services
        .db
        .run(move |connection| service::reset(connection, &context, &outbox, &token, &hash))
        .await?;
    if !is_set {
        return Err(DEAD_LINK);
    }
    page.is_set = true;
    // All sign-ins of the user have ended, and this page may have been opened with one of them.
    page.layout.visitor = None;
    page.respond(StatusCode::OK)
}

impl ResetPage {
    fn new(visitor: MaybeSignedIn, token: &LinkToken, link: &ValidLink) -> Self {
        Self {
            layout: visitor.layout("Set a new password", NavSection::None),
            form: FormState::default(),
            email: link.email.to_string(),
            token: token.expose().to_owned(),
            is_set: false,
        }
    }

    fn respond(&self, status: StatusCode) -> Result<HttpResponse, AppError> {
        respond(status, self)
    }
}

/// One answer for links that are truncated, unknown, used, expired or for someone else than the visitor.
async fn find_link(
    visitor: &MaybeSignedIn,
    token: &str,
    db: &Db,
) -> Result<(LinkToken, ValidLink), AppError> {
    let token: LinkToken = token.parse().map_err(|_malformed| DEAD_LINK)?;
    let wanted = token.clone();
    let link = db.run(move |connection| service::find(connection, &wanted)).await?;
    let link = link.filter(|link| !visitor.is_someone_else(link.user_id)).ok_or(DEAD_LINK)?;
    Ok((token, link))
}

/// Looks the address up once the response is on its way, so that neither its content nor its time reveals whether the
/// address has an account.
fn send_after_response(services: &AccountServices, email: EmailAddress, context: AuditContext) {
    let (db, outbox) = (services.db.clone(), services.outbox.clone());
    actix_web::rt::spawn(async move {
        let sent = db.run(move |connection| service::send_link(connection, &context, &outbox, &email)).await;
        if let Err(error) = sent {
            tracing::error!(?error, "A link to reset a password was not created");
        }
    });
}
