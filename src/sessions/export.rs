//! `POST /api/sessions/export-csv-data`: a client's sessions for its programs, page by page or as a stream.

use actix_web::{HttpResponse, web::Data};

use super::{
    answer::{self, Format},
    desk::Desk,
    page_request::PageRequest,
    stream,
};
use crate::{api_keys::FormCall, db::Db, error::AppError};

/// The body has at most so many bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

pub(crate) async fn export(
    call: FormCall<BODY_LIMIT>,
    desk: Data<Desk>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let asked = call.key.readable(Asked::parse(|name| call.get(name))).await?;
    if asked.is_stream {
        return stream::everything(&call.key, asked, (desk, db)).await;
    }
    let page = desk.page_of(&call.key, &asked).await?;
    Ok(answer::page(asked.format, &page))
}

/// What a caller asks for, in whatever way it is written.
pub(crate) struct Asked {
    pub(crate) format: Format,
    pub(crate) request: PageRequest,
    /// Everything, not a page.
    pub(crate) is_stream: bool,
}

impl Asked {
    /// Parses the fields that `field` gives by name; `None` is absent.
    pub(crate) fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, AppError> {
        let format = Format::parse(field("format"));
        let request = PageRequest::parse(&field);
        match (format, request) {
            (Ok(format), Ok(request)) => {
                let is_stream = format != Format::Json && field("page").is_none() && request.cursor.is_none();
                Ok(Self { format, request, is_stream })
            }
            (format, request) => {
                let mut errors = request.err().unwrap_or_default();
                errors.extend(format.err());
                Err(AppError::Invalid(errors))
            }
        }
    }
}
