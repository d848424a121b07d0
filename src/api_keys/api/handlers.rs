//! Handlers of `/api/keys`. A key cannot grant more rights than it has.

use std::{future::Future, pin::Pin, slice};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::LOCATION,
    web::{Bytes, Data, Path},
};
use diesel::PgConnection;
use serde_json::{Value, json};

use super::json::{self, KeyBody};
use crate::{
    api_keys::{
        auth::{
            key_authenticator::{KeyAuthenticator, KeyCredentials},
            key_extraction::ApiQuery,
            presented_key::{AuthorizedReply, PresentedKey, PresentedKeyForm},
        },
        client_key::ClientKey,
        key::KeyDeletion,
        list_query::KeyListQuery,
        new_key::HashedKey,
        service::{self, KeyChangeActor},
        store,
    },
    audit::{Actor, AuditContext},
    error::AppError,
    ids::PublicKey,
    usage,
    web::body::RawBody,
};

/// Maximum size of a body, in bytes.
pub(crate) const BODY_LIMIT: usize = 16 * 1024;

pub(crate) async fn index(
    key: PresentedKey,
    query: Result<ApiQuery, AppError>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let query = key.authorize_before_error(query).await?;
    let query = json::query(|name| query.get(name));
    let page = key.read(move |connection, credentials| {
        load_page(connection, credentials, &query.map_err(AppError::Invalid)?)
    });
    Ok(page.await?.map(|body| json_response(&body)))
}

pub(crate) async fn current(key: PresentedKey) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let found =
        key.read(|connection, credentials| load_key(connection, credentials, &credentials.public_key));
    Ok(found.await?.map(|body| json_response(&body)))
}

pub(crate) async fn show(
    key: PresentedKey,
    public_key: Path<String>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let found =
        key.read(move |connection, credentials| load_key(connection, credentials, &parse_path(&public_key)?));
    Ok(found.await?.map(|body| json_response(&body)))
}

pub(crate) async fn create(
    key: PresentedKey,
    context: AuditContext,
    body: Result<JsonObjectBody, AppError>,
    authenticator: Data<KeyAuthenticator>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let JsonObjectBody(body) = key.authorize_before_error(body).await?;
    let created = key.write(move |connection, credentials| {
        let own = store::find(connection, &credentials.client, &credentials.public_key)?;
        let request = KeyBody::read(&body)?.plan(&own.rights())?;
        let (client_key, new) = HashedKey::generate(authenticator.hasher(), &credentials.client, None);
        let created = service::create(connection, &key_actor(credentials, context), &request, &new);
        let created = created.map_err(json::as_written)?;
        Ok((client_key, json::render_key(&created, None)))
    });
    Ok(created.await?.map(created_response))
}

pub(crate) async fn change(
    key: PresentedKey,
    context: AuditContext,
    public_key: Path<String>,
    body: Result<JsonObjectBody, AppError>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let JsonObjectBody(body) = key.authorize_before_error(body).await?;
    let changed = key.write(move |connection, credentials| {
        let public_key = parse_path(&public_key)?;
        let before = store::find(connection, &credentials.client, &public_key)?;
        let rights = KeyBody::read(&body)?.rights(before.rights())?;
        service::change(connection, &key_actor(credentials, context), &public_key, &rights)?;
        load_key(connection, credentials, &public_key)
    });
    Ok(changed.await?.map(|body| json_response(&body)))
}

pub(crate) async fn delete(
    key: PresentedKey,
    context: AuditContext,
    public_key: Path<String>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let deleted = key.write(move |connection, credentials| {
        match service::delete(connection, &key_actor(credentials, context), &parse_path(&public_key)?)? {
            KeyDeletion::Now(_) => Ok(()),
            KeyDeletion::Before(_) => Err(AppError::NotFound),
        }
    });
    Ok(deleted.await?.map(|()| HttpResponse::NoContent().finish()))
}

