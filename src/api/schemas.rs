//! What goes over the wire, as JSON Schema.

use serde_json::{Map, Value, json};

use crate::{api_keys::Scope, sessions};

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

/// The type of a column of the session record, not null.
fn column(name: &str) -> Value {
    match name {
        "sessionId" => json!({"type": "string", "format": "uuid"}),
        "sequence" => json!({"type": "integer", "minimum": 1}),
        "status" => json!({"enum": sessions::SessionStatus::NAMES}),
        "channel" => json!({"enum": sessions::Channel::NAMES}),
        "tags" => json!({"type": "array", "items": {"type": "string"}}),
        "rating" => json!({"type": "integer", "minimum": 1, "maximum": 5}),
        "waitSeconds" | "durationSeconds" => json!({"type": "integer", "minimum": 0}),
        "orderValueMinor" => json!({"type": "integer"}),
        name if name.ends_with("At") => json!({"type": "string", "format": "date-time"}),
        _ => json!({"type": "string"}),
    }
}

const NEVER_NULL: [&str; 9] =
    ["sessionId", "sequence", "status", "channel", "createdAt", "endedAt", "tags", "recordedAt", "updatedAt"];
const REQUIRED: [&str; 4] = ["status", "channel", "createdAt", "endedAt"];

fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn session() -> Value {
    let columns = sessions::COLUMNS.map(|name| {
        let schema = column(name);
        let schema = if NEVER_NULL.contains(&name) { schema } else { or_null(&schema) };
        (name.to_owned(), schema)
    });
    json!({"type": "object", "required": sessions::COLUMNS, "properties": Map::from_iter(columns)})
}

fn session_to_record() -> Value {
    let columns = sessions::COLUMNS.map(|name| {
        let schema = column(name);
        let schema = if REQUIRED.contains(&name) { schema } else { or_null(&schema) };
        (name.to_owned(), schema)
    });
    json!({
        "type": "object", "required": REQUIRED, "additionalProperties": false, "properties": Map::from_iter(columns)
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
