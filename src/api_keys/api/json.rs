//! Keys as programs write and read them.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::{
    api_keys::{
        error::KeyChangeError,
        key::{ApiKey, KeyStatus},
        lifetime::{GracePeriod, GracePeriodError, KeyLifetime, LifetimeError},
        list_query::{KeyListQuery, KeySort},
        new_key::{KeyName, KeyRequest},
        rights::{AllowedNetworks, KeyRights, RequestsPerMinute, Scope},
    },
    error::{AppError, FieldError},
    web::time::rfc3339,
};

/// So many keys on a page, at most; more is taken as this.
const PER_PAGE_MAX: u32 = 100;

/// A key, and when it was last used.
pub(crate) fn of(key: &ApiKey, used: Option<DateTime<Utc>>) -> Value {
    json!({
        "publicKey": key.public_key,
        "name": key.name,
        "clientId": key.client_id,
        "scopes": key.scopes,
        "createdAt": rfc3339(key.created_at),
        "createdBy": key.creator.as_ref().or(key.created_by_key.as_ref()),
        "expiresAt": key.expires_at.map(rfc3339),
        "status": key.status().as_str(),
        "requestsPerMinute": key.requests_per_minute,
        "allowedNetworks": key.rights().networks.texts(),
        "replacedBy": key.replaced_by,
        "lastUsedAt": used.map(rfc3339),
    })
}

/// Which keys a program asks for; an absent field is as in the list of the page.
pub(crate) fn query<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<KeyListQuery, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut number = |name: &'static str, absent: u32| {
        let Some(text) = field(name) else { return absent };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && *number > 0);
        number.unwrap_or_else(|| {
            errors.push(FieldError::new(name, "Use a whole number from 1 to 4294967295, in digits only."));
            absent
        })
    };
    let (page, per_page) = (number("page", 1), number("perPage", KeyListQuery::PER_PAGE));
    let status = field("status")
        .map(|name| KeyStatus::from_name(name).ok_or("Use active, expiring, replaced or expired."));
    let sort =
        field("sort").map(|name| KeySort::from_name(name).ok_or("Use newest, oldest, name or expiry."));
    errors.extend(status.and_then(Result::err).map(|message| FieldError::new("status", message)));
    errors.extend(sort.and_then(Result::err).map(|message| FieldError::new("sort", message)));
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(KeyListQuery {
        search: field("q").unwrap_or_default().to_owned(),
        status: status.and_then(Result::ok),
        sort: sort.and_then(Result::ok).unwrap_or(KeySort::Newest),
        page,
        per_page: per_page.min(PER_PAGE_MAX),
    })
}

/// Why no key was made, with the field as programs write it.
pub(crate) fn as_written(error: KeyChangeError) -> AppError {
    match error {
        KeyChangeError::Lifetime(_) | KeyChangeError::OutlivesActor(_) => {
            AppError::invalid("expires", error.to_string())
        }
        other => other.into(),
    }
}

