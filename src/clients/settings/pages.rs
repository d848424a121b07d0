//! Settings → Client, for owners.

use actix_session::Session;
use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::service::{self, ClientSettings};
use crate::{
    accounts::{DisplayName, MaybeSignedIn, SignedIn, flash},
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
/// Values of the field `part`, which limits a form to one section of the page. Without it a form sets everything.
const NAME: &str = "name";
const SECURITY: &str = "security";

#[derive(Template)]
#[template(path = "clients/settings/index.html")]
struct ClientSettingsPage {
    layout: PageLayout,
    client_id: String,
    form: FormState,
    requires_second_factor: bool,
    /// Whether the owner who looks at the page has one.
    has_second_factor: bool,
}

impl ClientSettingsPage {
    fn new(layout: PageLayout, signed_in: &SignedIn, form: FormState, requires_second_factor: bool) -> Self {
        let client_id = signed_in.client().to_string();
        let has_second_factor = signed_in.user().has_second_factor();
        Self { layout, client_id, form, requires_second_factor, has_second_factor }
    }
}

pub(crate) async fn show_form(visitor: MaybeSignedIn) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Client", NavSection::Client)?;
    let form = FormState::default().keep("company", signed_in.client_name());
    let requires = signed_in.requires_second_factor();
    respond(StatusCode::OK, &ClientSettingsPage::new(layout, &signed_in, form, requires))
}

pub(crate) async fn save(
    visitor: MaybeSignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Client", NavSection::Client)?;
    let (has_name, has_security) = match fields.text("part") {
        NAME => (true, false),
        SECURITY => (false, true),
        _ => (true, true),
    };
    let company = if has_name { fields.text("company") } else { signed_in.client_name() };
    let requires_second_factor = if has_security {
        fields.get("requireSecondFactor").is_some()
    } else {
        signed_in.requires_second_factor()
    };
    let mut form = FormState::default().keep("company", company);
    let Some(name) = form.check("company", company.parse::<DisplayName>()) else {
        let page = ClientSettingsPage::new(layout, &signed_in, form, requires_second_factor);
        return respond(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let (client, context) = (signed_in.client(), signed_in.audit_context());
    let settings = ClientSettings {
        name: has_name.then_some(name),
        requires_second_factor: has_security.then_some(requires_second_factor),
    };
    db.run(move |connection| service::change(connection, &context, &client, &settings)).await?;
    let message = match (has_name, has_security, requires_second_factor) {
        (true, false, _) => "Name saved.",
        (false, true, true) => "Saved. A second factor is required.",
        (false, true, false) => "Saved. A second factor is not required.",
        _ => "Changes saved.",
    };
    flash(&session, message)?;
    Ok(see_other(INDEX))
}
