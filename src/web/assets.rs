//! Static files inside the binary. Their addresses contain a hash of the content, so browsers may cache them forever.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::LazyLock,
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{
        CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, ETag, EntityTag, Header as _, IfNoneMatch, VARY,
    },
    web::{Bytes, Path, ServiceConfig, get, resource},
};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::{format::hex, middleware::compression::accepted_encoding};
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

/// A file for browsers that is several files to work on.
struct JoinedFile {
    name: &'static str,
    /// In the order in which they are joined.
    parts: &'static [&'static str],
    /// Removes what browsers do not need.
    compact: fn(&str) -> String,
}

/// What every page loads. Each file costs a request with its headers.
const JOINED_FILES: [JoinedFile; 2] = [
    JoinedFile {
        name: "css/uptok.css",
        parts: &["css/tokens.css", "css/base.css", "css/layout.css", "css/components.css"],
        compact: compact_css,
    },
    JoinedFile {
        name: "js/uptok.js",
        parts: &["js/theme.js", "js/forms.js", "js/copy.js", "js/selection.js"],
        compact: compact_to_block,
    },
];

/// Address → file. The address has the hash of the content.
static BY_ADDRESS: LazyLock<HashMap<String, StaticFile>> = LazyLock::new(|| {
    let is_part = |name: &str| JOINED_FILES.iter().any(|file| file.parts.contains(&name));
    let names = StaticFiles::iter().filter(|name| !is_part(name)).chain(ExampleFiles::iter());
    let single = names.filter_map(|name| Some((name.to_string(), read_compact(&name)?)));
    let joined = JOINED_FILES.iter().map(|file| (file.name.to_owned(), file.join().into()));
    let files = single.chain(joined).map(|(name, content)| StaticFile::new(name, content));
    files.map(|file| (file.address(), file)).collect()
});

static ADDRESSES: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    BY_ADDRESS.iter().map(|(address, file)| (file.name.as_str(), format!("/static/{address}"))).collect()
});

/// A file, compressed once.
struct StaticFile {
    name: String,
    /// The first 8 hexadecimal digits of the SHA-256 of the content, in the address and in the entity tag.
    hash: String,
    plain: Bytes,
    brotli: Bytes,
    gzip: Bytes,
}

impl StaticFile {
    fn new(name: String, content: Bytes) -> Self {
        let hash = hex(&Sha256::digest(&content)[..4]);
        // Writing to memory cannot fail; if it did, the file would be sent as it is.
        let brotli = compress_brotli(&content).unwrap_or_else(|_impossible| content.clone());
        let gzip = compress_gzip(&content).unwrap_or_else(|_impossible| content.clone());
        Self { name, hash, plain: content, brotli, gzip }
    }

    fn address(&self) -> String {
        let (stem, extension) = self.name.rsplit_once('.').unwrap_or((&self.name, "txt"));
        format!("{stem}.{}.{extension}", self.hash)
    }

    /// The content in this encoding, or as it is if that is not shorter.
    fn encoded(&self, encoding: ContentEncoding) -> (ContentEncoding, &Bytes) {
        let encoded = match encoding {
            ContentEncoding::Brotli => &self.brotli,
            ContentEncoding::Gzip => &self.gzip,
            _ => &self.plain,
        };
        if encoded.len() < self.plain.len() {
            (encoding, encoded)
        } else {
            (ContentEncoding::Identity, &self.plain)
        }
    }
}

fn read(name: &str) -> Option<Bytes> {
    let file = StaticFiles::get(name).or_else(|| ExampleFiles::get(name))?;
    Some(file.data.into_owned().into())
}

fn read_compact(name: &str) -> Option<Bytes> {
    let content = read(name)?;
    if name.starts_with("js/") {
        return Some(compact_script(&String::from_utf8_lossy(&content)).into());
    }
    Some(content)
}

impl JoinedFile {
    fn join(&self) -> String {
        let parts = self.parts.iter().filter_map(|part| read(part));
        parts.map(|part| (self.compact)(&String::from_utf8_lossy(&part))).collect()
    }
}

/// What separates nothing in a stylesheet, and its short form.
const CSS_SPACES: [(&str, &str); 5] = [(": ", ":"), (" {", "{"), (", ", ","), (" > ", ">"), (";}", "}")];

/// Removes comments, indentation and most line breaks and spaces. No string of the stylesheet contains what starts a
/// comment or is in [`CSS_SPACES`]; a test checks that.
fn compact_css(css: &str) -> String {
    let mut parts = css.split("/*");
    let before = parts.next().unwrap_or_default().to_owned();
    let rest =
        |part: &str| part.split_once("*/").map_or_else(String::new, |(_comment, rest)| rest.to_owned());
    let css = parts.fold(before, |css, part| css + &rest(part));
    // After these, a line break separates nothing.
    let needs_break = |line: &str| !line.ends_with([';', '{', '}', ',']);
    let css = trimmed_lines(&css)
        .fold(String::new(), |css, line| css + line + if needs_break(line) { "\n" } else { "" });
    CSS_SPACES.iter().fold(css, |css, (long, short)| css.replace(long, short))
}

/// The block keeps the names of one script from those of the next.
fn compact_to_block(script: &str) -> String {
    format!("{{\n{}}}\n", compact_script(script))
}

