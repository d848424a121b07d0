//! Settings → Client, for owners.

use actix_session::Session;
use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::service;
use crate::{
    accounts::{DisplayName, MaybeSignedIn, flash},
    db::Db,
    error::AppError,
    web::{
        body::{FormFields, form::FormState},
        page::{NavSection, PageLayout, respond, see_other},
    },
};

const INDEX: &str = "/settings/client";
/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "clients/settings/index.html")]
struct ClientSettingsPage {
    layout: PageLayout,
    client_id: String,
    form: FormState,
}

pub(crate) async fn show_form(visitor: MaybeSignedIn) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Client", NavSection::Client)?;
    let form = FormState::default().keep("company", signed_in.client_name());
    let client_id = signed_in.client().to_string();
    respond(StatusCode::OK, &ClientSettingsPage { layout, client_id, form })
}

pub(crate) async fn save(
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Client", NavSection::Client)?;
    let mut form = FormState::default().keep("company", fields.text("company"));
    let Some(name) = form.check("company", fields.text("company").parse::<DisplayName>()) else {
        let client_id = signed_in.client().to_string();
        let page = ClientSettingsPage { layout, client_id, form };
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let (client, context) = (signed_in.client(), signed_in.audit_context());
    db.run(move |connection| service::rename(connection, &context, &client, &name)).await?;
    flash(&session, "Saved.")?;
    Ok(see_other(INDEX))
}
