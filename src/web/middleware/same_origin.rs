//! Refuses writes that another site made a browser send.
//!
//! Browsers send the relation of the sending site in `Sec-Fetch-Site` (Fetch Metadata). On plain http beyond localhost
//! they leave it out; then `Origin` must be the origin of the public URL. Without both, the request is refused.
//!
//! Pages of mailed links send no referrer, so browsers send `Origin: null` with their forms. That is accepted there: the
//! token in the path shows that the form is ours, because another site does not know it.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, ORIGIN},
    middleware::Next,
    web::Data,
};

use crate::error::AppError;
use crate::web::{link_path::is_link_path, page::PublicSite};

/// Refuses every request with an unsafe method that does not come from the same origin.
///
/// # Errors
/// [`AppError::CrossSite`] for those.
pub async fn refuse_cross_site(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let origin = request.app_data::<Data<PublicSite>>().map(|site| site.origin.clone()).unwrap_or_default();
    let is_link = is_link_path(request.match_info().as_str());
    let own_origins: &[&str] = if is_link { &[&origin, "null"] } else { &[&origin] };
    if request.method().is_safe() || is_same_origin(request.headers(), own_origins) {
        return next.call(request).await;
    }
    Err(AppError::CrossSite.into())
}

/// No browser sends one of these headers twice, so a repeated one is refused: it is unclear which of them to believe.
fn is_same_origin(headers: &HeaderMap, own_origins: &[&str]) -> bool {
    let texts = |name: &'static str| -> Vec<&str> {
        headers.get_all(name).map(|value| value.to_str().unwrap_or_default()).collect()
    };
    match (texts("Sec-Fetch-Site").as_slice(), texts(ORIGIN.as_str()).as_slice()) {
        ([site], [] | [_]) => matches!(*site, "same-origin" | "none"),
        ([], [origin]) => own_origins.contains(origin),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn passes(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        is_same_origin(&headers, &["http://localhost:8080"])
    }

    #[test]
    fn the_browser_word_decides_where_there_is_one() {
        assert!(passes(&[("sec-fetch-site", "same-origin")]));
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(passes(&[("sec-fetch-site", "none")]));
        assert!(!passes(&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:8080")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn without_it_the_origin_decides_and_without_both_nothing_passes() {
        assert!(passes(&[("origin", "http://localhost:8080")]));
        assert!(!passes(&[("origin", "https://localhost:8080")]));
        assert!(!passes(&[("origin", "http://localhost:8081")]));
        assert!(!passes(&[("origin", "null")]));
        assert!(!passes(&[]));
    }

    #[test]
    fn repeated_headers_are_refused() {
        let (same, own) = (("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080"));
        for other in ["cross-site", "same-origin", "none", ""] {
            assert!(!passes(&[same, ("sec-fetch-site", other)]), "{other}");
            assert!(!passes(&[("sec-fetch-site", other), same]), "{other}");
        }
        assert!(!passes(&[("sec-fetch-site", "same-origin, cross-site")]));
        for other in ["https://evil.example", "http://localhost:8080", "null"] {
            assert!(!passes(&[own, ("origin", other)]), "{other}");
            assert!(!passes(&[("origin", other), own]), "{other}");
            assert!(!passes(&[same, own, ("origin", other)]), "{other}");
        }
    }
}
