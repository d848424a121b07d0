//! The page that confirms a new email, opened with the link in the mail.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;

use super::service::{self, EmailConfirmation};
use crate::{
    accounts::{
        links::{ValidLink, link_token::LinkToken},
        sign_in::extractor::MaybeSignedIn,
    },
    audit::AuditContext,
    db::Db,
    error::{AppError, LinkPurpose},
    mail::Outbox,
    web::page::{NavSection, PageLayout, respond},
};

const DEAD_LINK: AppError = AppError::DeadLink(LinkPurpose::EmailChange);

#[derive(Template)]
#[template(path = "accounts/confirm_email.html")]
struct ConfirmEmailPage {
    layout: PageLayout,
    new_email: String,
    token: String,
    /// `None` before the form is sent.
    outcome: Option<EmailConfirmation>,
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    token: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let page = ConfirmEmailPage::load(visitor, &token, &db).await?;
    respond(StatusCode::OK, &page)
}

pub(crate) async fn confirm(
    visitor: MaybeSignedIn,
    token: Path<String>,
    db: Data<Db>,
    outbox: Data<Outbox>,
    context: AuditContext,
) -> Result<HttpResponse, AppError> {
    let mut page = ConfirmEmailPage::load(visitor, &token, &db).await?;
    let token: LinkToken = token.parse().map_err(|_malformed| DEAD_LINK)?;
    let outcome =
        db.run(move |connection| service::confirm_email(connection, &context, &outbox, &token)).await?;
    page.outcome = Some(outcome);
    match outcome {
        EmailConfirmation::Done => respond(StatusCode::OK, &page),
        EmailConfirmation::Taken => respond(StatusCode::CONFLICT, &page),
        EmailConfirmation::Dead => Err(DEAD_LINK),
    }
}

impl ConfirmEmailPage {
    async fn load(visitor: MaybeSignedIn, token: &str, db: &Db) -> Result<Self, AppError> {
        let token: LinkToken = token.parse().map_err(|_malformed| DEAD_LINK)?;
        let wanted = token.clone();
        let link = db.run(move |connection| service::find_email_link(connection, &wanted)).await?;
        let Some(ValidLink { user_id, new_email: Some(new_email), .. }) = link else {
            return Err(DEAD_LINK);
        };
        if visitor.is_someone_else(user_id) {
            return Err(DEAD_LINK);
        }
        let section = if visitor.user.is_some() { NavSection::Account } else { NavSection::None };
        Ok(Self {
            layout: visitor.layout("Confirm your email", section),
            new_email: new_email.to_string(),
            token: token.expose().to_owned(),
            outcome: None,
        })
    }
}
