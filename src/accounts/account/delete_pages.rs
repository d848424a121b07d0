//! Account → Delete my account.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::{
    deletion::{self, OnlyOwnerOf},
    form::FORM_LIMIT,
    pages::find_password_error,
};
use crate::{
    accounts::{
        account_services::AccountServices,
        sign_in::extractor::{MaybeSignedIn, SignedInUser},
    },
    db::Db,
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
        page::{NavSection, PageLayout, respond},
    },
};

const TITLE: &str = "Delete my account";

#[derive(Template)]
#[template(path = "accounts/delete.html")]
struct DeletePage {
    layout: PageLayout,
    form: FormState,
    email: String,
    /// Whether the current password is needed, because the login was a while ago.
    needs_password: bool,
    only_owner_of: OnlyOwnerOf,
    is_deleted: bool,
}

pub(crate) async fn show(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let mut page = DeletePage::new(layout, &signed_in);
    let user_id = signed_in.user_id;
    page.only_owner_of = db.run(move |connection| deletion::find_only_owned(connection, user_id)).await?;
    respond(StatusCode::OK, &page)
}

pub(crate) async fn delete(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required_user(TITLE, NavSection::Account)?;
    let mut page = DeletePage::new(layout, &signed_in);
    if page.needs_password
        && let Some(error) = find_password_error(&request, &fields, &services, &signed_in).await?
    {
        page.form = page.form.refuse("currentPassword", error);
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let (context, user_id) = (signed_in.audit_context(), signed_in.user_id);
    let deleted = services.db.run(move |connection| deletion::delete_account(connection, &context, user_id));
    match deleted.await? {
        Ok(()) => {
            session.purge();
            page.is_deleted = true;
            page.layout.visitor = None;
            respond(StatusCode::OK, &page)
        }
        Err(only_owner_of) => {
            page.only_owner_of = only_owner_of;
            respond(StatusCode::CONFLICT, &page)
        }
    }
}

impl DeletePage {
    fn new(layout: PageLayout, signed_in: &SignedInUser) -> Self {
        Self {
            layout,
            form: FormState::default(),
            email: signed_in.email().to_owned(),
            needs_password: !signed_in.is_recent(),
            only_owner_of: Vec::new(),
            is_deleted: false,
        }
    }
}