/// What a program has given: an object, whose fields are taken one by one. What is left is unknown.
pub(crate) struct KeyBody {
    fields: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl KeyBody {
    /// The body; nothing is an empty object.
    pub(crate) fn read_any(body: &[u8]) -> Result<Self, AppError> {
        Self::read(if body.is_empty() { b"{}" } else { body })
    }

    /// The body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, AppError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, errors: Vec::new() }),
            Ok(_) => Err(AppError::Malformed("Send one JSON object.".into())),
            Err(error) => Err(AppError::Malformed(format!("The JSON cannot be read: {error}.").into())),
        }
    }

    /// A new key. What it does not say of limit and networks is as the key has it that makes it, which it does not outlive.
    pub(crate) fn plan(mut self, own: &KeyRights) -> Result<KeyRequest, AppError> {
        let name = self.take("name", |value| match value.map(|it| it.as_str().map(str::parse::<KeyName>)) {
            Some(Some(name)) => name.map(Some).map_err(|error| error.to_string().into()),
            _ => Err("Say what the key is called.".into()),
        });
        let scopes = self.take("scopes", |value| value.map_or(Err(CHOOSE.into()), |it| scopes(it).map(Some)));
        let lifetime = self.take("expires", |value| value.map(lifetime).transpose());
        let absent = KeyRights { scopes: scopes.unwrap_or_default(), ..own.clone() };
        let rights = self.rights_but_scopes(absent)?;
        let Some(name) = name else { return Err(AppError::Invalid(self.errors)) };
        let lifetime = lifetime.unwrap_or(KeyLifetime::AtMost(KeyLifetime::DAYS_DEFAULT));
        Ok(KeyRequest { name, lifetime, rights })
    }

    /// Other rights of a key; what is absent stays.
    pub(crate) fn rights(mut self, mut before: KeyRights) -> Result<KeyRights, AppError> {
        if let Some(scopes) = self.take("scopes", |value| value.map(scopes).transpose()) {
            before.scopes = scopes;
        }
        self.rights_but_scopes(before)
    }

    /// How long a replaced key lives on.
    pub(crate) fn grace(mut self) -> Result<GracePeriod, AppError> {
        let grace = self.take("graceSeconds", |value| {
            let grace =
                value.map(|it| it.as_u64().and_then(GracePeriod::from_seconds).ok_or(GracePeriodError));
            grace.transpose().map_err(|error| error.to_string().into())
        });
        self.finish()?;
        Ok(grace.unwrap_or_default())
    }

    fn rights_but_scopes(&mut self, absent: KeyRights) -> Result<KeyRights, AppError> {
        let limit = self.take("requestsPerMinute", |value| value.map(limit).transpose());
        let networks = self.take("allowedNetworks", |value| value.map(networks).transpose());
        self.finish()?;
        Ok(KeyRights {
            scopes: absent.scopes,
            requests_per_minute: limit.unwrap_or(absent.requests_per_minute),
            networks: networks.unwrap_or(absent.networks),
        })
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Option<&Value>) -> Result<Option<T>, Cow<'static, str>>,
    ) -> Option<T> {
        let value = self.fields.remove(name);
        parse(value.as_ref()).unwrap_or_else(|message| {
            self.errors.push(FieldError::new(name, message));
            None
        })
    }

    /// Refuses what is wrong and what is unknown.
    fn finish(&mut self) -> Result<(), AppError> {
        let unknown = self.fields.keys().map(|name| {
            let name: String = name.chars().take(64).collect();
            FieldError::new(name, "There is no such field.")
        });
        self.errors.extend(unknown);
        if self.errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(std::mem::take(&mut self.errors))) }
    }
}

const CHOOSE: &str = "Choose at least one of sessions:read, sessions:write and keys:manage.";

fn scopes(value: &Value) -> Result<Vec<Scope>, Cow<'static, str>> {
    let named = |value: &Value| Scope::ALL.into_iter().find(|it| value == it.as_str());
    let chosen: Option<Vec<Scope>> = value.as_array().and_then(|values| values.iter().map(named).collect());
    let chosen = chosen.filter(|scopes| !scopes.is_empty()).ok_or(CHOOSE)?;
    Ok(Scope::ALL.into_iter().filter(|scope| chosen.contains(scope)).collect())
}

fn lifetime(value: &Value) -> Result<KeyLifetime, Cow<'static, str>> {
    let text = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|days| days.to_string()));
    let text = text.ok_or_else(|| LifetimeError::Unknown.to_string())?;
    text.parse().map_err(|error: LifetimeError| error.to_string().into())
}

fn limit(value: &Value) -> Result<RequestsPerMinute, Cow<'static, str>> {
    let number = value.as_u64().ok_or("Use a whole number from 0 to 1000000. 0 means no limit.")?;
    number.to_string().parse().map_err(|error: crate::api_keys::RequestLimitError| error.to_string().into())
}

fn networks(value: &Value) -> Result<AllowedNetworks, Cow<'static, str>> {
    let texts: Option<Vec<&str>> =
        value.as_array().and_then(|values| values.iter().map(Value::as_str).collect());
    let texts = texts.ok_or("Use a list of addresses and networks, such as [\"203.0.113.0/24\"].")?;
    AllowedNetworks::new(texts).map_err(|error| error.to_string().into())
}
