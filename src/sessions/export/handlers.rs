//! Handlers that read sessions: the export, and `GET /api/sessions` with `ETag` (RFC 9110) and `Link` (RFC 8288).

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETAG, HeaderValue, LINK, VARY},
    web::{Bytes, Data, Path},
};
use uuid::Uuid;

use super::{
    exporter::Exporter,
    negotiation::preferred_format,
    page_slot::PageSlot,
    query::{ExportFormat, ExportQuery, SessionPageRequest},
    response::{self, EncodedPage, etag},
    store, stream,
};
use crate::{
    api_keys::{ApiQuery, AuthorizedReply, PresentedKey, PresentedKeyForm},
    config::Settings,
    db::Db,
    error::AppError,
};

/// Maximum size of a body, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

pub(crate) async fn export(
    form: PresentedKeyForm<BODY_LIMIT>,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let query = ExportQuery::parse(|name| form.get(name), ExportFormat::Json);
    let query = form.key.authorize_before_error(query).await?;
    send(&form.key, query, exporter, db).await
}

/// `GET /api/sessions`, in JSON unless `format` or `Accept` asks for a file.
pub(crate) async fn list(
    request: HttpRequest,
    key: PresentedKey,
    fields: Result<ApiQuery, AppError>,
    (exporter, db, settings): (Data<Exporter>, Data<Db>, Data<Settings>),
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let fields = key.authorize_before_error(fields).await?;
    let query = ExportQuery::parse(|name| fields.get(name), preferred_format(&request));
    let query = key.authorize_before_error(query).await?;
    if query.format != ExportFormat::Json {
        return Ok(send(&key, query, exporter, db).await?.map(vary_by_accept));
    }
    let slot = PageSlot::wait(&query.request).await;
    let page = exporter.load_page(&key, &query).await?;
    let address = format!("{}{}", settings.public_url.origin(), request.path());
    Ok(page.map(|page| {
        let links = link_header(&address, &fields, &query.request, &page);
        let mut response = conditional_response(&request, page.body.clone(), page.etag());
        if let (false, Ok(links)) = (links.is_empty(), HeaderValue::try_from(&links)) {
            response.headers_mut().insert(LINK, links);
        }
        slot.hold(vary_by_accept(response))
    }))
}

pub(crate) async fn download_csv(
    key: PresentedKey,
    fields: Result<ApiQuery, AppError>,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    download(ExportFormat::Csv, &key, fields, exporter, db).await
}

pub(crate) async fn download_ndjson(
    key: PresentedKey,
    fields: Result<ApiQuery, AppError>,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    download(ExportFormat::Ndjson, &key, fields, exporter, db).await
}

async fn download(
    format: ExportFormat,
    key: &PresentedKey,
    fields: Result<ApiQuery, AppError>,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    let fields = key.authorize_before_error(fields).await?;
    let query = ExportQuery::parse_file(|name| fields.get(name), format);
    let query = key.authorize_before_error(query).await?;
    send(key, query, exporter, db).await
}

/// Sends a page, or everything as a stream.
async fn send(
    key: &PresentedKey,
    query: ExportQuery,
    exporter: Data<Exporter>,
    db: Data<Db>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    if query.is_stream {
        return stream::stream_for_key(key, query, exporter, db).await;
    }
    let slot = PageSlot::wait(&query.request).await;
    let page = exporter.load_page(key, &query).await?;
    Ok(page.map(|page| slot.hold(response::page(query.format, &page))))
}

/// Tells caches that `Accept` chooses the format.
fn vary_by_accept(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept"));
    response
}

pub(crate) async fn show(
    request: HttpRequest,
    key: PresentedKey,
    session_id: Path<String>,
) -> Result<AuthorizedReply<HttpResponse>, AppError> {
    // A malformed id is looked up too, so that a bad key is reported first.
    let session_id = session_id.parse::<Uuid>().unwrap_or(Uuid::nil());
    let found =
        key.run(move |connection, credentials| Ok(store::find_session(connection, credentials, session_id)?));
    let response = found.await?.map(|session| {
        let body = serde_json::to_vec(&session.ok_or(AppError::NotFound)?).map_err(AppError::broken)?;
        let tag = etag(&body);
        Ok(conditional_response(&request, body.into(), &tag))
    });
    response.transpose()
}

/// The body with its `ETag`, or 304 without a body if it matches `If-None-Match`.
fn conditional_response(request: &HttpRequest, body: Bytes, tag: &str) -> HttpResponse {
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    // A weak tag compares as the strong one here (RFC 9110, section 13.1.2).
    let is_known = known.is_some_and(|known| {
        known.split(',').map(|it| it.trim().trim_start_matches("W/")).any(|it| it == "*" || it == tag)
    });
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag));
    // A cache must revalidate, so that a deleted key reads nothing.
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if is_known { response.finish() } else { response.content_type("application/json").body(body) }
}

/// The value of `Link`: `first`, `prev`, `next` and `last`, or after a cursor `next` alone.
fn link_header(address: &str, fields: &ApiQuery, request: &SessionPageRequest, page: &EncodedPage) -> String {
    let link = |relation: &str, name: &str, value: &str| {
        let others = fields.iter().filter(|(field, _)| !matches!(*field, "page" | "cursor"));
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(others).append_pair(name, value);
        format!("<{address}?{}>; rel=\"{relation}\"", pairs.finish())
    };
    if request.cursor.is_some() {
        let next = page
            .next_cursor
            .map(|sequence| link("next", "cursor", &SessionPageRequest::cursor_after(sequence)));
        return next.unwrap_or_default();
    }
    let last = request.page_count(page.total).max(1);
    let page_link = |relation: &str, number: i64| link(relation, "page", &number.to_string());
    let mut links = vec![page_link("first", 1)];
    if request.page > 1 {
        links.push(page_link("prev", (request.page - 1).min(last)));
    }
    if request.page < last {
        links.push(page_link("next", request.page + 1));
    }
    links.push(page_link("last", last));
    links.join(", ")
}
