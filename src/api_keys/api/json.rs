//! API keys in JSON: the responses and the request bodies of the API.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::{
    api_keys::{
        error::KeyChangeError,
        key::{ApiKey, KeyStatus},
        lifetime::{GracePeriod, GracePeriodError, KeyLifetime, LifetimeError},
        list_query::{KeyListQuery, KeySort},
        new_key::{KeyName, KeySpec},
        rights::{AllowedNetworks, KeyRights, RequestsPerMinute, Scope},
    },
    error::{AppError, FieldError, FieldErrors},
    ids::PublicKey,
    text::sanitize,
    web::{
        body::form::FieldReader,
        format::{
            number::{trim_zero_fraction, whole_number_text},
            time::rfc3339_micros,
        },
    },
};

/// Maximum of `perPage`. A larger number counts as this.
const PER_PAGE_MAX: u32 = 100;

/// The JSON of a key; `used` is its last use.
pub(crate) fn render_key(key: &ApiKey, used: Option<DateTime<Utc>>) -> Value {
    json!({
        "publicKey": key.public_key,
        "name": key.name,
        "clientId": key.client_id,
        "scopes": key.scopes,
        "createdAt": rfc3339_micros(key.created_at),
        "createdBy": key.creator.as_deref().or(key.created_by_key.as_ref().map(PublicKey::as_str)),
        "expiresAt": key.expires_at.map(rfc3339_micros),
        "status": key.status().as_str(),
        "requestsPerMinute": key.requests_per_minute.get(),
        "allowedNetworks": key.rights().networks.texts(),
        "replacedBy": key.replaced_by,
        "lastUsedAt": used.map(rfc3339_micros),
    })
}

/// Parses the parameters of the list of keys. The defaults are those of the page.
pub(crate) fn query<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<KeyListQuery, Vec<FieldError>> {
    let mut reader = FieldReader::new(&field);
    let page = reader.read("page", positive_number);
    let per_page = reader.read("perPage", positive_number);
    let status = reader.read("status", |name| {
        KeyStatus::from_name(name).ok_or("Use active, expiring, replaced or expired.")
    });
    let sort =
        reader.read("sort", |name| KeySort::from_name(name).ok_or("Use newest, oldest, name or expiry."));
    reader.finish(KeyListQuery {
        search: field("q").unwrap_or_default().to_owned(),
        created_by: None,
        status,
        sort: sort.unwrap_or(KeySort::Newest),
        page: page.unwrap_or(1),
        per_page: per_page.unwrap_or(KeyListQuery::PER_PAGE).min(PER_PAGE_MAX),
    })
}

fn positive_number(text: &str) -> Result<u32, &'static str> {
    let text = trim_zero_fraction(text);
    // `parse` would accept a leading plus sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number > 0);
    number.ok_or("Use a whole number from 1 to 4294967295, in digits only.")
}

/// Renames the field of lifetime errors to `expires`, its name in the API.
pub(crate) fn as_written(error: KeyChangeError) -> AppError {
    match error {
        KeyChangeError::Lifetime(_) | KeyChangeError::OutlivesActor(_) => {
            AppError::invalid("expires", error.to_string())
        }
        other => other.into(),
    }
}

/// The JSON object of a request. Fields are removed as they are read, so those that remain are unknown.
pub(crate) struct KeyBody {
    fields: Map<String, Value>,
    errors: FieldErrors,
}

impl KeyBody {
    /// Parses a body. An empty one counts as an empty object.
    pub(crate) fn read_any(body: &[u8]) -> Result<Self, AppError> {
        Self::read(if body.is_empty() { b"{}" } else { body })
    }

