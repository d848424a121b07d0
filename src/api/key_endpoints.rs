//! The endpoints below `/api/keys`.

use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    openapi::{form_body, json_body, json_response, parameter},
    schemas::NO_CONTROL_CHARACTERS,
};
use crate::api_keys::{EndpointAccess, KeyRoute, Scope, key_handlers};

const MANAGE_KEYS: EndpointAccess = EndpointAccess::Scope(Scope::KeysManage);

/// Paths without a parameter come first, because `{publicKey}` would match them too.
pub(super) const KEY_ENDPOINTS: [Endpoint; 8] = [
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys/current",
        handler: EndpointHandler::Key(EndpointAccess::AnyKey, |route| {
            KeyRoute::new(route, key_handlers::current)
        }),
        operation: || operation("getCurrentKey", "The calling key", "200", "Key", "The key."),
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys/revoke",
        handler: EndpointHandler::Key(EndpointAccess::RevokeOnly, |route| {
            KeyRoute::new(route, key_handlers::revoke)
        }),
        operation: revoke_key,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::index)),
        operation: list_keys,
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::create)),
        operation: create_key,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys/{publicKey}",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::show)),
        operation: || with_public_key(operation("getKey", "One key", "200", "Key", "The key.")),
    },
    Endpoint {
        method: HttpMethod::Patch,
        path: "/keys/{publicKey}",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::change)),
        operation: change_key,
    },
    Endpoint {
        method: HttpMethod::Delete,
        path: "/keys/{publicKey}",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::delete)),
        operation: delete_key,
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys/{publicKey}/replacement",
        handler: EndpointHandler::Key(MANAGE_KEYS, |route| KeyRoute::new(route, key_handlers::replace)),
        operation: replace_key,
    },
];

fn operation(id: &str, summary: &str, status: &str, schema: &str, description: &str) -> Value {
    json!({
        "operationId": id, "tags": ["Keys"], "summary": summary,
        "responses": {status: json_response(description, schema)}
    })
}

fn with_public_key(mut operation: Value) -> Value {
    let schema = json!({"type": "string", "examples": ["uptok_AAAAAAAAAAAA"]});
    operation["parameters"] = json!([parameter("path", "publicKey", "The public key.", &schema)]);
    operation
}

/// Adds what a created key adds to a response: its `Location`, and 409 if it cannot be created.
fn with_created_key(mut operation: Value) -> Value {
    operation["responses"]["201"]["headers"]["Location"] =
        json!({"description": "The address of the key.", "schema": {"type": "string"}});
    operation["responses"]["409"] = json!({"$ref": "#/components/responses/409"});
    operation
}

fn revoke_key() -> Value {
    json!({
        "operationId": "revokeKey", "tags": ["Keys"],
        "summary": "Revokes the presented key",
        "requestBody": form_body(&json!({
            "type": "object", "properties": {"clientKey": {"type": "string", "description": "The whole key, unless it is in the header."}}
        })),
        "responses": {"204": {"description": "The key no longer works."}}
    })
}

fn list_keys() -> Value {
    let mut list = operation("listKeys", "The keys of the client", "200", "KeyPage", "A page of keys.");
    let number = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
    list["parameters"] = json!([
        parameter("query", "page", "From 1.", &number),
        parameter("query", "perPage", "1 to 100; higher values count as 100.", &number),
        parameter(
            "query",
            "q",
            "Part of the name, of the public key, or of the name or e-mail of the creator.",
            &json!({"type": "string", "pattern": NO_CONTROL_CHARACTERS})
        ),
        parameter(
            "query",
            "status",
            "Only keys with this status.",
            &json!({"enum": ["active", "expiring", "replaced", "expired"]})
        ),
        parameter(
            "query",
            "sort",
            "The order; by default the newest first.",
            &json!({"enum": ["newest", "oldest", "name", "expiry"]})
        ),
    ]);
    list
}

fn create_key() -> Value {
    let mut create = with_created_key(operation(
        "createKey",
        "Creates a key, with no more rights than the calling key",
        "201",
        "MadeKey",
        "The key; the whole key is returned only here.",
    ));
    create["requestBody"] = json_body(
        "NewKey",
        &json!({
            "name": "Warehouse import", "scopes": ["sessions:read"], "expires": 30, "requestsPerMinute": 60,
            "allowedNetworks": ["203.0.113.0/24"]
        }),
    );
    create
}

fn change_key() -> Value {
    let mut change = with_public_key(operation(
        "changeKey",
        "Changes the rights of a key; what is absent stays",
        "200",
        "Key",
        "The key as it is now.",
    ));
    change["requestBody"] = json_body("KeyChange", &json!({"requestsPerMinute": 60}));
    change["responses"]["409"] = json!({"$ref": "#/components/responses/409"});
    change
}

fn delete_key() -> Value {
    with_public_key(json!({
        "operationId": "deleteKey", "tags": ["Keys"], "summary": "Deletes a key",
        "responses": {"204": {"description": "The key no longer works."}}
    }))
}

fn replace_key() -> Value {
    let mut replace = with_public_key(with_created_key(operation(
        "replaceKey",
        "Creates a key that replaces this one",
        "201",
        "MadeKey",
        "The new key; the whole key is returned only here.",
    )));
    replace["requestBody"] = json_body("Replacement", &json!({"graceSeconds": 3600}));
    replace["requestBody"]["required"] = json!(false);
    replace
}
