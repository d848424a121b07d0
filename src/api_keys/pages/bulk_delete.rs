//! Settings → API Keys: deleting several keys at once.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use askama::Template;
use url::form_urlencoded;

use super::{
    list::{FORM_LIMIT, INDEX, key_actor},
    row::KeyView,
};
use crate::{
    accounts::{MaybeSignedIn, SignedIn, flash},
    api_keys::{key::KeyDeletion, service, store},
    db::Db,
    error::AppError,
    ids::PublicKey,
    usage,
    web::{
        body::FormFields,
        page::{NavSection, PageLayout, message::Message, respond, see_other},
    },
};

/// Maximum number of keys that are deleted at once.
const KEYS_MAX: usize = 100;
const ALREADY_DELETED: &str = "These keys had already been deleted.";

#[derive(Template)]
#[template(path = "api_keys/bulk_delete.html")]
struct BulkDeletePage {
    layout: PageLayout,
    keys: Vec<KeyView>,
    client_id: String,
}

impl BulkDeletePage {
    /// The public keys for the form, separated by spaces.
    fn public_keys(&self) -> String {
        self.keys.iter().map(|key| key.public_key.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether any of them was used within the last 24 hours.
    fn is_any_in_use(&self) -> bool {
        self.keys.iter().any(|key| key.used.as_ref().is_some_and(|used| used.is_recent))
    }
}

/// Asks for confirmation. Each selected key is a `key` in the query.
pub(crate) async fn confirm_delete(
    request: HttpRequest,
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Delete API keys", NavSection::ApiKeys)?;
    let pairs = form_urlencoded::parse(request.query_string().as_bytes());
    let selected: Vec<String> =
        pairs.filter(|(name, _)| name == "key").map(|(_, value)| value.into_owned()).collect();
    if selected.is_empty() {
        flash(&session, Message::error("No keys selected. Select the keys you want to delete."))?;
        return Ok(see_other(INDEX));
    }
    let keys = parse_public_keys(selected.iter().map(String::as_str))?;
    let client = signed_in.client();
    let (keys, usage) = db
        .run(move |connection| {
            let found = keys.iter().map(|key| store::find_including_deleted(connection, &client, key));
            let mut found = found.collect::<Result<Vec<_>, _>>()?;
            // Another user may have deleted some of them in the meantime.
            found.retain(|key| key.deleted_at.is_none());
            let usage = usage::load_key_activities(connection, &client, &keys)?;
            Ok::<_, AppError>((found, usage))
        })
        .await?;
    if keys.is_empty() {
        flash(&session, Message::warning(ALREADY_DELETED))?;
        return Ok(see_other(INDEX));
    }
    let row = |key: crate::api_keys::ApiKey| {
        let used = usage.get(&key.public_key);
        KeyView::new(key, used)
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
    let keys = parse_public_keys(fields.text("keys").split_whitespace())?;
    let actor = key_actor(&signed_in);
    let deleted = db.run(move |connection| service::delete_all(connection, &actor, &keys)).await?;
    let now = deleted.iter().filter(|it| matches!(it, KeyDeletion::Now(_))).count();
    let message = match now {
        0 => Message::warning(ALREADY_DELETED),
        1 => Message::success("1 key was deleted. Programs that use it are refused from now on."),
        now => Message::success(format!(
            "{now} keys were deleted. Programs that use them are refused from now on."
        )),
    };
    flash(&session, message)?;
    Ok(see_other(INDEX))
}

/// Parses the public keys and drops duplicates. A malformed key is 404, like a key of another client.
fn parse_public_keys<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<PublicKey>, AppError> {
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
    if keys.len() > KEYS_MAX {
        return Err(AppError::Conflict(format!("Delete at most {KEYS_MAX} keys at once.").into()));
    }
    Ok(keys)
}