    /// Parses a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, AppError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, errors: FieldErrors::default() }),
            Ok(_) => Err(AppError::Malformed("Send one JSON object.".into())),
            Err(error) => Err(AppError::Malformed(format!("The JSON cannot be read: {error}.").into())),
        }
    }

    /// A new key. By default it has the limit and networks of the key that creates it (`own`), and ends no later.
    pub(crate) fn plan(mut self, own: &KeyRights) -> Result<KeySpec, AppError> {
        let name =
            self.read_field("name", |value| match value.map(|it| it.as_str().map(str::parse::<KeyName>)) {
                Some(Some(name)) => name.map(Some).map_err(|error| error.to_string().into()),
                _ => Err("Enter a name for the key.".into()),
            });
        let scopes = self
            .read_field("scopes", |value| value.map_or(Err(CHOOSE_SCOPE.into()), |it| scopes(it).map(Some)));
        let lifetime = self.read_field("expires", |value| value.map(lifetime).transpose());
        let absent = KeyRights { scopes: scopes.unwrap_or_default(), ..own.clone() };
        let rights = self.rights_but_scopes(absent)?;
        let Some(name) = name else { return Err(self.errors.into()) };
        let lifetime = lifetime.unwrap_or(KeyLifetime::AtMost(KeyLifetime::DAYS_DEFAULT));
        Ok(KeySpec { name, lifetime, rights })
    }

    /// The changed rights of a key. Absent fields stay as they were `before`.
    pub(crate) fn rights(mut self, mut before: KeyRights) -> Result<KeyRights, AppError> {
        if let Some(scopes) = self.read_field("scopes", |value| value.map(scopes).transpose()) {
            before.scopes = scopes;
        }
        self.rights_but_scopes(before)
    }

    /// How long a replaced key stays valid.
    pub(crate) fn grace(mut self) -> Result<GracePeriod, AppError> {
        let grace = self.read_field("graceSeconds", |value| {
            let grace =
                value.map(|it| whole_number(it).and_then(GracePeriod::from_seconds).ok_or(GracePeriodError));
            grace.transpose().map_err(|error| error.to_string().into())
        });
        self.finish()?;
        Ok(grace.unwrap_or_default())
    }

    fn rights_but_scopes(&mut self, absent: KeyRights) -> Result<KeyRights, AppError> {
        let limit = self.read_field("requestsPerMinute", |value| value.map(limit).transpose());
        let networks = self.read_field("allowedNetworks", |value| value.map(networks).transpose());
        self.finish()?;
        Ok(KeyRights {
            scopes: absent.scopes,
            requests_per_minute: limit.unwrap_or(absent.requests_per_minute),
            networks: networks.unwrap_or(absent.networks),
        })
    }

    fn read_field<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Option<&Value>) -> Result<Option<T>, Cow<'static, str>>,
    ) -> Option<T> {
        let value = self.fields.remove(name);
        self.errors.check(name, parse(value.as_ref())).flatten()
    }

    /// Refuses wrong and unknown fields.
    fn finish(&mut self) -> Result<(), AppError> {
        for name in self.fields.keys() {
            // The name is untrusted, so the error repeats only its beginning.
            self.errors.add(sanitize(name, 64), "This field does not exist. Remove it.");
        }
        std::mem::take(&mut self.errors).finish(()).map_err(AppError::Invalid)
    }
}

/// A number that is whole by its value: 60 and 60.0.
fn whole_number(value: &Value) -> Option<u64> {
    whole_number_text(value.as_number()?)?.parse().ok()
}

const CHOOSE_SCOPE: &str = "Choose at least one of sessions:read, sessions:write and keys:manage.";

fn scopes(value: &Value) -> Result<Vec<Scope>, Cow<'static, str>> {
    let named = |value: &Value| Scope::ALL.into_iter().find(|it| value == it.as_str());
    let chosen: Option<Vec<Scope>> = value.as_array().and_then(|values| values.iter().map(named).collect());
    let chosen = chosen.filter(|scopes| !scopes.is_empty()).ok_or(CHOOSE_SCOPE)?;
    Ok(Scope::ALL.into_iter().filter(|scope| chosen.contains(scope)).collect())
}

fn lifetime(value: &Value) -> Result<KeyLifetime, Cow<'static, str>> {
    let text = value.as_str().map(str::to_owned).or_else(|| whole_number(value).map(|days| days.to_string()));
    let text = text.ok_or_else(|| LifetimeError::Unknown.to_string())?;
    text.parse().map_err(|error: LifetimeError| error.to_string().into())
}

fn limit(value: &Value) -> Result<RequestsPerMinute, Cow<'static, str>> {
    let number = whole_number(value).ok_or("Use a whole number from 0 to 1000000. 0 means no limit.")?;
    number.to_string().parse().map_err(|error: crate::api_keys::RequestLimitError| error.to_string().into())
}

fn networks(value: &Value) -> Result<AllowedNetworks, Cow<'static, str>> {
    let texts: Option<Vec<&str>> =
        value.as_array().and_then(|values| values.iter().map(Value::as_str).collect());
    let texts = texts.ok_or("Use a list of addresses and networks, such as [\"203.0.113.0/24\"].")?;
    AllowedNetworks::new(texts).map_err(|error| error.to_string().into())
}
