//! Reading and parsing request bodies.
//!
//! A body is read completely, with a size limit and a deadline, before it is parsed. So slow senders, endless parts and
//! huge part headers cost at most the size of the body.

pub mod form;
pub(crate) mod multipart;
pub(crate) mod peek;
pub mod upload;
pub(crate) mod urlencoded;

use std::{borrow::Cow, future::Future, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING},
    web::{Bytes, BytesMut},
};
use futures_util::StreamExt as _;
use serde::de::{Deserializer as _, MapAccess, Visitor};

use crate::error::{AppError, FieldError};
use multipart::parse_multipart;

/// Maximum duration of reading a body.
pub const DEADLINE_SECONDS: u64 = 5;
/// Maximum number of fields of most forms.
pub const FIELDS_MAX: usize = 16;
/// The byte order mark that some programs write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body of at most `LIMIT` bytes, without a byte order mark.
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
            // Exactly, because a buffer that grows is up to twice as large as the body.
            let body = BytesMut::with_capacity(declared_length.unwrap_or_default());
            tokio::time::timeout(Duration::from_secs(DEADLINE_SECONDS), read_whole(payload, body, LIMIT))
                .await
                .map_err(|_elapsed| AppError::TooSlow(DEADLINE_SECONDS))?
                .map(Self)
        })
    }
}

/// Whether the body may have more than `bytes`: its length is larger, or not known yet.
pub(crate) fn may_exceed(request: &HttpRequest, bytes: usize) -> bool {
    let is_open = request.headers().contains_key(TRANSFER_ENCODING);
    content_length(request).map_or(is_open, |length| length > bytes)
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read_whole(mut payload: Payload, mut body: BytesMut, limit: usize) -> Result<Bytes, AppError> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_cut_off| {
            AppError::Malformed("The request body is incomplete. Send it again.".into())
        })?;
        if body.len() + chunk.len() > limit {
            return Err(AppError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    Ok(if body.starts_with(BYTE_ORDER_MARK) { body.slice(BYTE_ORDER_MARK.len()..) } else { body })
}

/// The fields of a body of at most `LIMIT` bytes: multipart, urlencoded or a flat JSON object.
///
/// # Errors
/// 400 for more than `FIELDS` fields, a repeated field, text that is not UTF-8 or a syntax error; 408, 413, 415.
#[derive(Debug, Default)]
pub struct FormFields<const LIMIT: usize, const FIELDS: usize = FIELDS_MAX>(Vec<(String, String)>);

impl<const LIMIT: usize, const FIELDS: usize> FormFields<LIMIT, FIELDS> {
    /// Fields from elsewhere than a body.
    ///
    /// # Errors
    /// 400 for more than `FIELDS` fields or a repeated field.
    pub fn from_pairs(fields: Vec<(String, String)>) -> Result<Self, AppError> {
        if fields.len() > FIELDS {
            return Err(AppError::Malformed(format!("Send at most {FIELDS} fields.").into()));
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
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<const LIMIT: usize, const FIELDS: usize> FromRequest for FormFields<LIMIT, FIELDS> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = RawBody::<LIMIT>::from_request(request, payload);
        let header = request.headers().get(CONTENT_TYPE).cloned();
        let is_bodiless = header.is_none()
            && !request.headers().contains_key(TRANSFER_ENCODING)
            && content_length(request).unwrap_or(0) == 0;
        Box::pin(async move {
            if is_bodiless {
                return Ok(Self::default());
            }
            let RawBody(body) = body.await?;
            Self::from_pairs(match media_type(header.as_ref()).as_slice() {
                b"multipart/form-data" => parse_multipart(header.as_ref(), body).await?,
                b"application/x-www-form-urlencoded" => urlencoded::parse_pairs(&body)?,
                b"application/json" => json(&body)?,
                _ => return Err(AppError::UnsupportedType),
            })
        })
    }
}

/// The `Content-Type` without its parameters, in lower case. A parameter may hold any bytes.
fn media_type(content_type: Option<&HeaderValue>) -> Vec<u8> {
    let value = content_type.map(HeaderValue::as_bytes).unwrap_or_default();
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default();
    media_type.trim_ascii().to_ascii_lowercase()
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

fn refuse_repeated(fields: &[(String, String)]) -> Result<(), AppError> {
    for (index, (name, _)) in fields.iter().enumerate() {
        if fields[..index].iter().any(|(earlier, _)| earlier == name) {
            let message: Cow<'static, str> = "This field is repeated. Send it once.".into();
            return Err(AppError::Invalid(vec![FieldError::new(name.clone(), message)]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_repeated_names_so_that_they_can_be_refused() {
        let fields = json(br#"{"page":1,"page":"2","perPage":null}"#).unwrap();
        assert_eq!(fields.len(), 3);
        assert!(refuse_repeated(&fields).is_err());
    }

    #[test]
    fn a_seventeenth_field_is_refused_wherever_it_comes_from() {
        let wide = format!("{{{}}}", (0..20).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
        let pairs = |count: usize| (0..count).map(|index| (format!("f{index}"), String::new())).collect();
        let is_accepted = |pairs| <FormFields<0>>::from_pairs(pairs).is_ok();
        assert!(!is_accepted(json(wide.as_bytes()).unwrap()));
        assert!(is_accepted(pairs(16)));
        assert!(!is_accepted(pairs(17)));
    }

    #[test]
    fn a_parameter_of_any_bytes_does_not_hide_the_media_type() {
        let header = HeaderValue::from_bytes(b"Multipart/Form-Data ;boundary=\xff").unwrap();
        assert_eq!(media_type(Some(&header)), b"multipart/form-data");
        assert_eq!(media_type(None), b"");
    }

    #[test]
    fn json_that_is_deep_or_not_an_object_is_refused() {
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        for body in [deep.as_str(), "[]", "1", "{\"page\":{}}", "{\"page\":1} x", ""] {
            assert!(json(body.as_bytes()).is_err(), "{body:.40}");
        }
    }
}
