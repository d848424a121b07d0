//! What goes over the wire, as JSON Schema.

use serde_json::{Map, Value, json};

use crate::{
    api_keys::Scope,
    sessions::{self, FieldType, SessionField},
};

/// Text without control characters, as a pattern.
pub(super) const NO_CONTROL_CHARACTERS: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// The schemas that operations refer to.
pub(super) fn schemas() -> Value {
    json!({
        "Problem": problem(),
        "Session": session(),
        "SessionPage": {
            "type": "object",
            "required": ["data", "page", "recordsPerPage", "totalSessions", "totalPages"],
            "properties": {
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Session"}},
                "page": {"type": "integer", "minimum": 1},
                "recordsPerPage": {"type": "integer", "minimum": 1, "maximum": sessions::PER_PAGE_MAX},
                "totalSessions": {"type": "integer", "minimum": 0},
                "totalPages": {"type": "integer", "minimum": 0},
                "nextCursor": {"type": "string"}
            }
        },
        "SessionToRecord": session_to_record(),
        "Recorded": recorded(),
        "Key": key(),
        "NewKey": new_key(),
        "KeyChange": key_change(),
        "MadeKey": {
            "allOf": [{"$ref": "#/components/schemas/Key"}, {
                "type": "object", "required": ["clientKey"],
                "properties": {"clientKey": {"type": "string", "description": "The whole key, this once."}}
            }]
        },
        "KeyPage": {
            "type": "object",
            "required": ["data", "page", "recordsPerPage", "totalKeys", "totalPages"],
            "properties": {
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}},
                "page": {"type": "integer", "minimum": 1},
                "recordsPerPage": {"type": "integer", "minimum": 1},
                "totalKeys": {"type": "integer", "minimum": 0},
                "totalPages": {"type": "integer", "minimum": 0}
            }
        },
        "Replacement": {
            "type": "object", "additionalProperties": false,
            "properties": {"graceSeconds": {"enum": [0, 3600, 86400, 604_800], "default": 0}}
        }
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "requestId"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string"}, "code": {"type": "string"}, "requestId": {"type": "string"},
            "errors": {"type": "array", "items": {
                "type": "object", "required": ["field", "message"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0},
                    "field": {"type": "string"}, "message": {"type": "string"}
                }
            }}
        },
        "example": {
            "type": "/docs#missing_scope", "title": "Forbidden", "status": 403,
            "detail": "This key lacks the scope sessions:write. Generate one that has it.",
            "code": "missing_scope", "requestId": "01a20931-7c05-7e12-9d53-2f6b8a40c1e7"
        }
    })
}

/// The type of a field of the session record, without null.
fn field_schema(field_type: FieldType) -> Value {
    match field_type {
        FieldType::Uuid => json!({"type": "string", "format": "uuid"}),
        FieldType::Integer { min, max, .. } => integer_schema(min, max),
        FieldType::Choice(names) => json!({"enum": names}),
        FieldType::Tags => json!({"type": "array", "items": {"type": "string"}}),
        FieldType::Time => json!({"type": "string", "format": "date-time"}),
        FieldType::Text { .. } | FieldType::Phone | FieldType::Country | FieldType::Currency => {
            json!({"type": "string"})
        }
    }
}

fn integer_schema(min: Option<i64>, max: Option<i64>) -> Value {
    let mut schema = Map::from_iter([("type".to_owned(), json!("integer"))]);
    schema.extend(min.map(|min| ("minimum".to_owned(), json!(min))));
    schema.extend(max.map(|max| ("maximum".to_owned(), json!(max))));
    Value::Object(schema)
}

fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// The fields of the session record, null unless `is_never_null`.
fn field_schemas(is_never_null: fn(&SessionField) -> bool) -> Value {
    let property = |field: &SessionField| {
        let schema = field_schema(field.field_type);
        (field.name.to_owned(), if is_never_null(field) { schema } else { or_null(&schema) })
    };
    sessions::SESSION_FIELDS.iter().map(property).collect()
}

fn session() -> Value {
    let properties = field_schemas(|field| field.null_meaning.is_none());
    json!({"type": "object", "required": sessions::COLUMNS, "properties": properties})
}

fn session_to_record() -> Value {
    let fields = sessions::SESSION_FIELDS.iter();
    let required: Vec<&str> = fields.filter(|field| field.is_required).map(|field| field.name).collect();
    let properties = field_schemas(|field| field.is_required);
    json!({
        "type": "object", "required": required, "additionalProperties": false, "properties": properties
    })
}

fn recorded() -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    json!({
        "type": "object",
        "required": ["created", "updated", "unchanged", "rejected", "results"],
        "properties": {
            "created": count, "updated": count, "unchanged": count, "rejected": count,
            "results": {"type": "array", "items": {
                "type": "object", "required": ["index", "outcome"],
                "properties": {
                    "index": count,
                    "externalId": {"type": ["string", "null"]},
                    "sessionId": {"type": "string", "format": "uuid"},
                    "outcome": {"enum": ["created", "updated", "unchanged", "rejected"]}
                }
            }}
        }
    })
}

fn scopes() -> Value {
    json!({"type": "array", "minItems": 1, "items": {"enum": Scope::ALL.map(Scope::as_str)}})
}

fn networks() -> Value {
    let network = r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}$";
    let kinds = json!([{"format": "ipv4"}, {"format": "ipv6"}, {"pattern": network}]);
    json!({"type": "array", "maxItems": 50, "items": {"type": "string", "anyOf": kinds}})
}

fn limit() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 1_000_000, "description": "0: no limit."})
}

fn key() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "type": "object",
        "required": ["publicKey", "name", "clientId", "scopes", "createdAt", "createdBy", "expiresAt", "status",
            "requestsPerMinute", "allowedNetworks", "replacedBy", "lastUsedAt"],
        "properties": {
            "publicKey": {"type": "string", "pattern": "^uptok_[0-9A-Za-z]{12}$"},
            "name": {"type": "string"}, "clientId": {"type": "string"}, "scopes": scopes(),
            "createdAt": time, "createdBy": {"type": ["string", "null"]}, "expiresAt": or_null(&time),
            "status": {"enum": ["active", "expiring", "replaced", "expired"]},
            "requestsPerMinute": limit(), "allowedNetworks": networks(),
            "replacedBy": {"type": ["string", "null"]}, "lastUsedAt": or_null(&time)
        }
    })
}

fn new_key() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["name", "scopes"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 64}, "scopes": scopes(),
            "expires": {
                "description": "Days (1 to 3650), the last day (2027-01-31), or never. Absent: 90 days.",
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": 3650},
                    {"type": "string", "pattern": "^(never|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,4})$"}
                ]
            },
            "requestsPerMinute": limit(), "allowedNetworks": networks()
        }
    })
}

fn key_change() -> Value {
    json!({
        "type": "object", "additionalProperties": false,
        "properties": {"scopes": scopes(), "requestsPerMinute": limit(), "allowedNetworks": networks()}
    })
}
