//! `/api/keys`: the keys of a client, for its programs. A key gives no more than it has.

use std::{future::Future, pin::Pin};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    dev::Payload,
    http::{StatusCode, header::LOCATION},
    web::{Bytes, Data, Path},
};
use diesel::PgConnection;
use serde_json::{Value, json};

use super::json::{self, KeyBody};
use crate::{
    api_keys::{
        auth::{
            authentication::{FormWithKey, PresentedKey},
            credentials::{self, Authenticator, Credentials},
            key_source::ApiQuery,
        },
        client_key::ClientKey,
        key::DeletedKey,
        list_query::KeyListQuery,
        new_key::NewKey,
        service::{self, KeyActor},
        store,
    },
    audit::{Actor, AuditContext},
    error::AppError,
    ids::PublicKey,
    usage,
    web::body::RawBody,
};

/// The body has at most so many bytes.
pub(crate) const BODY_LIMIT: usize = 16 * 1024;

pub(crate) async fn index(
    key: PresentedKey,
    query: Result<ApiQuery, AppError>,
) -> Result<HttpResponse, AppError> {
    let query = key.readable(query).await?;
    let asked = json::query(|name| query.get(name));
    let found = admitted(&key, move |connection, credentials| {
        page_of(connection, credentials, &asked.map_err(AppError::Invalid)?)
    });
    Ok(answer(StatusCode::OK, &found.await?))
}

pub(crate) async fn current(key: PresentedKey) -> Result<HttpResponse, AppError> {
    let found =
        admitted(&key, |connection, credentials| shown(connection, credentials, &credentials.public_key));
    Ok(answer(StatusCode::OK, &found.await?))
}

pub(crate) async fn show(key: PresentedKey, public_key: Path<String>) -> Result<HttpResponse, AppError> {
    let found =
        admitted(&key, move |connection, credentials| shown(connection, credentials, &parse(&public_key)?));
    Ok(answer(StatusCode::OK, &found.await?))
}

pub(crate) async fn create(
    key: PresentedKey,
    trail: AuditContext,
    body: Result<JsonObjectBody, AppError>,
    gate: Data<Authenticator>,
) -> Result<HttpResponse, AppError> {
    let JsonObjectBody(body) = key.readable(body).await?;
    let made = admitted(&key, move |connection, credentials| {
        let own = store::find(connection, &credentials.client, &credentials.public_key)?;
        let plan = KeyBody::read(&body)?.plan(&own.rights())?;
        let (whole, new) = NewKey::generate(gate.hasher(), &credentials.client, None)?;
        let made = service::create(connection, &manager_of(credentials, trail), &plan, &new);
        let made = made.map_err(json::as_written)?;
        Ok((whole, json::of(&made, None)))
    });
    Ok(made_answer(made.await?))
}

pub(crate) async fn change(
    key: PresentedKey,
    trail: AuditContext,
    public_key: Path<String>,
    body: Result<JsonObjectBody, AppError>,
) -> Result<HttpResponse, AppError> {
    let JsonObjectBody(body) = key.readable(body).await?;
    let changed = admitted(&key, move |connection, credentials| {
        let public_key = parse(&public_key)?;
        let before = store::find(connection, &credentials.client, &public_key)?;
        let rights = KeyBody::read(&body)?.rights(before.rights())?;
        service::change(connection, &manager_of(credentials, trail), &public_key, &rights)?;
        shown(connection, credentials, &public_key)
    });
    Ok(answer(StatusCode::OK, &changed.await?))
}