/// Removes indentation and lines that are comments.
fn compact_script(script: &str) -> String {
    let lines = trimmed_lines(script).filter(|line| !line.starts_with("//"));
    lines.fold(String::new(), |script, line| script + line + "\n")
}

fn trimmed_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn compress_brotli(content: &[u8]) -> io::Result<Bytes> {
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &BrotliEncoderParams::default())?;
    Ok(compressed.into())
}

fn compress_gzip(content: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.into())
}

/// The address of the static file `name` (`css/uptok.css`).
///
/// # Panics
/// If there is no such file. The tests render every template, so a wrong name does not get past them.
#[must_use]
pub fn url(name: &str) -> &'static str {
    ADDRESSES.get(name).map_or_else(|| panic!("static/{name} does not exist"), String::as_str)
}

/// Registers the route, and compresses the files before the first request.
pub fn routes(config: &mut ServiceConfig) {
    LazyLock::force(&BY_ADDRESS);
    config.service(resource("/static/{address:.*}").route(get().to(show_file)));
}

async fn show_file(request: HttpRequest, address: Path<String>) -> Result<HttpResponse, AppError> {
    let file = BY_ADDRESS.get(address.as_str()).ok_or(AppError::NotFound)?;
    let (encoding, content) = file.encoded(accepted_encoding(&request));
    // Strong, so it differs between encodings (RFC 9110, section 8.8.3.3).
    let tag = EntityTag::new_strong(format!("{}-{}", file.hash, encoding.as_str()));
    if is_unchanged(&request, &tag) {
        return Ok(with_cache_headers(HttpResponse::NotModified(), tag).finish());
    }
    let mut response = with_cache_headers(HttpResponse::Ok(), tag);
    response.insert_header((CONTENT_TYPE, content_type(&file.name)));
    if encoding != ContentEncoding::Identity {
        response.insert_header(encoding);
    }
    Ok(response.body(content.clone()))
}

fn with_cache_headers(mut response: HttpResponseBuilder, tag: EntityTag) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "max-age=31536000, immutable"));
    response.insert_header((VARY, "Accept-Encoding"));
    response.insert_header(ETag(tag));
    response
}

fn is_unchanged(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        Err(_absent) => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn source(part: &str) -> String {
        String::from_utf8(read(part).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_stylesheet_has_every_rule_and_no_comment() {
        let [JoinedFile { parts, .. }, _] = JOINED_FILES;
        let css = JOINED_FILES[0].join();

        assert!(css.starts_with("@layer tokens,base,layout,components;"));
        assert!(!css.contains("/*") && !css.contains("*/"));
        for part in parts {
            let source = source(part);
            assert_eq!(source.matches("/*").count(), source.matches("*/").count(), "{part}");
            assert!(!source.contains("'/*"), "{part}");
            let texts = source.lines().flat_map(|line| line.split('"').skip(1).step_by(2));
            let is_changed = |text: &&str| {
                text.contains("/*") || CSS_SPACES.iter().any(|(separator, _)| text.contains(separator))
            };
            assert_eq!(texts.filter(is_changed).collect::<Vec<_>>(), [""; 0], "{part}");
            assert!(css.contains(&compact_css(&source)), "{part}");
        }
        assert_eq!(css.matches('{').count(), css.matches('}').count());
    }

    fn templates(folder: &std::path::Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: std::path::PathBuf| {
            if path.is_dir() { templates(&path) } else { vec![std::fs::read_to_string(path).unwrap()] }
        };
        entries.flat_map(read).collect()
    }

    #[test]
    fn every_file_that_a_template_names_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let templates = templates(&folder);
        let calls = templates.iter().flat_map(|text| text.split("assets::url(\"").skip(1));
        let mut names: Vec<_> = calls.filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        names.sort_unstable();
        names.dedup();

        assert!(names.len() > 5, "{names:?}");
        for name in names {
            assert!(ADDRESSES.contains_key(name), "{name} is a part of a joined file, or does not exist");
        }
    }

    #[test]
    fn every_file_of_the_stylesheet_is_joined() {
        let in_folder = StaticFiles::iter().filter(|name| name.starts_with("css/"));
        let mut in_folder: Vec<_> = in_folder.map(std::borrow::Cow::into_owned).collect();
        let mut joined = JOINED_FILES[0].parts.to_vec();
        in_folder.sort();
        joined.sort_unstable();

        assert_eq!(in_folder, joined);
    }

    /// A line of a text that spans lines could look like a comment.
    #[test]
    fn no_text_of_a_script_spans_lines() {
        for script in StaticFiles::iter().filter(|name| name.starts_with("js/")) {
            assert!(source(&script).lines().all(|line| line.matches('`').count() % 2 == 0), "{script}");
        }
        assert_eq!(
            compact_to_block("// a\nconst x = 1; // b\n\n  f(x);\n"),
            "{\nconst x = 1; // b\nf(x);\n}\n"
        );
    }

    #[test]
    fn a_file_that_does_not_get_shorter_is_sent_as_it_is() {
        let file = StaticFile::new("x.txt".to_owned(), Bytes::from_static(b"a"));

        assert_eq!(file.encoded(ContentEncoding::Brotli), (ContentEncoding::Identity, &file.plain));
        let file = StaticFile::new("x.txt".to_owned(), Bytes::from(vec![b'a'; 1000]));
        assert_eq!(file.encoded(ContentEncoding::Gzip), (ContentEncoding::Gzip, &file.gzip));
    }
}
