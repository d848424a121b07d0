//! The OpenAPI 3.1 document, built from the table of endpoints.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web::Data};
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    schemas::schemas,
};
use crate::{api_keys::EndpointAccess, error::AppError};

pub(super) const DOCUMENT_ENDPOINTS: [Endpoint; 1] = [Endpoint {
    method: HttpMethod::Get,
    path: "/openapi.json",
    handler: EndpointHandler::Public(|route| route.to(show)),
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

/// The document as JSON text, built once at start.
pub struct OpenApiDocument(String);

impl OpenApiDocument {
    /// `origin` is the public URL of the installation without a path.
    #[must_use]
    pub fn new(endpoints: &[Endpoint], origin: &str) -> Self {
        let mut paths = Map::new();
        for endpoint in endpoints {
            let path = paths.entry(format!("/api{}", endpoint.path)).or_insert_with(|| json!({}));
            path[endpoint.method.as_str().to_ascii_lowercase()] = complete_operation(endpoint);
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
                "responses": problem_responses(),
                "headers": response_headers(),
            }
        });
        Self(document.to_string())
    }
}

async fn show(document: Data<OpenApiDocument>) -> Result<HttpResponse, AppError> {
    Ok(HttpResponse::Ok().content_type("application/json").body(document.0.clone()))
}

/// The operation of an endpoint with the parts that follow from its access rule, path and body: security, rate limit
/// headers and error responses.
fn complete_operation(endpoint: &Endpoint) -> Value {
    let mut operation = (endpoint.operation)();
    let mut codes: BTreeSet<u16> = BTreeSet::from([500, 503]);
    if endpoint.access().is_some() {
        codes.extend([400, 401, 429]);
        let has_form_body = operation["requestBody"]["content"]["multipart/form-data"].is_object();
        let bearer = json!({"key": []});
        // The key may be a form field instead, so the header is optional.
        operation["security"] = if has_form_body { json!([bearer, {}]) } else { json!([bearer]) };
        let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        // OpenAPI ignores fields beside `$ref`.
        for response in responses.filter(|response| response.get("$ref").is_none()) {
            for name in ["RateLimit", "RateLimit-Policy"] {
                response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
            }
        }
    }
    if matches!(endpoint.access(), Some(EndpointAccess::Scope(_) | EndpointAccess::AnyKey)) {
        codes.insert(403);
    }
    if let Some(scope) = endpoint.access().and_then(EndpointAccess::scope) {
        operation["description"] = json!(format!("Needs a key with the scope `{}`.", scope.as_str()));
    }
    if endpoint.path.contains('{') {
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

/// One reusable response per error status, named by the status: `#/components/responses/404`.
fn problem_responses() -> Value {
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
    let mut responses = Map::new();
    for (status, description) in problems {
        let mut response = json!({
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        });
        if matches!(status, 429 | 503) {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}});
        }
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

fn response_headers() -> Value {
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

/// A parameter. `location` is `path`, `query` or `header`; only path parameters are required.
pub(super) fn parameter(location: &str, name: &str, description: &str, schema: &Value) -> Value {
    json!({"in": location, "name": name, "required": location == "path", "description": description, "schema": schema})
}

/// A response whose JSON body has the named schema.
pub(super) fn json_response(description: &str, schema: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

/// A required request body in JSON with the named schema.
pub(super) fn json_body(schema: &str, example: &Value) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
    json!({"required": true, "content": {"application/json": {"schema": schema, "example": example}}})
}

/// A request body of fields, in each of the three encodings that are accepted.
pub(super) fn form_body(schema: &Value) -> Value {
    let content = json!({"schema": schema});
    json!({"content": {
        "multipart/form-data": content,
        "application/x-www-form-urlencoded": content,
        "application/json": content,
    }})
}