pub(crate) async fn replace(
    key: PresentedKey,
    context: AuditContext,
    public_key: Path<String>,
    body: Result<JsonObjectBody, AppError>,
    authenticator: Data<KeyAuthenticator>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let JsonObjectBody(body) = key.authorize_before_error(body).await?;
    let replaced = key.write(move |connection, credentials| {
        let old = parse_path(&public_key)?;
        store::find(connection, &credentials.client, &old)?;
        let grace = KeyBody::read_any(&body)?.grace()?;
        let (client_key, new) = HashedKey::generate(authenticator.hasher(), &credentials.client, None);
        let replaced = service::replace(connection, &key_actor(credentials, context), &old, grace, &new)?;
        Ok((client_key, json::render_key(&replaced.new, None)))
    });
    Ok(replaced.await?.map(created_response))
}

/// Deletes the presented key itself.
pub(crate) async fn revoke(
    form: PresentedKeyForm<BODY_LIMIT>,
    context: AuditContext,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let deleted = form.key.write(move |connection, credentials| {
        service::delete(connection, &key_actor(credentials, context), &credentials.public_key)?;
        Ok(())
    });
    Ok(deleted.await?.map(|()| HttpResponse::NoContent().finish()))
}

/// A body that is empty or has a JSON media type, not parsed yet.
pub(crate) struct JsonObjectBody(Bytes);

impl FromRequest for JsonObjectBody {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request.content_type().to_ascii_lowercase();
        let is_json = matches!(media_type.as_str(), "application/json" | "application/merge-patch+json");
        let body = RawBody::<BODY_LIMIT>::from_request(request, payload);
        Box::pin(async move {
            let RawBody(body) = body.await.map_err(|error| match error {
                AppError::UnsupportedType => AppError::UnsupportedObject,
                other => other,
            })?;
            if is_json || body.is_empty() { Ok(Self(body)) } else { Err(AppError::UnsupportedObject) }
        })
    }
}

/// The presented key as the one that acts.
fn key_actor(credentials: &KeyCredentials, context: AuditContext) -> KeyChangeActor {
    let context = context.by(Actor::Key(credentials.public_key.clone()));
    KeyChangeActor { client: credentials.client.clone(), context }
}

fn parse_path(public_key: &str) -> Result<PublicKey, AppError> {
    public_key.parse().map_err(|_malformed| AppError::NotFound)
}

fn load_key(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    public_key: &PublicKey,
) -> Result<Value, AppError> {
    let key = store::find(connection, &credentials.client, public_key)?;
    let last_uses = usage::load_last_uses(connection, &credentials.client, slice::from_ref(public_key))?;
    Ok(json::render_key(&key, last_uses.get(public_key).map(|last| last.at)))
}

fn load_page(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    query: &KeyListQuery,
) -> Result<Value, AppError> {
    let found = store::list(connection, &credentials.client, query)?;
    // The list falls back to its first page when the requested one is empty; the API returns an empty page.
    let keys = if found.page == query.page { found.keys } else { Vec::new() };
    let shown: Vec<_> = keys.iter().map(|key| key.public_key.clone()).collect();
    let uses = usage::load_last_uses(connection, &credentials.client, &shown)?;
    let last_use = |key: &PublicKey| uses.get(key).map(|last| last.at);
    let data: Vec<Value> = keys.iter().map(|key| json::render_key(key, last_use(&key.public_key))).collect();
    let per_page = i64::from(query.per_page);
    Ok(json!({
        "data": data,
        "page": query.page,
        "recordsPerPage": per_page,
        "totalKeys": found.total,
        "totalPages": (found.total + per_page - 1) / per_page,
    }))
}

fn json_response(body: &Value) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body.to_string())
}

/// The only response that contains the whole key. Like every response below `/api` it is `no-store`.
fn created_response((client_key, mut body): (ClientKey, Value)) -> HttpResponse {
    let address = format!("/api/keys/{}", client_key.public());
    body["clientKey"] = client_key.expose().into();
    let body = body.to_string();
    HttpResponse::Created().insert_header((LOCATION, address)).content_type("application/json").body(body)
}
