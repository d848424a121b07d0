//! Compresses pages.
//!
//! The length of a compressed page depends on its content. Someone who chooses a part of the page and sees the length
//! can guess the rest letter by letter (BREACH). So a response that shows a secret is never compressed, nor is the
//! response to a form, nor one that another site made the browser request.

use actix_http::encoding::Encoder;
use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{AcceptEncoding, CACHE_CONTROL, CONTENT_TYPE, ContentEncoding, Encoding, HeaderValue},
    },
    middleware::Next,
};

/// Marks a response that shows a secret.
struct ShowsSecret;

/// Marks a page that shows a secret, such as a whole key or recovery codes. It is neither stored nor compressed.
pub fn mark_secret(response: &mut HttpResponse) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(ShowsSecret);
}

/// Compresses pages with brotli or gzip, whichever the browser accepts.
///
/// # Errors
/// Passes errors on.
pub async fn compress_page<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Encoder<B>>, Error> {
    let accepted =
        if may_compress(&request) { accepted_encoding(&request) } else { ContentEncoding::Identity };
    let response = next.call(request).await?;
    let encoding =
        if is_page_without_secret(response.response()) { accepted } else { ContentEncoding::Identity };
    Ok(response.map_body(|head, body| Encoder::response(encoding, head, body)))
}

/// Secrets are shown in the answers to forms. Another site can choose the address of a page, and an eavesdropper on the
/// way sees how long the answer is.
fn may_compress(request: &ServiceRequest) -> bool {
    let site = request.headers().get("Sec-Fetch-Site");
    request.method() == Method::GET && site.is_none_or(|site| site == "same-origin" || site == "none")
}

fn is_page_without_secret<B>(response: &HttpResponse<B>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|it| it.as_bytes().starts_with(b"text/html"))
        && !response.extensions().contains::<ShowsSecret>()
}

/// The best encoding that the sender of the request accepts.
pub(crate) fn accepted_encoding(request: &impl HttpMessage) -> ContentEncoding {
    let supported = [Encoding::identity(), Encoding::brotli(), Encoding::gzip()];
    let accepted = request.get_header::<AcceptEncoding>();
    match accepted.and_then(|accepted| accepted.negotiate(supported.iter())) {
        Some(Encoding::Known(encoding)) => encoding,
        _ => ContentEncoding::Identity,
    }
}
