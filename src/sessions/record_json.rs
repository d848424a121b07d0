//! A session as a sender writes it in JSON: the same names as in CSV, each with its type.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    record::{IncomingSession, SessionRecord},
    session::COLUMNS,
};
use crate::error::FieldError;

/// Fields whose value is a JSON number.
const NUMBERS: [&str; 4] = ["waitSeconds", "durationSeconds", "rating", "orderValueMinor"];
/// The field whose value is a list of text.
const LIST: &str = "tags";

/// Parses one object.
///
/// # Errors
/// Every field that is wrong, unknown or of another type, with what to do about it.
pub(crate) fn parse(now: DateTime<Utc>, value: &Value) -> Result<IncomingSession, Vec<FieldError>> {
    let Value::Object(fields) = value else {
        return Err(vec![FieldError::new("", "Send an object with the fields of the session record.")]);
    };
    let unknown = fields.keys().filter(|name| !COLUMNS.contains(&name.as_str()));
    let mut errors: Vec<FieldError> =
        unknown.map(|name| FieldError::new(name.clone(), "There is no such field.")).collect();
    let mut texts = Vec::new();
    for name in COLUMNS {
        match text_of(name, fields) {
            Ok(text) => texts.push((name, text)),
            Err(message) => errors.push(FieldError::new(name, message)),
        }
    }
    let text =
        |name: &str| texts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_ref());
    match SessionRecord::parse(now, text) {
        Ok(given) if errors.is_empty() => Ok(given),
        Ok(_) => Err(errors),
        Err(more) => {
            // A field of the wrong type reads as absent; its own message says more than "give it".
            let told: Vec<_> = errors.iter().map(|error| error.field.clone()).collect();
            errors.extend(more.into_iter().filter(|error| !told.contains(&error.field)));
            Err(errors)
        }
    }
}

/// Fields that are ours: what they say is never refused.
const OURS: [&str; 3] = ["sequence", "recordedAt", "erasedAt"];

/// The field as the CSV would have it; `null` and absent are empty.
fn text_of<'a>(name: &str, fields: &'a Map<String, Value>) -> Result<Cow<'a, str>, &'static str> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok("".into()),
        Some(value) if OURS.contains(&name) => Ok(value.as_str().unwrap_or_default().into()),
        Some(Value::String(text)) if text.is_empty() => Ok("".into()),
        Some(Value::Array(tags)) if name == LIST => joined(tags).map(Cow::Owned),
        Some(_) if name == LIST => Err("Send a list of text."),
        Some(Value::Number(number)) if NUMBERS.contains(&name) => Ok(number.to_string().into()),
        Some(_) if NUMBERS.contains(&name) => Err("Send a whole number, without quotes."),
        Some(Value::String(text)) => Ok(text.as_str().into()),
        Some(_) => Err("Send text."),
    }
}

fn joined(tags: &[Value]) -> Result<String, &'static str> {
    let texts: Option<Vec<&str>> = tags.iter().map(Value::as_str).collect();
    let texts = texts.ok_or("Send a list of text.")?;
    if texts.iter().any(|tag| tag.contains(';') || tag.trim().is_empty()) {
        return Err("A tag is not empty and holds no semicolon.");
    }
    Ok(texts.join(";"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(change: &Value) -> Result<IncomingSession, Vec<String>> {
        let mut record = json!({
            "externalId": "a", "status": "completed", "channel": "video", "createdAt": "2026-11-23T10:00:00Z",
            "startedAt": null, "endedAt": "2026-11-23T10:05:00Z", "rating": 5, "tags": ["vip", "repeat"],
        });
        record.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        super::parse("2026-11-23T12:00:00Z".parse().unwrap(), &record)
            .map_err(|errors| errors.iter().map(|error| error.field.to_string()).collect())
    }

    #[test]
    fn types_are_those_of_the_record() {
        let record = parse(&json!({})).unwrap().record;
        assert_eq!((record.rating, record.tags.join(",")), (Some(5), "vip,repeat".to_owned()));
    }

    #[test]
    fn every_field_of_every_other_type_is_named() {
        for name in COLUMNS {
            for wrong in [json!(true), json!({}), json!([1]), json!(1.5), json!([["a"]])] {
                if OURS.contains(&name) {
                    assert!(parse(&json!({ name: wrong })).is_ok(), "{name} is ours");
                    continue;
                }
                let errors = parse(&json!({ name: wrong })).unwrap_err();
                assert!(errors.iter().any(|field| field == name), "{name}: {wrong} gives {errors:?}");
            }
        }
        for name in ["rating", "waitSeconds", "orderValueMinor", "tags", "notes"] {
            assert!(parse(&json!({ name: "" })).is_ok(), "{name} is not given");
        }
        assert_eq!(parse(&json!({"rating": "5"})).unwrap_err(), ["rating"]);
        assert_eq!(parse(&json!({"status": 1})).unwrap_err(), ["status"]);
        assert_eq!(parse(&json!({"tags": "vip"})).unwrap_err(), ["tags"]);
        assert_eq!(parse(&json!({"tags": ["a;b"]})).unwrap_err(), ["tags"]);
        assert_eq!(parse(&json!({"notes": "a\u{0}b"})).unwrap_err(), ["notes"]);
        assert_eq!(parse(&json!({"clientId": "cl_0000000000"})).unwrap_err(), ["clientId"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for value in [json!(1), json!(null), json!("x"), json!([])] {
            assert!(super::parse("2026-11-23T12:00:00Z".parse().unwrap(), &value).is_err());
        }
    }
}
