//! Forms that change something of a client name the client that they were opened under.
//!
//! The table of page routes applies these checks, so no handler can forget them.

use std::{cell::Cell, rc::Rc};

use actix_session::SessionExt as _;
use actix_web::{
    Error, HttpMessage as _,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use super::extractor::{ClientMembership, OTHER_CLIENT, SignedIn};
use crate::{
    error::AppError,
    web::body::{peek::peek_form, upload::FormClientCheck},
};

/// Maximum size of any form of a client, in bytes. The handler's own limit may be lower.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum number of fields of any form of a client. The handler's own limit may be lower.
const FIELDS_MAX: usize = 256;
/// The field of a form that is shown again after it was refused: its client becomes the active one.
pub(crate) const SWITCH_FIELD: &str = "switchClient";

/// A form that was refused because it was opened under another client of the user, to be shown again. It is attached to
/// the request.
#[derive(Clone, Debug)]
pub(crate) struct FormOfOtherClient {
    /// The client that the form was opened under.
    pub(crate) client: ClientMembership,
    /// The name of the active client.
    pub(crate) active_name: String,
    /// The fields as they were sent. `None` for an upload: its file is not kept.
    pub(crate) fields: Option<Vec<(String, String)>>,
}

/// Refuses a form that does not name the active client, before its handler runs. The handler reads the body again.
///
/// # Errors
/// Answers 303 to the login page if nobody is signed in, and what [`SignedIn::require_client`] and [`peek_form`] refuse.
pub(crate) async fn require_form_client(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match check_form(&mut request).await {
        Ok(()) => next.call(request).await,
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn check_form(request: &mut ServiceRequest) -> Result<(), AppError> {
    let signed_in = request.extract::<SignedIn>().await?;
    let fields = peek_form::<BODY_LIMIT, FIELDS_MAX>(request).await?;
    let Some(other) = find_other_client(&signed_in, fields.text("clientId")) else {
        return signed_in.require_client(fields.text("clientId"));
    };
    if fields.get(SWITCH_FIELD).is_some() {
        return signed_in.user().clone().activate(&request.get_session(), &other);
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    request.extensions_mut().insert(FormOfOtherClient {
        client: other,
        active_name: signed_in.client_name().to_owned(),
        fields: Some(fields.iter().map(owned).collect()),
    });
    Err(AppError::Conflict(OTHER_CLIENT.into()))
}

fn find_other_client(signed_in: &SignedIn, client_id: &str) -> Option<ClientMembership> {
    let others = signed_in.user().other_clients();
    others.iter().find(|other| other.client_id.as_str() == client_id).cloned()
}

/// Attaches the check to an upload, which is too large to be read here. Without it no handler can read the upload.
///
/// # Errors
/// Answers 303 to the login page if nobody is signed in.
pub(crate) async fn require_upload_client(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match request.extract::<SignedIn>().await {
        Ok(signed_in) => {
            // Not written to the request at once: the check is part of it, and would keep it alive.
            let refused = Rc::new(Cell::new(None));
            let refused_by_check = Rc::clone(&refused);
            let check = FormClientCheck::new(move |form_client| {
                refused_by_check.set(find_other_client(&signed_in, form_client).map(|client| {
                    let active_name = signed_in.client_name().to_owned();
                    FormOfOtherClient { client, active_name, fields: None }
                }));
                signed_in.require_client(form_client)
            });
            request.extensions_mut().insert(check);
            let response = next.call(request).await?;
            if let Some(form) = refused.take() {
                response.request().extensions_mut().insert(form);
            }
            Ok(response)
        }
        Err(error) => Ok(request.error_response(error)),
    }
}
