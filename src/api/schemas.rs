//! What goes over the wire, as JSON Schema. Code generators name their types after these schemas.

use serde_json::{Value, json};

use crate::{
    api_keys::Scope,
    sessions::{self, Channel, FieldType, PER_PAGE_DEFAULT, PER_PAGE_MAX, SessionField, SessionStatus},
};

/// The schemas that operations refer to.
pub(super) fn schemas() -> Value {
    let choice = |names: &[&str], description: &str| json!({"type": "string", "enum": names, "description": description});
    json!({
        "Problem": problem(),
        "FieldError": field_error(),
        "SessionStatus": choice(SessionStatus::NAMES, "How a session ended."),
        "Channel": choice(Channel::NAMES, "The medium of a session."),
        "Session": session(),
        "SessionPage": page_of("Session", "totalSessions"),
        "ExportForm": export_form(),
        "SessionToRecord": session_to_record(),
        "RecordOutcome": choice(&["created", "updated", "unchanged", "rejected"], "The outcome for a session."),
        "RecordedSession": recorded_session(),
        "RecordSessionsResult": record_sessions_result(),
        "Scope": choice(&Scope::ALL.map(Scope::as_str), "A right of a key."),
        "KeyStatus": choice(&["active", "expiring", "replaced", "expired"], "The status of a key."),
        "Key": key(),
        "KeyPage": page_of("Key", "totalKeys"),
        "CreatedKey": created_key(),
        "CreateKeyRequest": create_key_request(),
        "ChangeKeyRequest": change_key_request(),
        "ReplaceKeyRequest": replace_key_request(),
        "RevokeForm": {"type": "object", "properties": {"clientKey": client_key()}}
    })
}

pub(super) fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// An integer. Generators use 32 bits unless the format says 64.
pub(super) fn integer(min: Option<i64>, max: Option<i64>) -> Value {
    let mut schema = json!({"type": "integer", "format": "int64"});
    for (name, bound) in [("minimum", min), ("maximum", max)] {
        if let Some(bound) = bound {
            schema[name] = json!(bound);
        }
    }
    schema
}

/// The schema with a description.
pub(super) fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

/// The schema, also allowing null.
fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// The key as a form field.
fn client_key() -> Value {
    json!({"type": "string", "description": "The whole key, unless it is in the header."})
}

/// A form field or query parameter: name, description and schema.
pub(super) type RequestField = (&'static str, String, Value);

/// The fields that narrow and order sessions.
pub(super) fn filter_fields() -> Vec<RequestField> {
    let order = json!({"type": "string", "enum": ["asc", "desc"]});
    let agent_name = json!({"type": "string", "maxLength": 255});
    let fields = [
        ("order", "Oldest or newest first. Absent: asc.", order),
        ("from", "Only sessions with createdAt at this time or later.", time()),
        ("to", "Only sessions with createdAt before this time.", time()),
        ("status", "Only sessions with this status.", reference("SessionStatus")),
        ("channel", "Only sessions on this channel.", reference("Channel")),
        ("agentName", "Only sessions of the agent with exactly this name.", agent_name),
        ("updatedSince", "Only sessions with updatedAt at this time or later.", time()),
    ];
    fields.map(|(name, description, schema)| (name, description.to_owned(), schema)).to_vec()
}

/// The fields that choose a page of sessions.
pub(super) fn page_fields() -> Vec<RequestField> {
    let per_page =
        format!("Sessions per page; higher values count as {PER_PAGE_MAX}. Absent: {PER_PAGE_DEFAULT}.");
    let cursor = "The nextCursor of the previous response, to continue after it.".to_owned();
    let mut fields = vec![
        ("page", "From 1. Not together with cursor.".to_owned(), integer(Some(1), None)),
        ("perPage", per_page, integer(Some(1), None)),
        ("cursor", cursor, json!({"type": "string"})),
    ];
    fields.extend(filter_fields());
    fields
}

/// Choices are repeated here, because what openapi-generator makes of a reference in a form does not compile in Rust.
fn export_form() -> Value {
    let mut properties = json!({"clientKey": client_key()});
    for (name, description, schema) in page_fields() {
        let schema = match name {
            "status" => json!({"type": "string", "enum": SessionStatus::NAMES}),
            "channel" => json!({"type": "string", "enum": Channel::NAMES}),
            _ => schema,
        };
        properties[name] = described(schema, &description);
    }
    json!({
        "type": "object", "description": "Which sessions, and the key unless it is in the header.",
        "properties": properties
    })
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Why a request failed (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string", "description": "Where the code is explained."},
            "title": {"type": "string", "description": "The name of the status."},
            "status": integer(Some(400), Some(599)),
            "detail": {"type": "string", "description": "A sentence for people."},
            "code": {"type": "string", "description": "The reason, for programs."},
            "requestId": {"type": "string", "description": "Identifies the request in the server log."},
            "errors": {"type": "array", "items": reference("FieldError")}
        },
        "examples": [{
            "type": "/docs#missing_scope", "title": "Forbidden", "status": 403,
            "detail": "This key does not have the scope sessions:write. Add it to the key, or use another key.",
            "code": "missing_scope", "requestId": "01a20931-7c05-7e12-9d53-2f6b8a40c1e7"
        }]
    })
}

