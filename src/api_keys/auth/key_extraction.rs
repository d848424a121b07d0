//! Where an API request carries its key, and the checks that all API requests share.

use std::{
    borrow::Cow,
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};

use super::endpoint_access::EndpointAccess;
use crate::{
    api_keys::client_key::trim_pasted_key,
    error::{AppError, FieldError},
    web::body::{FormFields, urlencoded},
};

/// The form field of the key.
const KEY_FIELD: &str = "clientKey";

/// A form of at most `LIMIT` bytes, and the key from its field or from the header. What copying left around the key is
/// removed.
///
/// # Errors
/// 400 for a key in the query string, different keys in field and header, or control characters (Unicode category Cc)
/// in a field; and what [`FormFields`] refuses.
#[derive(Debug)]
pub(crate) struct ApiForm<const LIMIT: usize> {
    key: Option<SecretString>,
    fields: FormFields<LIMIT>,
}

impl<const LIMIT: usize> ApiForm<LIMIT> {
    /// The unparsed key.
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] without a key.
    pub(crate) fn presented_key(&self) -> Result<&str, AppError> {
        self.key.as_ref().map(ExposeSecret::expose_secret).ok_or(AppError::UnknownKey)
    }
}

impl<const LIMIT: usize> Deref for ApiForm<LIMIT> {
    type Target = FormFields<LIMIT>;

    fn deref(&self) -> &Self::Target {
        &self.fields
    }
}

impl<const LIMIT: usize> FromRequest for ApiForm<LIMIT> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let in_query = refuse_key_in_query(request.query_string());
        let bearer = bearer(request);
        let is_revocation = EndpointAccess::from_request(request) == Some(EndpointAccess::RevokeOnly);
        let fields = <FormFields<LIMIT> as FromRequest>::from_request(request, payload);
        Box::pin(async move {
            in_query?;
            let bearer = if is_revocation { bearer } else { Ok(bearer?) };
            let fields = fields.await?;
            refuse_control_characters(&fields)?;
            let field = fields.get(KEY_FIELD).map(trim_pasted_key).filter(|key| !key.is_empty());
            let key = match (bearer, field) {
                // Someone who finds a leaked key may call with a key of their own, or with a header of another kind.
                (_, Some(field)) if is_revocation => Some(field.into()),
                (bearer, field) => one_key(bearer?, field)?,
            };
            Ok(Self { key, fields })
        })
    }
}

/// The key from either place. Clients that send the header with every request may also fill in the field.
fn one_key(bearer: Option<SecretString>, field: Option<&str>) -> Result<Option<SecretString>, AppError> {
    match (bearer, field) {
        (Some(bearer), Some(field)) if bearer.expose_secret() != field => {
            Err(AppError::invalid(KEY_FIELD, "The Authorization header has a different key. Send only one."))
        }
        (Some(bearer), _) => Ok(Some(bearer)),
        (None, field) => Ok(field.map(SecretString::from)),
    }
}

/// The unparsed key from `Authorization: Bearer`.
///
/// # Errors
/// 400 for a key in the query string; [`AppError::UnknownKey`] without a key.
pub(crate) struct BearerKey(pub SecretString);

impl FromRequest for BearerKey {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let key = refuse_key_in_query(request.query_string()).and_then(|()| bearer(request));
        ready(key.and_then(|key| key.map(Self).ok_or(AppError::UnknownKey)))
    }
}

/// The URL of an endpoint that needs no key.
///
/// # Errors
/// 400 for a key in the query string.
pub(crate) struct KeylessUrl;

impl FromRequest for KeylessUrl {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(refuse_key_in_query(request.query_string()).map(|()| Self))
    }
}

/// The query string of an API request.
///
/// # Errors
/// 400 for more than 16 fields, a repeated field, control characters or text that is not UTF-8.
#[derive(Debug)]
pub(crate) struct ApiQuery(FormFields<0>);

impl Deref for ApiQuery {
    type Target = FormFields<0>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromRequest for ApiQuery {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let pairs = urlencoded::parse_pairs(request.query_string().as_bytes());
        let fields = pairs.and_then(FormFields::from_pairs);
        ready(fields.and_then(|fields| refuse_control_characters(&fields).map(|()| Self(fields))))
    }
}

/// Refuses a key in the URL, which would end up in logs and browser histories.
fn refuse_key_in_query(query: &str) -> Result<(), AppError> {
    let holds_key = url::form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name.eq_ignore_ascii_case(KEY_FIELD) || value.contains("uptok_"));
    if holds_key {
        return Err(AppError::invalid(
            KEY_FIELD,
            "Never put a key in a URL. Send it in the body or as Authorization: Bearer, and replace this key.",
        ));
    }
    Ok(())
}

/// The token of `Authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(request: &HttpRequest) -> Result<Option<SecretString>, AppError> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(AppError::Malformed("Send one Authorization header.".into()));
    }
    // Not `to_str`, which refuses a byte order mark.
    let text = header_text(header.as_bytes());
    match text.split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => {
            Ok(Some(SecretString::from(trim_pasted_key(token))))
        }
        _ => Err(AppError::UnknownKey),
    }
}

/// Some clients encode headers in ISO-8859-1, in which a no-break space or a quote around a key is not UTF-8.
fn header_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_not_utf8) => bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    }
}

/// The key is not checked here: it may have been copied with a line end, which is removed later.
fn refuse_control_characters<const LIMIT: usize>(fields: &FormFields<LIMIT>) -> Result<(), AppError> {
    let wrong: Vec<_> = fields
        .iter()
        .filter(|(name, _)| *name != KEY_FIELD)
        .filter(|(name, value)| name.chars().chain(value.chars()).any(char::is_control))
        .map(|(name, _)| FieldError::new(name.to_owned(), "Remove the control characters."))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(AppError::Invalid(wrong)) }
}
