//! Erasing a shopper in the browser: name the shopper, confirm the number of sessions, erase.

use actix_session::Session as Cookie;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use uuid::Uuid;

use super::{shopper::ShopperIdentifier, store};
use crate::{
    accounts::{MaybeSignedIn, SignedIn, flash},
    db::Db,
    error::{AppError, FieldError},
    sessions::queries,
    web::{
        body::{FormFields, form::FormState},
        format::grouped,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum size of the form in bytes.
const FORM_LIMIT: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "sessions/erasure/erase.html")]
struct ErasePage {
    layout: PageLayout,
    client_id: String,
    form: FormState,
    /// What would be erased, for confirmation.
    preview: Option<ErasePreview>,
}

struct ErasePreview {
    field: &'static str,
    text: String,
    sessions: String,
}

/// Shows the form. With `?session=` it is filled with the shopper of that session, so that no email address appears in
/// a URL.
pub(crate) async fn show_form(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Erase a shopper", NavSection::Sessions)?;
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let session_id = query.find(|(name, _)| name == "session").and_then(|(_, id)| id.parse::<Uuid>().ok());
    let mut form = FormState::default();
    if let Some(session_id) = session_id {
        let client = signed_in.client();
        let session =
            db.run(move |connection| queries::find_for_member(connection, &client, session_id)).await?;
        if let Some(shopper) = ShopperIdentifier::from_session(&session) {
            form = form.keep(shopper.field(), shopper.text());
        }
    }
    show(StatusCode::OK, &signed_in, layout, form, None)
}

/// Shows how many sessions would be erased; with the field `confirm`, erases them.
pub(crate) async fn submit(
    visitor: MaybeSignedIn,
    cookie: Cookie,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Erase a shopper", NavSection::Sessions)?;
    let (id, email) = (fields.text("shopperId"), fields.text("email"));
    let form = FormState::default().keep("shopperId", id).keep("email", email);
    let shopper = match ShopperIdentifier::parse(id, email) {
        Ok(shopper) => shopper,
        Err(error) => return refuse(&signed_in, layout, form, error),
    };
    let client = signed_in.client();
    if fields.get("confirm").is_some() {
        let context = signed_in.audit_context();
        let count = db.run(move |connection| store::erase(connection, &context, &client, &shopper)).await?;
        flash(&cookie, erased_message(count))?;
        return Ok(see_other("/sessions"));
    }
    let counted = shopper.clone();
    let count = db.run(move |connection| store::count_sessions(connection, &client, &counted)).await?;
    if count == 0 {
        let message = "No session has this shopper. Check the spelling.";
        return refuse(&signed_in, layout, form, FieldError::new(shopper.field(), message));
    }
    let preview =
        ErasePreview { field: shopper.field(), text: shopper.text().to_owned(), sessions: grouped(count) };
    show(StatusCode::OK, &signed_in, layout, form, Some(preview))
}

fn erased_message(count: usize) -> Message {
    match count {
        0 => Message::warning("Nothing to erase: the shopper is already gone."),
        1 => Message::success("Shopper erased from 1 session."),
        _ => Message::success(format!("Shopper erased from {count} sessions.")),
    }
}

fn show(
    status: StatusCode,
    signed_in: &SignedIn,
    layout: PageLayout,
    form: FormState,
    preview: Option<ErasePreview>,
) -> Result<HttpResponse, AppError> {
    respond(status, &ErasePage { layout, client_id: signed_in.client().to_string(), form, preview })
}

fn refuse(
    signed_in: &SignedIn,
    layout: PageLayout,
    form: FormState,
    error: FieldError,
) -> Result<HttpResponse, AppError> {
    let name = if error.field == "email" { "email" } else { "shopperId" };
    show(StatusCode::UNPROCESSABLE_ENTITY, signed_in, layout, form.refuse(name, error.message), None)
}