fn field_error() -> Value {
    json!({
        "type": "object",
        "description": "An invalid field.",
        "required": ["field", "message"],
        "properties": {
            "index": described(integer(Some(0), None), "Index of the session in the request, from 0."),
            "field": {"type": "string"},
            "message": {"type": "string", "description": "How to correct it."}
        }
    })
}

/// A page of these items; `total_name` is the property with the number of all items.
fn page_of(item: &str, total_name: &str) -> Value {
    let mut page = json!({
        "type": "object",
        "required": ["data", "page", "recordsPerPage", total_name, "totalPages"],
        "properties": {
            "data": {"type": "array", "items": reference(item)},
            "page": integer(Some(1), None),
            "recordsPerPage": integer(Some(1), None),
            total_name: integer(Some(0), None),
            "totalPages": integer(Some(0), None)
        }
    });
    if item == "Session" {
        let cursor = "Send it as `cursor` to get the next page. Absent after the last session.";
        page["properties"]["nextCursor"] = json!({"type": "string", "description": cursor});
    }
    page
}

/// A field of the session record. `is_nullable` allows null.
fn field_schema(field: &SessionField, is_nullable: bool) -> Value {
    let schema = match field.field_type {
        FieldType::Uuid => json!({"type": "string", "format": "uuid"}),
        FieldType::Integer { min, max, .. } => integer(min, max),
        FieldType::Choice(SessionStatus::NAMES) => return reference("SessionStatus"),
        FieldType::Choice(Channel::NAMES) => return reference("Channel"),
        FieldType::Choice(names) => json!({"type": "string", "enum": names}),
        FieldType::Tags => json!({"type": "array", "items": {"type": "string"}}),
        FieldType::Time => time(),
        FieldType::Text { .. } | FieldType::Phone | FieldType::Country | FieldType::Currency => {
            json!({"type": "string"})
        }
    };
    let null_meaning = field.null_meaning.filter(|_| is_nullable);
    let null_text = null_meaning.map(|meaning| format!(" Null: {meaning}.")).unwrap_or_default();
    let description = format!("{}{null_text}", field.meaning);
    described(if is_nullable { or_null(schema) } else { schema }, &description)
}

/// The fields of the session record, null unless `is_never_null`.
fn field_schemas(is_never_null: fn(&SessionField) -> bool) -> Value {
    let property = |field: &SessionField| (field.name.to_owned(), field_schema(field, !is_never_null(field)));
    sessions::SESSION_FIELDS.iter().map(property).collect()
}

fn session() -> Value {
    let properties = field_schemas(|field| field.null_meaning.is_none());
    json!({
        "type": "object", "description": "A recorded session.",
        "required": sessions::COLUMNS, "properties": properties
    })
}

fn session_to_record() -> Value {
    let fields = sessions::SESSION_FIELDS.iter();
    let required: Vec<&str> = fields.filter(|field| field.is_required).map(|field| field.name).collect();
    let properties = field_schemas(|field| field.is_required);
    json!({
        "type": "object", "description": "A session to store. Null and an absent field mean the same.",
        "required": required, "additionalProperties": false, "properties": properties
    })
}

