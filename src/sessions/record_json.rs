//! A session as a sender writes it in JSON: the same names as in CSV, each with its type.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{
    fields::{COLUMNS, FieldType, SESSION_FIELDS, SessionField},
    record::{IncomingSession, SessionRecord},
};
use crate::{error::FieldError, text::sanitize, web::format::number::whole_number_text};

/// An error repeats this many characters of the name of an unknown field.
const NAME_MAX: usize = 64;

/// Parses one object.
///
/// # Errors
/// A message for each field that is wrong, unknown or of another type.
pub(crate) fn parse(now: DateTime<Utc>, value: &Value) -> Result<IncomingSession, Vec<FieldError>> {
    let Value::Object(fields) = value else {
        return Err(vec![FieldError::new("", "Send an object with the fields of the session record.")]);
    };
    let unknown = fields.keys().filter(|name| !COLUMNS.contains(&name.as_str()));
    let mut errors: Vec<FieldError> = unknown
        .map(|name| FieldError::new(sanitize(name, NAME_MAX), "This field does not exist. Remove it."))
        .collect();
    let mut texts = Vec::new();
    for field in SESSION_FIELDS {
        match field_text(field, fields) {
            Ok(text) => texts.push((field.name, text)),
            Err(message) => errors.push(FieldError::new(field.name, message)),
        }
    }
    let text =
        |name: &str| texts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_ref());
    match SessionRecord::parse(now, text) {
        Ok(given) if errors.is_empty() => Ok(given),
        Ok(_) => Err(errors),
        Err(more) => {
            // A field of the wrong type reads as absent; its own message says more than "give it".
            let known: Vec<_> = errors.iter().map(|error| error.field.clone()).collect();
            errors.extend(more.into_iter().filter(|error| !known.contains(&error.field)));
            Err(errors)
        }
    }
}

/// The field as a cell of a CSV; empty if it is `null` or absent.
fn field_text<'a>(
    field: &SessionField,
    values: &'a Map<String, Value>,
) -> Result<Cow<'a, str>, &'static str> {
    match (field.field_type, values.get(field.name)) {
        (_, None | Some(Value::Null)) => Ok("".into()),
        (_, Some(value)) if field.is_set_by_us => Ok(value.as_str().unwrap_or_default().into()),
        (_, Some(Value::String(text))) if text.is_empty() => Ok("".into()),
        (FieldType::Tags, Some(Value::Array(tags))) => join_tags(tags).map(Cow::Owned),
        (FieldType::Tags, _) => Err("Send a list of text."),
        (FieldType::Integer { .. }, Some(Value::Number(number))) => {
            whole_number_text(number).map(Cow::Owned).ok_or("Send a whole number, without a fraction.")
        }
        (FieldType::Integer { .. }, _) => Err("Send a whole number, without quotes."),
        (_, Some(Value::String(text))) => Ok(text.as_str().into()),
        (_, Some(_)) => Err("Send text."),
    }
}

fn join_tags(tags: &[Value]) -> Result<String, &'static str> {
    let texts: Option<Vec<&str>> = tags.iter().map(Value::as_str).collect();
    let texts = texts.ok_or("Send a list of text.")?;
    if texts.iter().any(|tag| tag.contains(';') || tag.trim().is_empty()) {
        return Err("Tags cannot be empty or contain a semicolon.");
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
        assert_eq!(parse(&json!({"rating": 4.0})).unwrap().record.rating, Some(4));
    }

    #[test]
    fn every_field_of_every_other_type_is_named() {
        for field in SESSION_FIELDS {
            let name = field.name;
            for wrong in [json!(true), json!({}), json!([1]), json!(1.5), json!([["a"]])] {
                if field.is_set_by_us {
                    assert!(parse(&json!({ name: wrong })).is_ok(), "{name} is set by us");
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
        assert_eq!(parse(&json!({"a\u{0}b": 1})).unwrap_err(), ["ab"], "errors are stored");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for value in [json!(1), json!(null), json!("x"), json!([])] {
            assert!(super::parse("2026-11-23T12:00:00Z".parse().unwrap(), &value).is_err());
        }
    }
}
