//! The OpenAPI 3.1 document, made of the table of calls.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web::Data};
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Endpoint, HttpMethod},
    schemas::schemas,
};
use crate::{api_keys::Access, error::AppError};

/// The calls of this room.
pub(super) const DOCUMENT_ENDPOINTS: [Endpoint; 1] = [Endpoint {
    method: HttpMethod::Get,
    path: "/openapi.json",
    access: Access::Nobody,
    handler: |route| route.to(show),
    operation: || {
        json!({
            "operationId": "getDocument", "tags": ["Documentation"], "summary": "This document",
            "responses": {"200": {
                "description": "The OpenAPI document.",
                "content": {"application/json": {"schema": {"type": "object"}}}
            }}
        })
    },
}];

/// The document as text, made once.
pub struct OpenApiDocument(String);

impl OpenApiDocument {
    /// The document of these calls, for an installation at `origin`.
    #[must_use]
    pub fn new(calls: &[Endpoint], origin: &str) -> Self {
        let mut paths = Map::new();
        for call in calls {
            let path = paths.entry(format!("/api{}", call.path)).or_insert_with(|| json!({}));
            path[call.method.as_str().to_ascii_lowercase()] = operation(call);
        }
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Uptok",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "Reads and records the sessions of a client, and manages its API keys. The reading text is at /docs.",
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
            },
            "servers": [{"url": origin}],
            "externalDocs": {"url": format!("{origin}/docs")},
            "paths": paths,
            "components": {
                "schemas": schemas(),
                "securitySchemes": {"key": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "uptok_<public 12>_<secret 32><checksum 6>",
                    "description": "An API key of the client."
                }},
                "responses": problems(),
                "headers": headers(),
            }
        });
        Self(document.to_string())
    }
}

async fn show(document: Data<OpenApiDocument>) -> Result<HttpResponse, AppError> {
    Ok(HttpResponse::Ok().content_type("application/json").body(document.0.clone()))
}

/// What the document says of a call: what its room says, and what follows from who may make it.
fn operation(call: &Endpoint) -> Value {
    let mut operation = (call.operation)();
    let mut codes: BTreeSet<u16> = BTreeSet::from([500, 503]);
    if call.access != Access::Nobody {
        codes.extend([400, 401, 429]);
        let takes_field = operation["requestBody"]["content"]["multipart/form-data"].is_object();
        let bearer = json!({"key": []});
        // The key may be a field of the body instead.
        operation["security"] = if takes_field { json!([bearer, {}]) } else { json!([bearer]) };
        let answers = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        // Nothing stands beside a reference.
        for answer in answers.filter(|answer| answer.get("$ref").is_none()) {
            for name in ["RateLimit", "RateLimit-Policy"] {
                answer["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
            }
        }
    }
    if matches!(call.access, Access::Scope(_) | Access::AnyKey) {
        codes.insert(403);
    }
    if let Some(scope) = call.access.scope() {
        operation["description"] = json!(format!("Needs a key with the scope `{}`.", scope.as_str()));
    }
    if call.path.contains('{') {
        codes.insert(404);
    }
    if operation["requestBody"].is_object() {
        codes.extend([408, 413, 415]);
    }
    for code in codes {
        operation["responses"][code.to_string()] = json!({"$ref": format!("#/components/responses/{code}")});
    }
    operation
}

/// Every status of a failure, as it is referred to.
fn problems() -> Value {
    let problems = [
        (400, "A field is wrong, or the request cannot be read."),
        (401, "The key is missing, malformed, unknown, expired or deleted."),
        (403, "The key is good, but lacks the scope or is used from elsewhere than its networks."),
        (404, "The client has nothing at this address."),
        (408, "The body did not arrive in time."),
        (409, "What is there now does not let this happen."),
        (413, "The body is too large."),
        (415, "The body is of another type, or compressed."),
        (422, "Items are wrong, or the Idempotency-Key came with another request."),
        (429, "The key or the address has used up its limit."),
        (500, "Our fault."),
        (503, "Too much at once, or the database is away."),
    ];
    let mut answers = Map::new();
    for (status, description) in problems {
        let mut answer = json!({
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        });
        if matches!(status, 429 | 503) {
            answer["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}});
        }
        answers.insert(status.to_string(), answer);
    }
    answers.into()
}

fn headers() -> Value {
    json!({
        "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
        "RateLimit-Policy": {
            "description": "The limit of the key: requests (q) and seconds (w). Absent: no limit.",
            "schema": {"type": "string"}, "example": "\"key\";q=600;w=60"
        },
        "RateLimit": {
            "description": "What is left of it (r), and in how many seconds all of it is back (t).",
            "schema": {"type": "string"}, "example": "\"key\";r=599;t=1"
        }
    })
}

/// A parameter of an address, `in` the path or the query.
#[must_use]
pub(super) fn parameter(place: &str, name: &str, description: &str, schema: &Value) -> Value {
    json!({"in": place, "name": name, "required": place == "path", "description": description, "schema": schema})
}

/// An answer in JSON that is one of the schemas.
#[must_use]
pub(super) fn item(description: &str, schema: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// A body in JSON.
#[must_use]
pub(super) fn json_body(schema: &str, example: &Value) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({"required": true, "content": {"application/json": {"schema": schema, "example": example}}})
}

/// A body of fields, in each of the three ways that they are read.
#[must_use]
pub(super) fn fields(schema: &Value) -> Value {
    let content = json!({"schema": schema});
    json!({"content": {
        "multipart/form-data": content,
        "application/x-www-form-urlencoded": content,
        "application/json": content,
    }})
}
