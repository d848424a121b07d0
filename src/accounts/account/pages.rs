//! The account page.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    form::{AccountForm, FORM_LIMIT, PASSWORD_MISSING},
    service::{self, Account, AccountChange, AccountOwner, EmailRequest},
};
use crate::{
    accounts::{
        account_services::{AccountServices, Confirmation},
        email::EmailAddress,
        login::user_agent::describe_device,
        second_factor::service::{FactorStatus, find_status},
        sign_in::{
            extractor::{MaybeSignedIn, SignedInUser, flash},
            user_sign_ins::{self, SignInListing},
        },
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
const TOO_MANY_LINKS: &str = "You asked for many links. Use one of them, or wait an hour.";

#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountPage {
    layout: PageLayout,
    form: FormState,
    /// The email as stored.
    email: String,
    has_mail: bool,
    /// Whether a new email needs the current password.
    needs_password: bool,
    /// Without mail, the link that confirms a new email is shown once.
    confirm_link: Option<ConfirmLink>,
    security: SecuritySummary,
}

/// The link that confirms a new email.
struct ConfirmLink {
    email: EmailAddress,
    path: String,
}

impl ConfirmLink {
    /// For the field, which still holds the present email.
    fn hint(&self) -> String {
        format!("Waiting for you to confirm {}.", self.email)
    }
}

/// The second factor and the sign-ins, each of which has a page of its own.
struct SecuritySummary {
    /// `None` if the second factor is not on.
    second_factor: Option<FactorStatus>,
    sign_in_count: usize,
    /// The browser of this request.
    this_device: String,
}

impl SecuritySummary {
    fn new(factor: Option<FactorStatus>, sign_ins: &[SignInListing], this: &[u8]) -> Self {
        let this_device = sign_ins.iter().find(|listing| listing.id_hash == this);
        let user_agent = this_device.and_then(|listing| listing.user_agent.as_deref());
        Self {
            second_factor: factor,
            sign_in_count: sign_ins.len(),
            this_device: describe_device(user_agent.unwrap_or_default()),
        }
    }
}

pub(crate) async fn show(
    visitor: MaybeSignedIn,
    db: Data<Db>,
    outbox: Data<Outbox>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let (account, security) = load_with_security(&signed_in, &db).await?;
    let form = AccountForm::new(&account).state;
    AccountPage::new(layout, form, &signed_in, &outbox, security).respond(StatusCode::OK)
}

pub(crate) async fn change(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let (account, security) = load_with_security(&signed_in, &services.db).await?;
    let mut form = AccountForm::parse(&fields, &account);
    let password_field = form.password_field(signed_in.is_recent()).filter(|_| !form.state.is_wrong());
    if let Some(field) = password_field
        && let Some(error) = find_password_error(&request, &fields, &services, &signed_in).await?
    {
        form.state = form.state.refuse(field, error);
    }
    let mut page = AccountPage::new(layout, FormState::default(), &signed_in, &services.outbox, security);
    if form.state.is_wrong() {
        page.form = form.state;
        return page.respond(StatusCode::UNPROCESSABLE_ENTITY);
    }
    let password_hash = match form.password {
        Some(password) => Some(services.passwords.hash(password).await?),
        None => None,
    };
    let change = AccountChange { name: form.name, email: form.email, password_hash };
    let done = describe_change(&change);
    let new_email = change.email.clone();
    let new_hash = change.password_hash.clone();
    let (owner, outbox) = (account_owner(&signed_in), services.outbox.as_ref().clone());
    let requested =
        services.db.run(move |connection| service::change(connection, &owner, &outbox, &change)).await?;
    let response = match requested {
        EmailRequest::LinkToShow(path) => {
            page.form = FormState::default()
                .keep("name", form.state.value("name"))
                .keep("email", account.email.as_str());
            page.confirm_link = new_email.map(|email| ConfirmLink { email, path });
            page.respond(StatusCode::OK)?
        }
        EmailRequest::TooMany => {
            page.form = form.state.refuse("email", TOO_MANY_LINKS);
            page.respond(StatusCode::UNPROCESSABLE_ENTITY)?
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

async fn load_with_security(
    signed_in: &SignedInUser,
    db: &Db,
) -> Result<(Account, SecuritySummary), AppError> {
    let (user_id, this) = (signed_in.user_id, signed_in.id_hash().to_vec());
    db.run(move |connection| {
        let account = service::load(connection, user_id)?;
        let factor = find_status(connection, user_id)?;
        let sign_ins = user_sign_ins::list(connection, user_id)?;
        Ok::<_, AppError>((account, SecuritySummary::new(factor, &sign_ins, &this)))
    })
    .await
}

/// What is wrong with the field `currentPassword`, if anything.
pub(super) async fn find_password_error(
    request: &HttpRequest,
    fields: &FormFields<FORM_LIMIT>,
    services: &AccountServices,
    user: &SignedInUser,
) -> Result<Option<&'static str>, AppError> {
    let Some(password) = fields.get("currentPassword") else { return Ok(Some(PASSWORD_MISSING)) };
    let is_right = services.verify_confirmation(request, user, Confirmation::Password(password)).await?;
    Ok((!is_right).then_some(WRONG_PASSWORD))
}

/// Says what was done.
fn describe_change(change: &AccountChange) -> String {
    let mut sentences = Vec::new();
    if change.name.is_some() {
        sentences.push("Name changed.".to_owned());
    }
    if change.password_hash.is_some() {
        sentences.push("Password changed. Your other sign-ins have ended.".to_owned());
    }
    if let Some(email) = &change.email {
        sentences
            .push(format!("A link is on its way to {email}. Your email changes once you confirm it there."));
    }
    if sentences.is_empty() {
        sentences.push("Nothing changed.".to_owned());
    }
    sentences.join(" ")
}

impl AccountPage {
    fn new(
        layout: PageLayout,
        form: FormState,
        signed_in: &SignedInUser,
        outbox: &Outbox,
        security: SecuritySummary,
    ) -> Self {
        let (has_mail, needs_password) = (outbox.is_on(), !signed_in.is_recent());
        let email = signed_in.email().to_owned();
        Self { layout, form, email, has_mail, needs_password, confirm_link: None, security }
    }

    fn respond(&self, status: StatusCode) -> Result<HttpResponse, AppError> {
        respond(status, self)
    }
}
