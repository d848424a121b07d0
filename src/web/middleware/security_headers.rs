//! Security headers on every response, including those of middleware (OWASP Secure Headers).

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};

use crate::web::{link_path::is_link_path, page::PublicSite};

/// No inline code, nothing from other origins, no framing.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// Responses of the API and static files are never shown as documents.
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// What only documents need. Every page loads several static files, which are none.
const DOCUMENT_HEADERS: [&str; 4] =
    ["cross-origin-opener-policy", "permissions-policy", "referrer-policy", "x-frame-options"];

/// Sets the headers, but keeps a `Cache-Control` that the handler has set.
///
/// # Errors
/// Passes errors on, with the headers added to their response.
pub async fn set_security_headers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // The path as the routes see it: `/%61pi` is `/api`.
    let path = request.match_info().as_str();
    let is_api = path == "/api" || path.starts_with("/api/");
    let is_static = path.starts_with("/static/");
    let is_file = is_api || is_static;
    let policies = Policies {
        content: if is_file { FILE_POLICY } else { PAGE_POLICY },
        // The address of a link contains a token. `same_origin` accepts the `Origin: null` that browsers then send with
        // the form; elsewhere it would refuse our own forms.
        referrer: if is_link_path(path) { "no-referrer" } else { "same-origin" },
    };
    let is_https = request.app_data::<Data<PublicSite>>().is_some_and(|site| site.is_https);
    match next.call(request).await {
        Ok(mut response) => {
            let is_page_part = is_static && !response.status().is_client_error();
            let headers = response.headers_mut();
            add(headers, &policies, is_api, is_https);
            if is_page_part {
                for name in DOCUMENT_HEADERS {
                    headers.remove(name);
                }
            }
            Ok(response)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut response| {
                add(response.headers_mut(), &policies, is_api, is_https);
                response
            });
            Err(error)
        }
    }
}

struct Policies {
    content: &'static str,
    referrer: &'static str,
}

fn add(headers: &mut HeaderMap, policies: &Policies, is_api: bool, is_https: bool) {
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, policies.content);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, policies.referrer);
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        if is_api { "cross-origin" } else { "same-origin" },
    );
    set(header::PERMISSIONS_POLICY, "camera=(), microphone=(), geolocation=(), payment=(), usb=()");
    if is_https {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains");
    }
    if !headers.contains_key(header::REFERRER_POLICY) {
        // `no-referrer` makes browsers send `Origin: null` with our own forms, so only pages with a secret in their
        // address set it.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
