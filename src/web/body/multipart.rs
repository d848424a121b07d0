//! Parses `multipart/form-data` (RFC 7578) from memory, and finds the boundary of clients that declare none or a wrong
//! one.
//!
//! Programs that follow the first documentation of the API set the `Content-Type` by hand and send no boundary; others
//! send `boundary=undefined`, or one that needs quotes and has none. The body shows the boundary in its first line.

use actix_multipart::{Multipart, MultipartError};
use actix_web::{
    http::header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    web::Bytes,
};
use futures_util::{StreamExt as _, stream};

use super::urlencoded::not_text;
use crate::error::AppError;

/// Maximum length of a boundary that is not declared (RFC 2046, section 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// The fields with their values, in the order sent.
pub(super) async fn parse_multipart(
    content_type: Option<&HeaderValue>,
    body: Bytes,
) -> Result<Vec<(String, String)>, AppError> {
    if has_no_part(&body) {
        return Ok(Vec::new());
    }
    let boundary = find_boundary(content_type, &body)?;
    let body = without_padding(&body, boundary.as_bytes()).map_or(body.clone(), Bytes::from);
    let mut parts = Multipart::new(&headers_of(&boundary)?, stream::iter([Ok(body)]));
    let mut fields = Vec::new();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| unreadable(&error))?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut value = Vec::new();
        while let Some(chunk) = part.next().await {
            value.extend_from_slice(&chunk.map_err(|error| unreadable(&error))?);
        }
        match String::from_utf8(value) {
            Ok(value) => fields.push((name, value)),
            Err(_not_utf8) => return Err(AppError::Invalid(vec![not_text(name)])),
        }
    }
    Ok(fields)
}

fn unreadable(error: &MultipartError) -> AppError {
    AppError::Malformed(format!("The multipart body cannot be read: {error}.").into())
}

/// Whether the body is only the closing boundary: the form of an empty one.
fn has_no_part(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"--") && body.ends_with(b"--") && !body.contains(&b'\n')
}

/// A `Content-Type` with the boundary that divides this body: the declared one, or else that of its first line.
///
/// # Errors
/// 400 if `start`, the beginning of the body, has neither.
pub(super) fn headers_with_boundary(
    content_type: Option<&HeaderValue>,
    start: &[u8],
) -> Result<HeaderMap, AppError> {
    headers_of(&find_boundary(content_type, start)?)
}

fn headers_of(boundary: &str) -> Result<HeaderMap, AppError> {
    let value = HeaderValue::try_from(format!("multipart/form-data; boundary=\"{boundary}\""));
    Ok(HeaderMap::from_iter([(CONTENT_TYPE, value.map_err(AppError::broken)?)]))
}

fn find_boundary(content_type: Option<&HeaderValue>, start: &[u8]) -> Result<String, AppError> {
    let declared = content_type.and_then(|value| declared_boundary(value.as_bytes()));
    let boundary =
        declared.filter(|boundary| is_delimiter_in(start, boundary)).or_else(|| first_boundary(start));
    let boundary = boundary.and_then(|it| std::str::from_utf8(it).ok()).map(str::to_owned);
    boundary.ok_or(AppError::Malformed(
        "The multipart body does not contain the boundary that the Content-Type declares, nor does it begin with one. \
         Let your HTTP client set the Content-Type."
            .into(),
    ))
}

/// The body without spaces and tabs after its boundaries, which RFC 2046 (section 5.1.1) allows and actix-multipart
/// takes for the end of the form. `None` if there are none.
fn without_padding(body: &[u8], boundary: &[u8]) -> Option<Vec<u8>> {
    let mut cleaned = Vec::with_capacity(body.len());
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let end = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        if text.len() < end.len() && is_delimiter(text, boundary) {
            cleaned.extend_from_slice(text);
            cleaned.extend_from_slice(&line[end.len()..]);
        } else {
            cleaned.extend_from_slice(line);
        }
    }
    (cleaned.len() != body.len()).then_some(cleaned)
}

/// The boundary in a `Content-Type`, even if it lacks the quotes that it needs.
fn declared_boundary(content_type: &[u8]) -> Option<&[u8]> {
    let parameters = content_type.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let boundary = parameters.skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_at_checked("boundary=".len())?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let boundary = boundary.strip_prefix(b"\"").unwrap_or(boundary);
    let boundary = boundary.strip_suffix(b"\"").unwrap_or(boundary);
    fits_quotes(boundary).then_some(boundary)
}

