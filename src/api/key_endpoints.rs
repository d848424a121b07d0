//! The endpoints below `/api/keys`.

use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, EndpointHandler, HttpMethod},
    openapi::{form_body, json_body, json_response, parameter},
    schemas::{integer, reference},
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
        operation: || {
            let about = "Returns the key that makes the call. Any key may do this.";
            operation("getCurrentKey", ("Get the calling key", about), "200", "Key")
        },
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
        operation: || {
            with_public_key(operation("getKey", ("Get a key", "Returns a key of the client."), "200", "Key"))
        },
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

/// `about` is the summary and the description; `schema` is that of the response.
fn operation(id: &str, about: (&str, &str), status: &str, schema: &str) -> Value {
    let (summary, description) = about;
    json!({
        "operationId": id, "tags": ["Keys"], "summary": summary, "description": description,
        "responses": {status: json_response("The key.", schema)}
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
        "operationId": "revokeKey", "tags": ["Keys"], "summary": "Revoke a leaked key",
        "description": "Ends the key in the field, whatever key the caller uses; without the field, the calling key. \
            Anyone who has the whole key may do this, from any network.",
        "requestBody": form_body("RevokeForm"),
        "responses": {"204": {"description": "The key no longer works."}}
    })
}

fn list_keys() -> Value {
    let about = ("List keys", "Returns a page of the keys of the client.");
    let mut list = operation("listKeys", about, "200", "KeyPage");
    list["responses"]["200"]["description"] = json!("A page of keys.");
    let number = integer(Some(1), Some(u32::MAX.into()));
    let sort = json!({"type": "string", "enum": ["newest", "oldest", "name", "expiry"]});
    list["parameters"] = json!([
        parameter("query", "page", "From 1.", &number),
        parameter("query", "perPage", "1 to 100; higher values count as 100.", &number),
        parameter(
            "query",
            "q",
            "Part of the name, of the public key, or of the name or email of the creator.",
            &json!({"type": "string"})
        ),
        parameter("query", "status", "Only keys with this status.", &reference("KeyStatus")),
        parameter("query", "sort", "The order; by default the newest first.", &sort),
    ]);
    list
}

fn create_key() -> Value {
    let about = (
        "Create a key",
        "Creates a key with no more rights than the calling key. Returns it whole, only here.",
    );
    let mut create = with_created_key(operation("createKey", about, "201", "CreatedKey"));
    create["requestBody"] = json_body(
        "CreateKeyRequest",
        &json!({
            "name": "Warehouse import", "scopes": ["sessions:read"], "expires": "30", "requestsPerMinute": 60,
            "allowedNetworks": ["203.0.113.0/24"]
        }),
    );
    create
}

fn change_key() -> Value {
    let about = ("Change a key", "Changes the rights of a key from its next request on.");
    let mut change = with_public_key(operation("changeKey", about, "200", "Key"));
    change["requestBody"] = json_body("ChangeKeyRequest", &json!({"requestsPerMinute": 60}));
    change["responses"]["409"] = json!({"$ref": "#/components/responses/409"});
    change
}

fn delete_key() -> Value {
    with_public_key(json!({
        "operationId": "deleteKey", "tags": ["Keys"], "summary": "Delete a key",
        "description": "Deletes a key of the client at once.",
        "responses": {"204": {"description": "The key no longer works."}}
    }))
}

fn replace_key() -> Value {
    let about = (
        "Replace a key",
        "Creates a key with the same rights that replaces this one. Returns it whole, only here.",
    );
    let mut replace = with_public_key(with_created_key(operation("replaceKey", about, "201", "CreatedKey")));
    replace["requestBody"] = json_body("ReplaceKeyRequest", &json!({"graceSeconds": 3600}));
    replace["requestBody"]["required"] = json!(false);
    replace
}
