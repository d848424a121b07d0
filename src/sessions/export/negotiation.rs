//! Content negotiation: the format that a request asks for in its `Accept` header (RFC 9110, section 12.5.1).

use actix_web::{
    HttpRequest,
    http::header::{Accept, Header as _, Quality},
};

use super::query::ExportFormat;

/// CSV or NDJSON if the request names it and does not prefer JSON, else JSON. So browsers and `*/*` get JSON.
pub(super) fn preferred_format(request: &HttpRequest) -> ExportFormat {
    Accept::parse(request).map_or(ExportFormat::Json, |accept| most_accepted(&accept))
}

fn most_accepted(accept: &Accept) -> ExportFormat {
    let json = quality(accept, &["application/json", "application/*", "*/*"]);
    let csv = quality(accept, &["text/csv"]);
    let ndjson = quality(accept, &["application/x-ndjson", "application/ndjson", "application/jsonl"]);
    if csv > json && csv >= ndjson {
        ExportFormat::Csv
    } else if ndjson > json {
        ExportFormat::Ndjson
    } else {
        ExportFormat::Json
    }
}

/// The weight of the first of these ranges that the header has, or zero. Parameters such as `charset` are ignored.
fn quality(accept: &Accept, ranges: &[&str]) -> Quality {
    let weight =
        |range: &&str| accept.iter().filter(|it| it.item.essence_str() == *range).map(|it| it.quality).max();
    ranges.iter().find_map(weight).unwrap_or(Quality::ZERO)
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header::ACCEPT, test::TestRequest};

    use super::*;

    #[test]
    fn a_file_is_sent_only_to_who_prefers_it() {
        for (accept, format) in [
            ("text/csv", ExportFormat::Csv),
            ("TEXT/CSV; header=present", ExportFormat::Csv),
            ("text/csv, */*;q=0.1", ExportFormat::Csv),
            ("application/json;q=0.5, text/csv", ExportFormat::Csv),
            ("application/x-ndjson", ExportFormat::Ndjson),
            ("application/jsonl;q=0.9, text/csv;q=0.8", ExportFormat::Ndjson),
            ("application/json", ExportFormat::Json),
            ("application/json, text/csv, application/x-ndjson", ExportFormat::Json),
            ("text/csv;q=0.5, application/*", ExportFormat::Json),
            ("text/csv;q=0", ExportFormat::Json),
            ("text/html,application/xhtml+xml,*/*;q=0.8", ExportFormat::Json),
            ("*/*", ExportFormat::Json),
            ("text/*", ExportFormat::Json),
            ("image/png", ExportFormat::Json),
            ("chunk#;e", ExportFormat::Json),
            ("", ExportFormat::Json),
        ] {
            let request = TestRequest::default().insert_header((ACCEPT, accept)).to_http_request();
            assert_eq!(preferred_format(&request), format, "{accept}");
        }
        assert_eq!(preferred_format(&TestRequest::default().to_http_request()), ExportFormat::Json);
    }
}