/// The boundary in the first line that is not empty.
fn first_boundary(start: &[u8]) -> Option<&[u8]> {
    let first = start.trim_ascii_start().split(|byte| *byte == b'\n').next()?;
    let boundary = first.strip_prefix(b"--")?.trim_ascii_end();
    (boundary.len() <= BOUNDARY_MAX && fits_quotes(boundary)).then_some(boundary)
}

/// Whether any line is the boundary between or after parts.
fn is_delimiter_in(start: &[u8], boundary: &[u8]) -> bool {
    start.split(|byte| *byte == b'\n').any(|line| is_delimiter(line.trim_ascii_end(), boundary))
}

fn is_delimiter(line: &[u8], boundary: &[u8]) -> bool {
    let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
    matches!(rest, Some(b"" | b"--"))
}

/// Whether a parameter of a `Content-Type` can hold the boundary between quotes, without escapes.
fn fits_quotes(boundary: &[u8]) -> bool {
    let fits = |byte: &u8| (byte.is_ascii_graphic() || *byte == b' ') && !matches!(byte, b'"' | b'\\');
    !boundary.is_empty() && boundary.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: &str = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--";

    fn boundary(content_type: &str, start: &str) -> Option<String> {
        let header = HeaderValue::from_bytes(content_type.as_bytes()).unwrap();
        let headers = headers_with_boundary(Some(&header), start.as_bytes()).ok()?;
        let value = headers.get(CONTENT_TYPE)?.to_str().unwrap();
        Some(value.strip_prefix("multipart/form-data; boundary=\"")?.strip_suffix('"')?.to_owned())
    }

    #[test]
    fn a_declared_boundary_is_used_if_the_body_has_it() {
        for declared in ["boundary=abc", "boundary=\"abc\"", "charset=utf-8; BOUNDARY=abc", "boundary=abc;"] {
            let found = boundary(
                &format!("multipart/form-data; {declared}"),
                &format!("preamble\r\n--abc{PART}abc--"),
            );
            assert_eq!(found.as_deref(), Some("abc"), "{declared}");
        }
        let found =
            boundary("multipart/form-data; boundary=----=_Part_1=", &format!("------=_Part_1={PART}"));
        assert_eq!(found.as_deref(), Some("----=_Part_1="), "without its quotes");
    }

    #[test]
    fn a_boundary_that_is_missing_or_wrong_is_taken_from_the_body() {
        let long = format!("boundary={}", "a".repeat(71));
        for declared in [
            "",
            "boundary",
            "boundary=",
            "boundary=undefined",
            "boundary=----WebKit",
            "boundary=\"a",
            "boundary=ä",
            "boundary=a\"b",
            "x=boundary=abc",
            long.as_str(),
        ] {
            for start in ["------WebKitFormBoundary7M", "\r\n------WebKitFormBoundary7M"] {
                let found = boundary(&format!("multipart/form-data; {declared}"), &format!("{start}{PART}"));
                assert_eq!(found.as_deref(), Some("----WebKitFormBoundary7M"), "{declared}");
            }
        }
        assert!(headers_with_boundary(None, b"--abc\r\n").is_ok());
    }

    #[test]
    fn a_body_without_a_boundary_is_refused() {
        let long = format!("--{}\r\n", "a".repeat(71));
        for start in ["", "clientKey=1", "--\r\n", "--a\"b\r\n", "a\r\n--undefinedx\r\n", long.as_str()] {
            assert_eq!(boundary("multipart/form-data; boundary=undefined", start), None, "{start:?}");
        }
    }

    #[actix_web::test]
    async fn white_space_after_a_boundary_is_ignored() {
        let header = HeaderValue::from_static("multipart/form-data; boundary=X");
        let part = |name: &str| format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n1\r\n");
        for (first, second, last) in
            [("--X ", "--X", "--X--"), ("--X", "--X\t ", "--X--"), ("--X", "--X", "--X-- ")]
        {
            let body = format!("{first}{}{second}{}{last}\r\n", part("a"), part("b"));

            let fields = parse_multipart(Some(&header), body.into()).await.unwrap();

            assert_eq!(fields, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "1".to_owned())]);
        }
        assert!(without_padding(b"--X\r\n--Y \r\n--X--", b"X").is_none());
    }

    #[test]
    fn an_empty_form_has_no_part() {
        assert!(has_no_part(b"--X--\r\n"));
        assert!(!has_no_part(b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--\r\n--X--"));
    }
}
