//! What pages weigh on the wire, and which responses are compressed.

use std::io::Read as _;

use reqwest::{Method, StatusCode, header::HeaderMap};
use uptok::{api, pages::PAGE_ROUTES};

use crate::support::{TestApp, Visitor, html::Html};

/// What Chromium sends to https and to localhost.
const BROWSER_ENCODINGS: &str = "gzip, deflate, br, zstd";
/// Five used keys: maximum number of bytes on the first view, and when the static files are in the browser's cache.
const FIRST_VIEW_MAX: usize = 20_000;
const LATER_VIEW_MAX: usize = 6_000;

/// A response as it was sent.
struct RawReply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl RawReply {
    async fn get(visitor: &Visitor, path: &str, encodings: &str) -> Self {
        Self::read(visitor.request(Method::GET, path).header("Accept-Encoding", encodings)).await
    }

    async fn read(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Bytes of the status line, the headers and the body.
    fn wire_bytes(&self) -> usize {
        let lines = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        "HTTP/1.1 200 OK\r\n\r\n".len() + lines.sum::<usize>() + self.body.len()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match self.header("content-encoding") {
            "br" => brotli::Decompressor::new(&*self.body, 4096).read_to_string(&mut text),
            "gzip" => flate2::read::GzDecoder::new(&*self.body).read_to_string(&mut text),
            "" => self.body.as_slice().read_to_string(&mut text),
            other => panic!("no browser asked for {other}"),
        }
        .unwrap();
        text
    }
}

/// The addresses of the static files that a browser loads with the page.
fn static_files(page: &str) -> Vec<String> {
    let mut found: Vec<String> = page
        .split("\"/static/")
        .skip(1)
        .map(|rest| format!("/static/{}", rest.split(['"', '#']).next().unwrap()))
        .collect();
    found.sort();
    found.dedup();
    found
}

#[actix_web::test]
async fn the_api_keys_page_with_five_used_keys_is_light() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for name in ["Warehouse import", "Monthly report", "Order sync", "Call-centre wallboard", "Data lake"] {
        ada.generate(name).await;
    }
    app.use_keys();

    let page = RawReply::get(&ada, "/settings/api-keys", BROWSER_ENCODINGS).await;
    let files = static_files(&page.text());
    let mut first_view = page.wire_bytes();
    for file in &files {
        let file = RawReply::get(&ada, file, BROWSER_ENCODINGS).await;
        assert!(file.header("cache-control").contains("immutable"));
        first_view += file.wire_bytes();
    }

    assert_eq!(Html::parse(&page.text()).texts("tbody tr").len(), 5);
    assert!(files.len() >= 4, "{files:?}");
    eprintln!("API Keys with five used keys: {first_view} bytes, then {}", page.wire_bytes());
    assert!(first_view <= FIRST_VIEW_MAX, "{first_view} bytes, {files:?}");
    assert!(page.wire_bytes() <= LATER_VIEW_MAX, "{} bytes", page.wire_bytes());
}

#[actix_web::test]
async fn every_page_loads_one_stylesheet_and_has_a_description() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let mut descriptions = Vec::new();
    for path in ["/login", "/register", "/docs", "/nothing"] {
        descriptions.push((path, app.visitor().get(path).await));
    }
    for path in ["/sessions", "/settings/api-keys", "/settings/usage", "/settings/audit"] {
        descriptions.push((path, ada.get(path).await));
    }
    let mut seen = Vec::new();
    for (path, page) in descriptions {
        let page = page.html();
        assert_eq!(page.texts("link[rel=stylesheet]").len(), 1, "{path}");
        let description = page.attribute("meta[name=description]", "content");
        assert!((50..=160).contains(&description.chars().count()), "{path}: {description}");
        assert!(!seen.contains(&description), "{path} has the description of another page: {description}");
        seen.push(description);
    }
}

#[actix_web::test]
async fn pages_are_compressed_as_the_browser_asks() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let plain = RawReply::get(&ada, "/docs", "identity").await;
    assert_eq!(plain.header("content-encoding"), "");
    for (accepted, encoding) in [
        (BROWSER_ENCODINGS, "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("zstd", ""),
        ("", ""),
    ] {
        let page = RawReply::get(&ada, "/docs", accepted).await;

        assert_eq!((page.status.as_u16(), page.header("content-encoding")), (200, encoding), "{accepted}");
        assert!(page.text().contains("<h1>API Documentation</h1>"));
        assert!(encoding.is_empty() || page.body.len() < plain.body.len() / 2, "{accepted}");
    }
}

