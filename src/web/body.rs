//! Reading and parsing request bodies.
//!
//! A body is read completely, with a size limit and a deadline, before it is parsed. So slow senders, endless parts and
//! huge part headers cost at most the size of the body. It also allows taking a missing multipart boundary from the
//! body: clients that follow the API's first documentation send none in the header.

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use actix_multipart::Multipart;
use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING,
    },
    web::{Bytes, BytesMut},
};
use futures_util::{StreamExt as _, stream};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::error::{AppError, FieldError};

/// Maximum duration of reading a body.
pub const DEADLINE_SECONDS: u64 = 5;
/// Maximum number of fields.
pub const FIELDS_MAX: usize = 16;

/// A body of at most `LIMIT` bytes.
#[derive(Debug)]
pub struct RawBody<const LIMIT: usize>(pub Bytes);

impl<const LIMIT: usize> FromRequest for RawBody<LIMIT> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let declared_length = content_length(request);
        let is_encoded = request
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
        let payload = payload.take();
        Box::pin(async move {
            if is_encoded {
                return Err(AppError::UnsupportedType);
            }
            if declared_length.is_some_and(|length| length > LIMIT) {
                return Err(AppError::TooLarge(LIMIT));
            }
            tokio::time::timeout(Duration::from_secs(DEADLINE_SECONDS), read_whole(payload, LIMIT))
                .await
                .map_err(|_elapsed| AppError::TooSlow(DEADLINE_SECONDS))?
                .map(Self)
        })
    }
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_whole(mut payload: Payload, limit: usize) -> Result<Bytes, AppError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_cut_off| AppError::Malformed("The request body was cut off.".into()))?;
        if body.len() + chunk.len() > limit {
            return Err(AppError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The fields of a body of at most `LIMIT` bytes: multipart, urlencoded or a flat JSON object.
///
/// # Errors
/// 400 for more than [`FIELDS_MAX`] fields, a repeated field or a syntax error; 408, 413, 415.
#[derive(Debug, Default)]
pub struct FormFields<const LIMIT: usize>(Vec<(String, String)>);

impl<const LIMIT: usize> FormFields<LIMIT> {
    /// Fields from elsewhere than a body.
    ///
    /// # Errors
    /// 400 for more than [`FIELDS_MAX`] fields or a repeated field.
    pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, AppError> {
        let mut fields = Vec::new();
        for pair in pairs {
            push(&mut fields, pair)?;
        }
        refuse_repeated(&fields)?;
        Ok(Self(fields))
    }

    /// Returns `None` if the field is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The field, or an empty text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All fields with their values, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<const LIMIT: usize> FromRequest for FormFields<LIMIT> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = RawBody::<LIMIT>::from_request(request, payload);
        let media_type = request.content_type().to_ascii_lowercase();
        let header = request.headers().get(CONTENT_TYPE).cloned();
        let is_bodiless = header.is_none()
            && !request.headers().contains_key(TRANSFER_ENCODING)
            && content_length(request).unwrap_or(0) == 0;
        Box::pin(async move {
            if is_bodiless {
                return Ok(Self::default());
            }
            let RawBody(body) = body.await?;
            let fields = match media_type.as_str() {
                "multipart/form-data" => multipart(header.as_ref(), body).await?,
                "application/x-www-form-urlencoded" => urlencoded(&body)?,
                "application/json" => json(&body)?,
                _ => return Err(AppError::UnsupportedType),
            };
            Self::from_pairs(fields.into_iter())
        })
    }
}

fn urlencoded(body: &[u8]) -> Result<Vec<(String, String)>, AppError> {
    serde_urlencoded::from_bytes(body)
        .map_err(|error| AppError::Malformed(format!("The form cannot be read: {error}.").into()))
}

async fn multipart(header: Option<&HeaderValue>, body: Bytes) -> Result<Vec<(String, String)>, AppError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, with_boundary(header, &body)?);
    if has_no_part(&body) {
        return Ok(Vec::new());
    }
    let mut parts = Multipart::new(&headers, stream::iter([Ok(body)]));
    let mut fields = Vec::new();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| unreadable_multipart(&error))?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut value = Vec::new();
        while let Some(chunk) = part.next().await {
            value.extend_from_slice(&chunk.map_err(|error| unreadable_multipart(&error))?);
        }
        let value = String::from_utf8(value).map_err(|_not_text| {
            AppError::Invalid(vec![FieldError::new(name.clone(), "Send UTF-8 text.")])
        })?;
        push(&mut fields, (name, value))?;
    }
    Ok(fields)
}

/// Whether the body is only the closing boundary: the form of an empty one.
fn has_no_part(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"--") && body.ends_with(b"--") && !body.contains(&b'\n')
}

