//! Static files inside the binary. Their addresses contain a hash of the content, so browsers may cache them forever.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::{Path, ServiceConfig, get, resource},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::AppError;

#[derive(RustEmbed)]
#[folder = "static/"]
struct StaticFiles;

/// The example programs, so that the documentation of any installation can link to them.
#[derive(RustEmbed)]
#[folder = "examples/"]
#[prefix = "examples/"]
#[include = "python/export.py"]
#[include = "typescript/export.ts"]
#[include = "php/export.php"]
#[include = "go/export.go"]
#[include = "rust/src/main.rs"]
struct ExampleFiles;

/// Address → (name, file). The address has the first 8 hex digits of the SHA-256 of the content.
static BY_ADDRESS: LazyLock<HashMap<String, (String, EmbeddedFile)>> = LazyLock::new(|| {
    let addressed = |name: String| {
        let file = StaticFiles::get(&name).or_else(|| ExampleFiles::get(&name))?;
        let [a, b, c, d, ..] = file.metadata.sha256_hash();
        let hash = u32::from_be_bytes([a, b, c, d]);
        let (stem, extension) = name.rsplit_once('.')?;
        Some((format!("{stem}.{hash:08x}.{extension}"), (name.clone(), file)))
    };
    let names = StaticFiles::iter().chain(ExampleFiles::iter());
    names.filter_map(|name| addressed(name.into_owned())).collect()
});

static ADDRESSES: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    BY_ADDRESS.iter().map(|(address, (name, _))| (name.as_str(), format!("/static/{address}"))).collect()
});

/// The address of the static file `name` (`css/base.css`).
///
/// # Panics
/// If there is no such file. The tests render every template, so a wrong name does not get past them.
#[must_use]
pub fn url(name: &str) -> &'static str {
    ADDRESSES.get(name).map_or_else(|| panic!("static/{name} does not exist"), String::as_str)
}

pub fn routes(config: &mut ServiceConfig) {
    config.service(resource("/static/{address:.*}").route(get().to(file)));
}

async fn file(address: Path<String>) -> Result<HttpResponse, AppError> {
    let (name, file) = BY_ADDRESS.get(address.as_str()).ok_or(AppError::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type(name)))
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(file.data.clone().into_owned()))
}

/// Programs are text to read: by its name, a `.ts` would be a video.
fn content_type(name: &str) -> String {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let content_type = if name.starts_with("examples/") { "text/plain" } else { guess.as_ref() };
    if content_type.starts_with("text/") {
        format!("{content_type}; charset=utf-8")
    } else {
        content_type.to_owned()
    }
}
