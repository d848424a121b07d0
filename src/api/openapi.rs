//! The OpenAPI 3.1 document, built from the table of endpoints.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web::Data};
use serde_json::{Map, Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    schemas::{integer, reference, schemas},
};
use crate::{
    api_keys::{EndpointAccess, KeylessUrl},
    error::AppError,
};

pub(super) const DOCUMENT_ENDPOINTS: [Endpoint; 1] = [Endpoint {
    method: HttpMethod::Get,
    path: "/openapi.json",
    handler: EndpointHandler::Public(|route| route.to(show)),
    operation: || {
        json!({
            "operationId": "getDocument", "tags": ["Documentation"],
            "summary": "Get the OpenAPI document",
            "description": "Returns this document. Needs no key.",
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
                "description": format!(
                    "Read and record the sessions of a client, and manage its API keys. Documentation: {origin}/docs."
                ),
                "contact": {"name": "Questions", "url": format!("{origin}/docs#question")},
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"}
            },
            "servers": [{"url": origin}],
            "externalDocs": {"description": "The documentation for people.", "url": format!("{origin}/docs")},
            "tags": [
                {"name": "Documentation", "description": "This description of the API."},
                {"name": "Keys", "description": "The API keys of the client."},
                {"name": "Sessions", "description": "The recorded sessions of the client."}
            ],
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

async fn show(_url: KeylessUrl, document: Data<OpenApiDocument>) -> Result<HttpResponse, AppError> {
    Ok(HttpResponse::Ok().content_type("application/json").body(document.0.clone()))
}

/// The operation of an endpoint with the parts that follow from its access rule, path and body: security, rate limit
/// headers and error responses.
fn complete_operation(endpoint: &Endpoint) -> Value {
    let mut operation = (endpoint.operation)();
    let mut codes: BTreeSet<u16> = BTreeSet::from([400, 500, 503]);
    operation["security"] = security(endpoint, &operation);
    if endpoint.access().is_some() {
        codes.extend([401, 429]);
        add_rate_limit_headers(&mut operation);
    }
    if matches!(endpoint.access(), Some(EndpointAccess::Scope(_) | EndpointAccess::AnyKey)) {
        codes.insert(403);
    }
    if let Some(scope) = endpoint.access().and_then(EndpointAccess::scope) {
        let description = operation["description"].as_str().unwrap_or_default();
        operation["description"] =
            json!(format!("{description} Needs a key with the scope `{}`.", scope.as_str()));
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

/// An empty list says that no key is needed; without it, linters miss a statement.
fn security(endpoint: &Endpoint, operation: &Value) -> Value {
    if endpoint.access().is_none() {
        return json!([]);
    }
    let bearer = json!({"key": []});
    // The key may be a form field instead, so the header is optional.
    let has_form_body = operation["requestBody"]["content"]["multipart/form-data"].is_object();
    if has_form_body { json!([bearer, {}]) } else { json!([bearer]) }
}

fn add_rate_limit_headers(operation: &mut Value) {
    let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
    // OpenAPI ignores fields beside `$ref`.
    for response in responses.filter(|response| response.get("$ref").is_none()) {
        for name in ["RateLimit", "RateLimit-Policy"] {
            response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
    }
}

/// One reusable response per error status, named by the status: `#/components/responses/404`.
fn problem_responses() -> Value {
    let problems = [
        (400, "A field is invalid, or the request cannot be read."),
        (401, "The key is missing, malformed, unknown, expired or deleted."),
        (403, "The key lacks the scope, or the call came from outside its allowed networks."),
        (404, "The client has nothing at this address."),
        (408, "The body did not arrive in time."),
        (409, "The current state does not allow this."),
        (413, "The body is too large."),
        (415, "The body has an unsupported type, or is compressed."),
        (422, "Items are invalid, or the Idempotency-Key was used for another request."),
        (429, "The key or the address reached its rate limit."),
        (500, "An internal error."),
        (503, "Uptok is overloaded, or the database is unreachable."),
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
        "Retry-After": {"description": "Seconds to wait.", "schema": integer(Some(1), None)},
        "RateLimit-Policy": {
            "description": "The limit of the key: requests (q) and seconds (w). Absent: no limit.",
            "schema": {"type": "string"}, "example": "\"key\";q=600;w=60"
        },
        "RateLimit": {
            "description": "Requests left (r), and seconds until all are back (t).",
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
    json!({"description": description, "content": {"application/json": {"schema": reference(schema)}}})
}

/// A response with a file of this media type.
pub(super) fn file_response(description: &str, media_type: &str) -> Value {
    json!({
        "description": description,
        "headers": {"Content-Disposition": {
            "description": "The name of the file.", "schema": {"type": "string"}
        }},
        "content": {media_type: {"schema": {"type": "string"}}}
    })
}

/// A required request body in JSON with the named schema.
pub(super) fn json_body(schema: &str, example: &Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": reference(schema), "example": example}}})
}

/// A form with the named schema. Generators want one media type, so the other two that the server accepts are only in
/// the documentation for people.
pub(super) fn form_body(schema: &str) -> Value {
    json!({"required": false, "content": {"multipart/form-data": {"schema": reference(schema)}}})
}
