//! Refuses writes that another site made a browser send.
//!
//! Browsers send the relation of the sending site in `Sec-Fetch-Site` (Fetch Metadata). On plain http beyond localhost
//! they leave it out; then `Origin` must be the origin of the public URL. Without both, or with a repeated one, the
//! request is refused.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, ORIGIN},
    middleware::Next,
    web::Data,
};

use super::page::PublicSite;
use crate::error::AppError;

/// Refuses every request with an unsafe method that does not come from the same origin.
///
/// # Errors
/// [`AppError::CrossSite`] for those.
pub async fn refuse_cross_site(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let origin = request.app_data::<Data<PublicSite>>().map(|site| site.origin.clone()).unwrap_or_default();
    if request.method().is_safe() || is_same_origin(request.headers(), &origin) {
        return next.call(request).await;
    }
    Err(AppError::CrossSite.into())
}

fn is_same_origin(headers: &HeaderMap, own_origin: &str) -> bool {
    let text = |name: &str| {
        let mut values = headers.get_all(name);
        let first = values.next()?.to_str().unwrap_or_default();
        // No browser repeats these headers, so which of them to believe is not known.
        Some(if values.next().is_none() { first } else { "" })
    };
    match (text("Sec-Fetch-Site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == own_origin,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn passes(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_same_origin(&headers, "http://localhost:8080")
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
    fn a_repeated_header_is_refused() {
        assert!(!passes(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("origin", "http://localhost:8080"), ("origin", "http://localhost:8080")]));
    }

    #[test]
    fn without_it_the_origin_decides_and_without_both_nothing_passes() {
        assert!(passes(&[("origin", "http://localhost:8080")]));
        assert!(!passes(&[("origin", "https://localhost:8080")]));
        assert!(!passes(&[("origin", "http://localhost:8081")]));
        assert!(!passes(&[("origin", "null")]));
        assert!(!passes(&[]));
    }
}
