//! The endpoints below `/api/sessions`.

use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    openapi::{file_response, form_body, json_response, parameter},
    schemas::{RequestField, filter_fields, page_fields, reference},
};
use crate::{
    api_keys::{EndpointAccess, KeyRoute, Scope},
    sessions::{BATCH_MAX, export_handlers, recording_handlers},
};

const READ_SESSIONS: EndpointAccess = EndpointAccess::Scope(Scope::SessionsRead);

pub(super) const SESSION_ENDPOINTS: [Endpoint; 6] = [
    Endpoint {
        method: HttpMethod::Post,
        path: "/sessions/export-csv-data",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| KeyRoute::new(route, export_handlers::export)),
        operation: export_sessions,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/sessions.csv",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| {
            KeyRoute::new(route, export_handlers::download_csv)
        }),
        operation: download_csv,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/sessions.ndjson",
        handler: EndpointHandler::Key(READ_SESSIONS, |route| {
            KeyRoute::new(route, export_handlers::download_ndjson)
        }),
        operation: download_ndjson,
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

fn query_parameters(fields: Vec<RequestField>) -> Vec<Value> {
    let parameters = fields.into_iter();
    parameters.map(|(name, description, schema)| parameter("query", name, &description, &schema)).collect()
}

fn export_sessions() -> Value {
    json!({
        "operationId": "exportSessions", "tags": ["Sessions"],
        "summary": "List sessions with a form",
        "description": "Returns a page of sessions, like `GET /api/sessions`. The key may be a field of the form.",
        "requestBody": form_body("ExportForm"),
        "responses": {"200": json_response("A page of sessions.", "SessionPage")}
    })
}

fn download_csv() -> Value {
    json!({
        "operationId": "downloadSessionsCsv", "tags": ["Sessions"],
        "summary": "Download sessions as CSV",
        "description": "Streams all sessions that match, with a header line (RFC 4180). A file that breaks off is incomplete.",
        "parameters": query_parameters(filter_fields()),
        "responses": {"200": file_response("One line per session.", "text/csv")}
    })
}

fn download_ndjson() -> Value {
    json!({
        "operationId": "downloadSessionsNdjson", "tags": ["Sessions"],
        "summary": "Download sessions as NDJSON",
        "description": "Streams all sessions that match, each as a `Session` in JSON. A file that breaks off is incomplete.",
        "parameters": query_parameters(filter_fields()),
        "responses": {"200": file_response("One JSON object per line.", "application/x-ndjson")}
    })
}

fn list_sessions() -> Value {
    let mut parameters = query_parameters(page_fields());
    parameters.push(if_none_match());
    let mut page = json_response("A page of sessions.", "SessionPage");
    page["headers"] = json!({
        "ETag": etag(),
        "Link": {
            "description": "The first, previous, next and last page (RFC 8288).", "schema": {"type": "string"}
        }
    });
    json!({
        "operationId": "listSessions", "tags": ["Sessions"], "summary": "List sessions",
        "description": "Returns a page of sessions. To read everything, send each `nextCursor` as the next `cursor`.",
        "parameters": parameters,
        "responses": {"200": page, "304": {"description": "The caller's version is current."}}
    })
}

fn etag() -> Value {
    json!({"description": "Send it as If-None-Match next time.", "schema": {"type": "string"}})
}

fn if_none_match() -> Value {
    parameter("header", "If-None-Match", "The ETag of an earlier answer.", &json!({"type": "string"}))
}

fn show_session() -> Value {
    let mut session = json_response("The session.", "Session");
    session["headers"] = json!({"ETag": etag()});
    json!({
        "operationId": "getSession", "tags": ["Sessions"], "summary": "Get a session",
        "description": "Returns one session.",
        "parameters": [
            parameter("path", "sessionId", "The session’s ID in Uptok.", &json!({"type": "string", "format": "uuid"})),
            if_none_match()
        ],
        "responses": {"200": session, "304": {"description": "The caller's version is current."}}
    })
}

/// The server also accepts one object and NDJSON, which generators cannot express beside an array.
fn record_sessions() -> Value {
    let sessions = json!({"type": "array", "maxItems": BATCH_MAX, "items": reference("SessionToRecord")});
    let example = json!([{
        "externalId": "call-1001", "status": "completed", "channel": "video",
        "createdAt": "2026-10-01T10:00:00Z", "startedAt": "2026-10-01T10:00:05Z", "endedAt": "2026-10-01T10:05:05Z",
        "durationSeconds": 300
    }]);
    let idempotency = json!({"type": "string", "minLength": 1, "maxLength": 255});
    json!({
        "operationId": "recordSessions", "tags": ["Sessions"], "summary": "Record sessions",
        "description": "Stores new sessions and replaces those that are known by their `externalId` or `sessionId`.",
        "parameters": [
            parameter(
                "query", "partial", "Store the valid sessions even if others are wrong.", &json!({"type": "boolean"})
            ),
            parameter(
                "header", "Idempotency-Key", "Printable ASCII. The request is carried out once in 24 hours.", &idempotency
            )
        ],
        "requestBody": {
            "required": true, "content": {"application/json": {"schema": sessions, "example": example}}
        },
        "responses": {
            "200": json_response("The outcome for each session.", "RecordSessionsResult"),
            "409": {"$ref": "#/components/responses/409"}, "422": {"$ref": "#/components/responses/422"}
        }
    })
}
