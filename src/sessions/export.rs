//! `POST /api/sessions/export-csv-data`: a client's sessions for its programs, page by page or as a stream.

use actix_web::{
    HttpResponse,
    web::{Data, ServiceConfig, get, post, resource},
};

use super::{
    answer::{self, Format},
    filtered, ingest,
    page_request::PageRequest,
    read,
    store::{self, PageOf},
    stream,
};
use crate::{
    api_keys::{ClientKey, Gate, Scope},
    db::Db,
    error::AppError,
    web::api_request::ApiRequest,
};

/// The body has at most so many bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The addresses of this room below `/api`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/sessions/export-csv-data").route(post().to(export)))
        .service(resource("/sessions").route(get().to(read::list)).route(post().to(ingest::record)))
        .service(resource("/sessions/{session_id}").route(get().to(read::show)));
}

async fn export(
    call: ApiRequest<BODY_LIMIT>,
    db: Data<Db>,
    gate: Data<Gate>,
) -> Result<HttpResponse, AppError> {
    let asked = Asked::parse(call.presented_key()?, |name| call.get(name))?;
    if asked.is_stream {
        return stream::everything(asked.key, asked.format, asked.request, db, gate).await;
    }
    let page = page_of(&asked, &db, gate).await?;
    answer::page(asked.format, &asked.request, page)
}

/// What a caller asks for, in whatever way it is written.
pub(super) struct Asked {
    pub(super) key: ClientKey,
    pub(super) format: Format,
    pub(super) request: PageRequest,
    /// Everything, not a page.
    pub(super) is_stream: bool,
}

impl Asked {
    /// Parses the key and the fields that `field` gives by name; `None` is absent.
    pub(super) fn parse<'a>(key: &str, field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AppError> {
        let key = ClientKey::try_from(key)?;
        let format = Format::parse(field("format"));
        let request = PageRequest::parse(&field);
        match (format, request) {
            (Ok(format), Ok(request)) => {
                let is_stream = format != Format::Json && field("page").is_none() && request.cursor.is_none();
                Ok(Self { key, format, request, is_stream })
            }
            (format, request) => {
                let mut errors = request.err().unwrap_or_default();
                errors.extend(format.err());
                Err(AppError::Invalid(errors))
            }
        }
    }
}

/// The page that is asked for.
pub(super) async fn page_of(asked: &Asked, db: &Db, gate: Data<Gate>) -> Result<PageOf, AppError> {
    let (key, request) = (asked.key.clone(), asked.request.clone());
    db.run(move |connection| {
        let credentials = gate.credentials(connection, &key, Scope::SessionsRead)?;
        let page = if request.is_plain() {
            store::page_of(connection, &credentials, &request)
        } else {
            filtered::page_of(connection, &credentials, &request)
        };
        match page? {
            Some(page) => Ok(page),
            None => credentials.refusal(connection),
        }
    })
    .await
}