fn recorded_session() -> Value {
    json!({
        "type": "object", "description": "The outcome for one of the sessions sent.",
        "required": ["index", "outcome"],
        "properties": {
            "index": described(integer(Some(0), None), "Index of the session in the request, from 0."),
            "externalId": or_null(json!({"type": "string"})),
            "sessionId": {"type": "string", "format": "uuid", "description": "Absent if the session was rejected."},
            "outcome": reference("RecordOutcome"),
            "errors": {
                "type": "array", "description": "Why the session was rejected.",
                "items": reference("FieldError")
            }
        }
    })
}

fn record_sessions_result() -> Value {
    let count = integer(Some(0), None);
    json!({
        "type": "object", "description": "The outcome for each session, in the order sent.",
        "required": ["created", "updated", "unchanged", "rejected", "results"],
        "properties": {
            "created": count, "updated": count, "unchanged": count, "rejected": count,
            "results": {"type": "array", "items": reference("RecordedSession")}
        }
    })
}

fn scopes() -> Value {
    json!({"type": "array", "minItems": 1, "items": reference("Scope")})
}

/// The items have no format: generators cannot express that a text has one of three.
fn networks() -> Value {
    json!({
        "type": "array", "maxItems": 50, "items": {"type": "string"},
        "description": "Addresses such as 203.0.113.7 or 2001:db8::7, and networks such as 203.0.113.0/24 or \
            2001:db8::/32. Empty: any address.",
        "examples": [["203.0.113.0/24", "2001:db8::7"]]
    })
}

fn limit() -> Value {
    described(integer(Some(0), Some(1_000_000)), "Requests per minute. 0: no limit.")
}

fn key() -> Value {
    json!({
        "type": "object", "description": "A key without its secret.",
        "required": ["publicKey", "name", "clientId", "scopes", "createdAt", "createdBy", "expiresAt", "status",
            "requestsPerMinute", "allowedNetworks", "replacedBy", "lastUsedAt"],
        "properties": {
            "publicKey": {"type": "string", "examples": ["uptok_AAAAAAAAAAAA"]},
            "name": {"type": "string"}, "clientId": {"type": "string"}, "scopes": scopes(),
            "createdAt": time(),
            "createdBy": described(or_null(json!({"type": "string"})), "The name of a user, or a public key."),
            "expiresAt": described(or_null(time()), "Null: never."),
            "status": reference("KeyStatus"),
            "requestsPerMinute": limit(), "allowedNetworks": networks(),
            "replacedBy": described(or_null(json!({"type": "string"})), "The public key of the replacement."),
            "lastUsedAt": described(or_null(time()), "Null: never used.")
        }
    })
}

/// All properties in one schema: generators disagree about `allOf`.
fn created_key() -> Value {
    let mut schema = described(key(), "A new key with its secret.");
    schema["properties"]["clientKey"] =
        json!({"type": "string", "description": "The whole key. It is returned only once."});
    if let Some(required) = schema["required"].as_array_mut() {
        required.push(json!("clientKey"));
    }
    schema
}

fn create_key_request() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["name", "scopes"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 64}, "scopes": scopes(),
            "expires": {
                "type": "string",
                "description": "Days (1 to 3650), the last day (2027-01-31), or never. Absent: 90 days.",
                "pattern": "^(never|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,4})$",
                "examples": ["30", "2027-01-31", "never"]
            },
            "requestsPerMinute": limit(), "allowedNetworks": networks()
        }
    })
}

fn change_key_request() -> Value {
    json!({
        "type": "object", "description": "The new rights. Absent fields stay as they are.",
        "additionalProperties": false,
        "properties": {"scopes": scopes(), "requestsPerMinute": limit(), "allowedNetworks": networks()}
    })
}

fn replace_key_request() -> Value {
    let grace = "How long the old key still works: 0, 3600, 86400 or 604800 seconds. Absent: 0.";
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {"graceSeconds": described(integer(Some(0), Some(604_800)), grace)}
    })
}
