//! `GET /api/sessions` and `GET /api/sessions/{sessionId}`: the same as the export, for those who like it plain, with
//! `ETag` (RFC 9110) and `Link` (RFC 8288).

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETAG, HeaderValue, LINK},
    web::{Bytes, Data, Path},
};
use uuid::Uuid;

use super::{
    exporter::Exporter,
    query::{ExportFormat, ExportQuery, PageRequest},
    response::{self, tag_of},
    store::{self, SessionLookup},
    stream,
};
use crate::{
    api_keys::{ApiQuery, FormWithKey, PresentedKey},
    config::Settings,
    db::Db,
    error::AppError,
};

/// The body has at most so many bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

pub(crate) async fn export(
    call: FormWithKey<BODY_LIMIT>,
    desk: Data<Exporter>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let asked = call.key.readable(ExportQuery::parse(|name| call.get(name))).await?;
    if asked.is_stream {
        return stream::everything(&call.key, asked, (desk, db)).await;
    }
    let page = desk.page_of(&call.key, &asked).await?;
    Ok(response::page(asked.format, &page))
}

pub(crate) async fn list(
    request: HttpRequest,
    key: PresentedKey,
    query: Result<ApiQuery, AppError>,
    shared: (Data<Exporter>, Data<Db>, Data<Settings>),
) -> Result<HttpResponse, AppError> {
    let (desk, db, settings) = shared;
    let query = key.readable(query).await?;
    let asked = key.readable(ExportQuery::parse(|name| query.get(name))).await?;
    if asked.is_stream {
        return stream::everything(&key, asked, (desk, db)).await;
    }
    let page = desk.page_of(&key, &asked).await?;
    if asked.format != ExportFormat::Json {
        return Ok(response::page(asked.format, &page));
    }
    let address = format!("{}{}", settings.public_url.origin(), request.path());
    let links = links(&address, &query, &asked.request, page.total, page.more_after);
    let mut response = tagged(&request, page.body.clone(), page.tag());
    if let (false, Ok(links)) = (links.is_empty(), HeaderValue::try_from(&links)) {
        response.headers_mut().insert(LINK, links);
    }
    Ok(response)
}

pub(crate) async fn show(
    request: HttpRequest,
    key: PresentedKey,
    session_id: Path<String>,
) -> Result<HttpResponse, AppError> {
    // An id that is none is looked for too, so that a bad key is told first.
    let session_id = session_id.parse::<Uuid>().unwrap_or(Uuid::nil());
    let found =
        key.run(move |connection, credentials| Ok(store::find_session(connection, credentials, session_id)?));
    let SessionLookup::Found(session) = found.await? else { return Err(AppError::NotFound) };
    let body = serde_json::to_vec(&session).map_err(AppError::broken)?;
    let tag = tag_of(&body);
    Ok(tagged(&request, body.into(), &tag))
}

/// The body with its strong tag; 304 without it when the caller has it already.
fn tagged(request: &HttpRequest, body: Bytes, tag: &str) -> HttpResponse {
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // A weak tag compares as the strong one here (RFC 9110, section 13.1.2).
    let is_known = known.is_some_and(|known| {
        known.split(',').map(|it| it.trim().trim_start_matches("W/")).any(|it| it == "*" || it == tag)
    });
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag));
    // Whoever keeps the answer asks whether it still holds, and whether the key does.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if is_known { response.finish() } else { response.content_type("application/json").body(body) }
}

/// Where to go on: `first`, `prev`, `next` and `last`, or the next cursor.
fn links(
    address: &str,
    query: &ApiQuery,
    request: &PageRequest,
    total: i64,
    more_after: Option<i64>,
) -> String {
    let link = |relation: &str, name: &str, value: &str| {
        let others = query.iter().filter(|(field, _)| !matches!(*field, "page" | "cursor"));
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(others).append_pair(name, value);
        format!("<{address}?{}>; rel=\"{relation}\"", pairs.finish())
    };
    if request.cursor.is_some() {
        let next = more_after.map(|sequence| link("next", "cursor", &PageRequest::cursor_after(sequence)));
        return next.unwrap_or_default();
    }
    let last = request.page_count(total).max(1);
    let page = |relation: &str, number: i64| link(relation, "page", &number.to_string());
    let mut links = vec![page("first", 1)];
    if request.page > 1 {
        links.push(page("prev", (request.page - 1).min(last)));
    }
    if request.page < last {
        links.push(page("next", request.page + 1));
    }
    links.push(page("last", last));
    links.join(", ")
}
