//! The account page.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    form::{AccountForm, FORM_LIMIT},
    service::{self, Account, AccountChange, AccountOwner, EmailRequest},
};
use crate::{
    accounts::{
        account_services::{AccountServices, Confirmation},
        sign_in::extractor::{MaybeSignedIn, SignedInUser, flash},
    },
    db::Db,
    error::AppError,
    mail::Outbox,
    web::{
        body::{FormFields, form::FormState},
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// The path of the page.
pub(super) const ACCOUNT: &str = "/account";
const TITLE: &str = "Your account";
const WRONG_PASSWORD: &str = "This is not your current password.";
const PASSWORD_MISSING: &str = "Enter your current password.";

#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountPage {
    layout: PageLayout,
    form: FormState,
    has_mail: bool,
    /// Whether a new email needs the current password.
    needs_password: bool,
    /// Without mail, the link that confirms a new email is shown once.
    confirm_link: Option<String>,
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    outbox: Data<Outbox>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::None)?;
    let account = load(&signed_in, &db).await?;
    let form = AccountForm::new(&account).state;
    AccountPage::new(layout, form, &signed_in, &outbox).respond(StatusCode::OK)
}

pub(crate) async fn change(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::None)?;
    let account = load(&signed_in, &services.db).await?;
    let mut form = AccountForm::parse(&fields, &account);
    if form.password.is_some() || form.email.is_some() && !signed_in.is_recent() {
        form.state = check_password(form.state, &request, &fields, &services, &signed_in).await?;
    }
    if form.state.is_wrong() {
        let page = AccountPage::new(layout, form.state, &signed_in, &services.outbox);
        return page.respond(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let password_hash = match form.password {
        Some(password) => Some(services.passwords.hash(password).await?),
        None => None,
    };
    let change = AccountChange { name: form.name, email: form.email, password_hash };
    let done = describe_change(&change);
    let new_hash = change.password_hash.clone();
    let (owner, outbox) = (account_owner(&signed_in), services.outbox.as_ref().clone());
    let requested =
        services.db.run(move |connection| service::change(connection, &owner, &outbox, &change)).await?;
    let response = match requested {
        EmailRequest::LinkToShow(path) => {
            let mut page = AccountPage::new(layout, form.state, &signed_in, &services.outbox);
            page.confirm_link = Some(path);
            page.respond(StatusCode::OK)?
        }
        EmailRequest::TooMany => {
            let state =
                form.state.refuse("email", "You asked for many links. Use one of them, or wait an hour.");
            AccountPage::new(layout, state, &signed_in, &services.outbox)
                .respond(StatusCode::UNPROCESSABLE_ENTITY)?
        }
        EmailRequest::Unchanged | EmailRequest::LinkSent => {
            flash(&session, &done)?;
            see_other(ACCOUNT)
        }
    };
    match new_hash {
        Some(hash) => services.mark_browser(response, &request, &account.email, &hash),
        None => Ok(response),
    }
}

pub(super) fn account_owner(signed_in: &SignedInUser) -> AccountOwner {
    AccountOwner {
        user_id: signed_in.user_id,
        id_hash: signed_in.id_hash().to_vec(),
        context: signed_in.audit_context(),
    }
}

pub(super) async fn load(signed_in: &SignedInUser, db: &Db) -> Result<Account, AppError> {
    let user_id = signed_in.user_id;
    db.run(move |connection| service::load(connection, user_id)).await
}

/// Adds an error to the field `currentPassword` unless it is right.
pub(super) async fn check_password(
    form: FormState,
    request: &HttpRequest,
    fields: &FormFields<FORM_LIMIT>,
    services: &AccountServices,
    user: &SignedInUser,
) -> Result<FormState, AppError> {
    let Some(password) = fields.get("currentPassword") else {
        return Ok(form.refuse("currentPassword", PASSWORD_MISSING));
    };
    let is_right = services.verify_confirmation(request, user, Confirmation::Password(password)).await?;
    Ok(if is_right { form } else { form.refuse("currentPassword", WRONG_PASSWORD) })
}

/// Says what was done.
fn describe_change(change: &AccountChange) -> String {
    let mut sentences = Vec::new();
    if change.name.is_some() {
        sentences.push("Your name is changed.".to_owned());
    }
    if change.password_hash.is_some() {
        sentences.push("Your password is changed, and your other sign-ins have ended.".to_owned());
    }
    if let Some(email) = &change.email {
        sentences
            .push(format!("A link is on its way to {email}. Your email changes once you confirm it there."));
    }
    if sentences.is_empty() {
        sentences.push("There was nothing to change.".to_owned());
    }
    sentences.join(" ")
}

impl AccountPage {
    fn new(layout: PageLayout, form: FormState, signed_in: &SignedInUser, outbox: &Outbox) -> Self {
        let has_mail = outbox.is_on();
        Self { layout, form, has_mail, needs_password: !signed_in.is_recent(), confirm_link: None }
    }

    fn respond(&self, status: StatusCode) -> Result<HttpResponse, AppError> {
        respond(status, self)
    }
}
