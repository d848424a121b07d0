//! `/docs`.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use askama::Template;

use super::error_codes::ERRORS;
use crate::{
    accounts::MaybeSignedIn,
    config::Settings,
    error::AppError,
    sessions::{self, SessionField},
    web::{
        body::{self, form::FormState},
        page::{NavSection, PageLayout, respond},
    },
};

#[derive(Template)]
#[template(path = "guide/index.html")]
struct GuidePage {
    layout: PageLayout,
    origin: String,
    per_page_default: i64,
    per_page_max: i64,
    fields_max: usize,
    body_kib: usize,
    deadline_seconds: u64,
    batch_max: usize,
    batch_mib: usize,
    kept_hours: i32,
    record: &'static [SessionField],
    errors: &'static [(u16, &'static str, &'static str)],
    any_origin: bool,
    cors_origins: String,
    // The question form at the foot.
    form: FormState,
    is_thanks: bool,
    has_failed: bool,
}

pub(crate) async fn index(
    visitor: MaybeSignedIn,
    settings: Data<Settings>,
) -> Result<HttpResponse, AppError> {
    let page = GuidePage {
        layout: visitor.layout("API Documentation", NavSection::Documentation),
        origin: settings.public_url.origin(),
        per_page_default: sessions::PER_PAGE_DEFAULT,
        per_page_max: sessions::PER_PAGE_MAX,
        fields_max: body::FIELDS_MAX,
        body_kib: sessions::EXPORT_BODY_LIMIT / 1024,
        deadline_seconds: body::DEADLINE_SECONDS,
        batch_max: sessions::BATCH_MAX,
        batch_mib: sessions::RECORD_BODY_LIMIT / (1024 * 1024),
        kept_hours: sessions::KEPT_HOURS,
        record: sessions::SESSION_FIELDS,
        errors: &ERRORS,
        any_origin: settings.any_origin(),
        cors_origins: settings.named_origins().join(", "),
        form: FormState::default(),
        is_thanks: false,
        has_failed: false,
    };
    respond(StatusCode::OK, &page)
}
