//! The button `Switch`.

use actix_session::Session;
use actix_web::{HttpResponse, web::Data};

use crate::{
    accounts::{SignedInUser, switch_client},
    error::AppError,
    web::{body::FormFields, local_path::LocalPath, page::see_other, page_paths::PagePaths},
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

/// Makes a client of the user the active one, and goes to the page in the field `next`.
pub(crate) async fn switch(
    user: SignedInUser,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    page_paths: Data<PagePaths>,
) -> Result<HttpResponse, AppError> {
    let client = user.find_client(fields.text("clientId")).ok_or(AppError::NotFound)?;
    switch_client(&session, &client.client_id, &user.audit_context())?;
    let next = page_paths.find_page(fields.text("next"));
    Ok(see_other(next.as_ref().map_or("/sessions", LocalPath::as_str)))
}