fn unreadable_multipart(error: &actix_multipart::MultipartError) -> AppError {
    AppError::Malformed(format!("The multipart body cannot be read: {error}.").into())
}

/// The `Content-Type` with a boundary, if necessary taken from the first line of the body. RFC 2046, section 5.1.1:
/// 1 to 70 characters.
fn with_boundary(header: Option<&HeaderValue>, body: &[u8]) -> Result<HeaderValue, AppError> {
    let has_boundary = |header: &&HeaderValue| {
        header.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("boundary="))
    };
    if let Some(header) = header.filter(has_boundary) {
        return Ok(header.clone());
    }
    let first_line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let boundary = first_line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end).filter(|it| is_boundary(it));
    let boundary = boundary.and_then(|it| std::str::from_utf8(it).ok()).ok_or(AppError::Malformed(
        "The multipart body does not begin with its boundary. Let your HTTP client set the Content-Type."
            .into(),
    ))?;
    HeaderValue::try_from(format!("multipart/form-data; boundary=\"{boundary}\"")).map_err(AppError::broken)
}

fn is_boundary(text: &[u8]) -> bool {
    (1..=70).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte))
}

fn json(body: &[u8]) -> Result<Vec<(String, String)>, AppError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let fields = reader.deserialize_map(FlatObject).and_then(|fields| reader.end().map(|()| fields));
    fields.map_err(|error| AppError::Malformed(format!("The JSON cannot be read: {error}.").into()))
}

/// A JSON object of text, numbers, booleans and null. Repeated names are kept, to be refused later.
struct FlatObject;

impl<'de> Visitor<'de> for FlatObject {
    type Value = Vec<(String, String)>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if fields.len() > FIELDS_MAX {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = match map.next_value::<serde_json::Value>()? {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text,
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                    return Err(serde::de::Error::custom(format!(
                        "the field {name:?} must be text or a number"
                    )));
                }
                scalar => scalar.to_string(),
            };
            fields.push((name, value));
        }
        Ok(fields)
    }
}

fn push(fields: &mut Vec<(String, String)>, field: (String, String)) -> Result<(), AppError> {
    if fields.len() == FIELDS_MAX {
        return Err(AppError::Malformed(format!("Send at most {FIELDS_MAX} fields.").into()));
    }
    fields.push(field);
    Ok(())
}

fn refuse_repeated(fields: &[(String, String)]) -> Result<(), AppError> {
    for (index, (name, _)) in fields.iter().enumerate() {
        if fields[..index].iter().any(|(earlier, _)| earlier == name) {
            let message: Cow<'static, str> = "This field is there twice. Send it once.".into();
            return Err(AppError::Invalid(vec![FieldError::new(name.clone(), message)]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn a_boundary_in_the_header_is_kept() {
        let given = header("multipart/form-data; boundary=abc");
        assert_eq!(with_boundary(Some(&given), b"--zzz\r\n").unwrap(), given);
    }

    #[test]
    fn a_missing_boundary_is_taken_from_the_body() {
        let found =
            with_boundary(Some(&header("multipart/form-data")), b"------WebKitFormBoundary7M\r\nContent-");
        assert_eq!(found.unwrap(), "multipart/form-data; boundary=\"----WebKitFormBoundary7M\"");
    }

    #[test]
    fn a_body_that_begins_otherwise_has_no_boundary() {
        let long = format!("--{}\r\n", "a".repeat(71));
        for body in ["", "clientKey=1", "--\r\n", "--a\"b\r\n", long.as_str()] {
            assert!(with_boundary(None, body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn json_keeps_repeated_names_so_that_they_can_be_refused() {
        let fields = json(br#"{"page":1,"page":"2","perPage":null}"#).unwrap();
        assert_eq!(fields.len(), 3);
        assert!(refuse_repeated(&fields).is_err());
    }

    #[test]
    fn a_seventeenth_field_is_refused_wherever_it_comes_from() {
        let wide = format!("{{{}}}", (0..20).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
        let pairs = |count: usize| (0..count).map(|index| (format!("f{index}"), String::new()));
        assert!(FormFields::<0>::from_pairs(json(wide.as_bytes()).unwrap().into_iter()).is_err());
        assert!(FormFields::<0>::from_pairs(pairs(16)).is_ok());
        assert!(FormFields::<0>::from_pairs(pairs(17)).is_err());
    }

    #[test]
    fn an_empty_form_has_no_part() {
        assert!(has_no_part(b"--X--\r\n"));
        assert!(!has_no_part(b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--\r\n--X--"));
    }

    #[test]
    fn json_that_is_deep_or_not_an_object_is_refused() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for body in [deep.as_str(), "[]", "1", "{\"page\":{}}", "{\"page\":1} x", ""] {
            assert!(json(body.as_bytes()).is_err(), "{body:.40}");
        }
    }
}
