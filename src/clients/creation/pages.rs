//! `/clients/new`: the form that creates a client. It is also the page for users who are not a member of any client.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;

use super::service;
use crate::{
    accounts::{AccountServices, DisplayName, MaybeSignedIn, SignedInUser, flash, switch_client},
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "clients/creation/new.html")]
struct NewClientPage {
    layout: PageLayout,
    form: FormState,
    /// Whether users may create clients on this installation.
    is_open: bool,
}

pub(crate) async fn show_form(visitor: MaybeSignedIn) -> Result<HttpResponse, AppError> {
    show(StatusCode::OK, visitor, FormState::default())
}

pub(crate) async fn create(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    services: AccountServices,
) -> Result<HttpResponse, AppError> {
    let user = visitor.user.clone().ok_or(AppError::SignedOut)?;
    if !user.may_create_clients() {
        return show(StatusCode::FORBIDDEN, visitor, FormState::default());
    }
    let mut form = FormState::default().keep("company", fields.text("company"));
    let Some(company) = form.check("company", fields.text("company").parse::<DisplayName>()) else {
        return show(StatusCode::UNPROCESSABLE_ENTITY, visitor, form);
    };
    services.count_address(&request).await?;
    let message = format!("Created {} and switched to it.", company.as_str());
    let (context, user_id) = (user.audit_context(), user.user_id);
    let create = services.db.run(move |connection| service::create(connection, &context, user_id, &company));
    let client = create.await?;
    switch_client(&session, &client, &user.audit_context())?;
    flash(&session, message)?;
    Ok(see_other("/settings/api-keys"))
}

fn show(status: StatusCode, visitor: MaybeSignedIn, form: FormState) -> Result<HttpResponse, AppError> {
    let (user, layout): (SignedInUser, PageLayout) = visitor.required_user("New client", NavSection::None)?;
    respond(status, &NewClientPage { layout, form, is_open: user.may_create_clients() })
}