#[actix_web::test]
async fn a_page_that_another_site_asks_for_is_not_compressed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    for (site, encoding) in [("cross-site", ""), ("same-site", ""), ("same-origin", "br"), ("none", "br")] {
        let request = ada.request(Method::GET, "/sessions?q=a").header("Sec-Fetch-Site", site);
        let page = RawReply::read(request.header("Accept-Encoding", "br")).await;

        assert_eq!(page.header("content-encoding"), encoding, "{site}");
    }
}

/// BREACH: the length of a compressed response can reveal what is in it.
#[actix_web::test]
async fn no_response_that_shows_a_key_is_compressed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let client = ada.client_id().await;
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let fields = [&[("clientId", client.as_str())], fields].concat();
        let request = ada.request(Method::POST, path).header("Sec-Fetch-Site", "same-origin");
        RawReply::read(request.header("Accept-Encoding", BROWSER_ENCODINGS).form(&fields)).await
    };
    let key = ada.generate_recorder("laptop").await;
    let replacement = format!("/settings/api-keys/{}/replacement", &key[..18]);

    for reply in [
        post("/settings/api-keys", &[("name", "Warehouse")]).await,
        post(&replacement, &[("graceSeconds", "0")]).await,
    ] {
        assert_eq!((reply.status.as_u16(), reply.header("content-encoding")), (200, ""));
        assert_eq!(reply.header("cache-control"), "no-store");
        let key = Html::parse(&reply.text()).text("[data-whole-key-text]");
        assert_eq!(key.len(), 57);
    }
}

#[actix_web::test]
async fn answers_to_forms_and_of_the_api_are_not_compressed() {
    let app = TestApp::start().await;
    let ada = app.sign_up("ada").await;
    let is_fixed = |path: &str| !path.contains('{') && path != "/logout";
    for route in PAGE_ROUTES.iter().filter(|route| is_fixed(route.path)) {
        let request = ada.request(Method::POST, route.path).header("Sec-Fetch-Site", "same-origin");
        let reply = RawReply::read(request.header("Accept-Encoding", BROWSER_ENCODINGS)).await;
        assert_eq!(reply.header("content-encoding"), "", "POST {}", route.path);
    }
    for endpoint in api::endpoints().iter().filter(|endpoint| !endpoint.path.contains('{')) {
        let path = format!("/api{}", endpoint.path);
        let reply = RawReply::get(&ada, &path, BROWSER_ENCODINGS).await;
        assert_eq!(reply.header("content-encoding"), "", "{path}");
    }
    for path in ["/sessions.csv", "/settings/audit.csv"] {
        let file = RawReply::get(&ada, path, BROWSER_ENCODINGS).await;
        assert_eq!((file.status.as_u16(), file.header("content-encoding")), (200, ""), "{path}");
    }
}

#[actix_web::test]
async fn static_files_are_compressed_once_and_validated_by_their_tag() {
    let app = TestApp::start().await;
    let visitor = app.visitor();
    let page = visitor.get("/login").await.body;
    for file in static_files(&page) {
        let mut tags = Vec::new();
        let plain = RawReply::get(&visitor, &file, "identity").await.text();
        for encoding in ["br", "gzip", "identity"] {
            let reply = RawReply::get(&visitor, &file, encoding).await;
            let sent = if reply.body.len() < plain.len() { encoding } else { "" };
            assert_eq!(reply.header("content-encoding"), sent, "{file}");
            assert_eq!(reply.text(), plain, "{file}, {encoding}");
            assert_eq!(reply.header("vary"), "Accept-Encoding");
            let tag = reply.header("etag").to_owned();
            assert!(tag.starts_with('"') && !tags.contains(&tag), "{file}: {tag}");

            let request = visitor.request(Method::GET, &file).header("Accept-Encoding", encoding);
            let again = RawReply::read(request.header("If-None-Match", &tag)).await;
            assert_eq!((again.status.as_u16(), again.body.len()), (304, 0), "{file}");
            assert_eq!(again.header("etag"), tag);
            assert!(again.header("cache-control").contains("immutable"));
            tags.push(tag);
        }
    }
}
