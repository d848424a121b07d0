//! The endpoints below `/api/sessions`.

use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    openapi::{form_body, json_response, parameter},
    schemas::NO_CONTROL_CHARACTERS,
};
use crate::{
    api_keys::{EndpointAccess, KeyRoute, Scope},
    sessions::{Channel, PER_PAGE_DEFAULT, SessionStatus, export_handlers, recording_handlers},
};

const READ_SESSIONS: EndpointAccess = EndpointAccess::Scope(Scope::SessionsRead);

pub(super) const SESSION_ENDPOINTS: [Endpoint; 4] = [
    Endpoint {
        method: HttpMethod::Post,
        path: "/sessions/export-csv-data",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| KeyRoute::new(route, export_handlers::export)),
        operation: export_sessions,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/sessions",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| KeyRoute::new(route, export_handlers::list)),
        operation: list_sessions,
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/sessions",
        handler: EndpointHandler::Key(EndpointAccess::Scope(Scope::SessionsWrite), |route| {
            KeyRoute::new(route, recording_handlers::record)
        }),
        operation: record_sessions,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/sessions/{sessionId}",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| KeyRoute::new(route, export_handlers::show)),
        operation: show_session,
    },
];

/// The fields that select sessions: name, description and schema. Form fields of one endpoint, query parameters of another.
fn page_fields() -> Vec<(&'static str, &'static str, Value)> {
    let number = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
    let text = json!({"type": "string", "maxLength": 255, "pattern": NO_CONTROL_CHARACTERS});
    let time = json!({"type": "string", "format": "date-time"});
    vec![
        ("page", "From 1. Not together with cursor.", number.clone()),
        ("perPage", "Sessions per page; more than 1000 is taken as 1000.", {
            let mut per_page = number;
            per_page["default"] = json!(PER_PAGE_DEFAULT);
            per_page
        }),
        (
            "order",
            "In the order recorded, or the latest first.",
            json!({"enum": ["asc", "desc"], "default": "asc"}),
        ),
        ("from", "Only sessions with createdAt at this time or later.", time.clone()),
        ("to", "Only sessions with createdAt before this time.", time.clone()),
        ("status", "Only sessions with this status.", json!({"enum": SessionStatus::NAMES})),
        ("channel", "Only sessions over this channel.", json!({"enum": Channel::NAMES})),
        ("agentName", "Only sessions of the agent of exactly this name.", text),
        ("updatedSince", "Only sessions with updatedAt at this time or later.", time),
        (
            "cursor",
            "The nextCursor of the previous answer.",
            json!({"type": "string", "pattern": "^(s[0-9]{1,18})?$"}),
        ),
        (
            "format",
            "csv and ndjson without page and cursor return everything as a file.",
            json!({"enum": ["json", "csv", "ndjson"], "default": "json"}),
        ),
    ]
}

/// The response with a page, in each of its formats.
fn page_response() -> Value {
    let mut page = json_response("A page of sessions, or everything as a file.", "SessionPage");
    for media_type in ["text/csv", "application/x-ndjson"] {
        page["content"][media_type] = json!({"schema": {"type": "string"}});
    }
    page
}

fn export_sessions() -> Value {
    let mut properties = json!({
        "clientKey": {"type": "string", "description": "The whole key, unless it is in the header."}
    });
    for (name, description, mut schema) in page_fields() {
        schema["description"] = json!(description);
        properties[name] = schema;
    }
    json!({
        "operationId": "exportSessions", "tags": ["Sessions"],
        "summary": "A page of sessions, or all of them as a file",
        "requestBody": form_body(&json!({"type": "object", "properties": properties})),
        "responses": {"200": page_response()}
    })
}

fn list_sessions() -> Value {
    let parameters = page_fields();
    let parameters = parameters
        .into_iter()
        .map(|(name, description, schema)| parameter("query", name, description, &schema));
    let mut parameters: Vec<Value> = parameters.collect();
    parameters.push(if_none_match());
    let mut page = page_response();
    page["headers"] = json!({
        "ETag": {"schema": {"type": "string"}},
        "Link": {"description": "first, prev, next and last page (RFC 8288).", "schema": {"type": "string"}}
    });
    json!({
        "operationId": "listSessions", "tags": ["Sessions"], "summary": "The same with GET",
        "parameters": parameters,
        "responses": {"200": page, "304": {"description": "The caller's version is current."}}
    })
}

fn if_none_match() -> Value {
    parameter("header", "If-None-Match", "The ETag of an earlier answer.", &json!({"type": "string"}))
}

fn show_session() -> Value {
    let mut session = json_response("The session.", "Session");
    session["headers"] = json!({"ETag": {"schema": {"type": "string"}}});
    json!({
        "operationId": "getSession", "tags": ["Sessions"], "summary": "One session",
        "parameters": [
            parameter("path", "sessionId", "Our id of the session.", &json!({"type": "string", "format": "uuid"})),
            if_none_match()
        ],
        "responses": {"200": session, "304": {"description": "The caller's version is current."}}
    })
}

fn record_sessions() -> Value {
    let one = json!({"$ref": "#/components/schemas/SessionToRecord"});
    let example = json!([{
        "externalId": "call-1001", "status": "completed", "channel": "video",
        "createdAt": "2026-10-01T10:00:00Z", "startedAt": "2026-10-01T10:00:05Z", "endedAt": "2026-10-01T10:05:05Z",
        "durationSeconds": 300
    }]);
    let idempotency = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"});
    json!({
        "operationId": "recordSessions", "tags": ["Sessions"], "summary": "Records sessions, one or up to 1000",
        "parameters": [
            parameter("query", "partial", "Store the valid sessions even if others are wrong.", &json!({"type": "boolean"})),
            parameter("header", "Idempotency-Key", "Carried out once for 24 hours.", &idempotency)
        ],
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": {"anyOf": [one, {"type": "array", "maxItems": 1000, "items": one}]}, "example": example},
            "application/x-ndjson": {"schema": {"type": "string"}}
        }},
        "responses": {
            "200": json_response("The outcome for each session.", "Recorded"),
            "409": {"$ref": "#/components/responses/409"}, "422": {"$ref": "#/components/responses/422"}
        }
    })
}