pub(crate) async fn delete(
    key: PresentedKey,
    trail: AuditContext,
    public_key: Path<String>,
) -> Result<HttpResponse, AppError> {
    let deleted = admitted(&key, move |connection, credentials| {
        match service::delete(connection, &manager_of(credentials, trail), &parse(&public_key)?)? {
            DeletedKey::Now(_) => Ok(()),
            DeletedKey::Before(_) => Err(AppError::NotFound),
        }
    });
    deleted.await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn replace(
    key: PresentedKey,
    trail: AuditContext,
    public_key: Path<String>,
    body: Result<JsonObjectBody, AppError>,
    gate: Data<Authenticator>,
) -> Result<HttpResponse, AppError> {
    let JsonObjectBody(body) = key.readable(body).await?;
    let made = admitted(&key, move |connection, credentials| {
        let old = parse(&public_key)?;
        store::find(connection, &credentials.client, &old)?;
        let grace = KeyBody::read_any(&body)?.grace()?;
        let (whole, new) = NewKey::generate(gate.hasher(), &credentials.client, None)?;
        let replaced = service::replace(connection, &manager_of(credentials, trail), &old, grace, &new)?;
        Ok((whole, json::of(&replaced.new, None)))
    });
    Ok(made_answer(made.await?))
}

/// Whoever has the whole of a key may end it, wherever it is and whatever the key may do.
pub(crate) async fn revoke(
    call: FormWithKey<BODY_LIMIT>,
    trail: AuditContext,
) -> Result<HttpResponse, AppError> {
    let deleted = call.key.run(move |connection, credentials| {
        let Some(limit) = credentials::limit_of_living(connection, credentials)? else { return Ok(None) };
        service::delete(connection, &manager_of(credentials, trail), &credentials.public_key)?;
        credentials.let_in(limit);
        Ok(Some(()))
    });
    deleted.await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A body that is one JSON object, or nothing. Not yet parsed.
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

/// What `work` does for a key that is let in.
async fn admitted<T: Send + 'static>(
    key: &PresentedKey,
    work: impl FnOnce(&mut PgConnection, &Credentials) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    key.run(move |connection, credentials| {
        if credentials::is_admitted(connection, credentials)? {
            work(connection, credentials).map(Some)
        } else {
            Ok(None)
        }
    })
    .await
}

/// The key acts itself.
fn manager_of(credentials: &Credentials, trail: AuditContext) -> KeyActor {
    let trail = trail.by(Actor::Key(credentials.public_key.clone()));
    KeyActor { client: credentials.client.clone(), context: trail }
}

fn parse(text: &str) -> Result<PublicKey, AppError> {
    text.parse().map_err(|_malformed| AppError::NotFound)
}

fn shown(
    connection: &mut PgConnection,
    credentials: &Credentials,
    public_key: &PublicKey,
) -> Result<Value, AppError> {
    let key = store::find(connection, &credentials.client, public_key)?;
    let used = usage::load_key_use(connection, &credentials.client, public_key)?.last;
    Ok(json::of(&key, used.map(|last| last.at)))
}

fn page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    asked: &KeyListQuery,
) -> Result<Value, AppError> {
    let found = store::list(connection, &credentials.client, asked)?;
    let uses = usage::load_key_uses(connection, &credentials.client)?;
    // The list gives its first page for one that is not there; here that is empty.
    let keys = if found.page == asked.page { found.keys } else { Vec::new() };
    let last_use = |key: &str| uses.get(key).and_then(|it| it.last.as_ref()).map(|last| last.at);
    let data: Vec<Value> = keys.iter().map(|key| json::of(key, last_use(&key.public_key))).collect();
    let per_page = i64::from(asked.per_page);
    Ok(json!({
        "data": data,
        "page": asked.page,
        "recordsPerPage": per_page,
        "totalKeys": found.total,
        "totalPages": (found.total + per_page - 1) / per_page,
    }))
}

fn answer(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(body.to_string())
}

/// The whole key is in this answer and in no other; like all below `/api` it is `no-store`.
fn made_answer((whole, mut key): (ClientKey, Value)) -> HttpResponse {
    let address = format!("/api/keys/{}", whole.public());
    key["clientKey"] = whole.expose().into();
    let body = key.to_string();
    HttpResponse::Created().insert_header((LOCATION, address)).content_type("application/json").body(body)
}
