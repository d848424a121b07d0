//! What is done to several keys at once.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use url::form_urlencoded;

use super::{
    list::{ADMINS_ONLY, FORM_LIMIT, INDEX, authorize_change, manager},
    row::KeyRow,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn, leave_message},
    api_keys::{key::DeletedKey, service, store},
    db::Db,
    error::AppError,
    ids::PublicKey,
    usage,
    web::{
        body::FormFields,
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// So many keys are deleted at once.
const SEVERAL_MAX: usize = 100;

#[derive(Template)]
#[template(path = "api_keys/bulk_delete.html")]
struct BulkDeletePage {
    layout: PageLayout,
    keys: Vec<KeyRow>,
    client_id: String,
}

impl BulkDeletePage {
    /// What the form sends: the public keys, with blanks between them.
    fn list(&self) -> String {
        self.keys.iter().map(|key| key.public_key.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether one of them was used within the last 24 hours.
    fn is_one_in_use(&self) -> bool {
        self.keys.iter().any(|key| key.used.as_ref().is_some_and(|used| used.is_lately))
    }
}

/// Asks once more, with the keys of the ticked boxes: each is a `key` in the address.
pub(crate) async fn confirm_delete(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Delete API keys", NavSection::ApiKeys)?;
    signed_in.require_admin(ADMINS_ONLY)?;
    let pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let ticked: Vec<String> =
        pairs.filter(|(name, _)| name == "key").map(|(_, value)| value.into_owned()).collect();
    if ticked.is_empty() {
        leave_message(&session, "No key is ticked. Tick those to be deleted.")?;
        return Ok(see_other(INDEX));
    }
    let keys = parse_all(ticked.iter().map(String::as_str))?;
    let client = signed_in.client();
    let (keys, usage) = db
        .run(move |connection| {
            let found = keys.iter().map(|key| store::find_ever(connection, &client, key));
            let mut found = found.collect::<Result<Vec<_>, _>>()?;
            // Somebody else was quicker.
            found.retain(|key| key.deleted_at.is_none());
            Ok::<_, AppError>((found, usage::of_keys(connection, &client)?))
        })
        .await?;
    if keys.is_empty() {
        leave_message(&session, "These keys were deleted already.")?;
        return Ok(see_other(INDEX));
    }
    let row = |key: crate::api_keys::ApiKey| {
        let used = usage.get(&key.public_key);
        KeyRow::of(key, used)
    };
    let keys = keys.into_iter().map(row).collect();
    respond(StatusCode::OK, &BulkDeletePage { layout, keys, client_id: signed_in.client().to_string() })
}

pub(crate) async fn delete(
    signed_in: SignedIn,
    session: Session,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    authorize_change(&signed_in, &fields)?;
    let keys = parse_all(fields.text("keys").split_whitespace())?;
    let manager = manager(&signed_in);
    let deleted = db.run(move |connection| service::delete_all(connection, &manager, &keys)).await?;
    let now = deleted.iter().filter(|it| matches!(it, DeletedKey::Now(_))).count();
    let message = match now {
        0 => "These keys were deleted already.".to_owned(),
        1 => "1 key is deleted. Programs that use it are refused from now on.".to_owned(),
        now => format!("{now} keys are deleted. Programs that use them are refused from now on."),
    };
    leave_message(&session, &message)?;
    Ok(see_other(INDEX))
}

/// The public keys, each once and at least one. What is none is not found, like another client's.
fn parse_all<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<PublicKey>, AppError> {
    let mut keys = Vec::new();
    for text in texts {
        let key = text.parse().map_err(|_malformed| AppError::NotFound)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return Err(AppError::NotFound);
    }
    if keys.len() > SEVERAL_MAX {
        return Err(AppError::Conflict(format!("Delete at most {SEVERAL_MAX} keys at once.").into()));
    }
    Ok(keys)
}
