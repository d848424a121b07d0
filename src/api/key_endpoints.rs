//! The endpoints below `/api/keys`.

use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, HttpMethod},
    openapi::{fields, item, json_body, parameter},
    schemas::NO_CONTROL_CHARACTERS,
};
use crate::api_keys::{Access, Scope, key_handlers};

const MANAGES: Access = Access::Scope(Scope::KeysManage);

/// What programs may do with keys. The addresses that name no key come first.
pub(super) const KEY_ENDPOINTS: [Endpoint; 8] = [
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys/current",
        access: Access::AnyKey,
        handler: |route| route.to(key_handlers::current),
        operation: || operation("getCurrentKey", "What the key itself may do", "200", "Key", "The key."),
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys/revoke",
        access: Access::Possession,
        handler: |route| route.to(key_handlers::revoke),
        operation: revoke,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys",
        access: MANAGES,
        handler: |route| route.to(key_handlers::index),
        operation: list,
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys",
        access: MANAGES,
        handler: |route| route.to(key_handlers::create),
        operation: create,
    },
    Endpoint {
        method: HttpMethod::Get,
        path: "/keys/{publicKey}",
        access: MANAGES,
        handler: |route| route.to(key_handlers::show),
        operation: || of_key(operation("getKey", "One key", "200", "Key", "The key.")),
    },
    Endpoint {
        method: HttpMethod::Patch,
        path: "/keys/{publicKey}",
        access: MANAGES,
        handler: |route| route.to(key_handlers::change),
        operation: change,
    },
    Endpoint {
        method: HttpMethod::Delete,
        path: "/keys/{publicKey}",
        access: MANAGES,
        handler: |route| route.to(key_handlers::delete),
        operation: delete,
    },
    Endpoint {
        method: HttpMethod::Post,
        path: "/keys/{publicKey}/replacement",
        access: MANAGES,
        handler: |route| route.to(key_handlers::replace),
        operation: replace,
    },
];

fn operation(id: &str, summary: &str, status: &str, schema: &str, description: &str) -> Value {
    json!({
        "operationId": id, "tags": ["Keys"], "summary": summary,
        "responses": {status: item(description, schema)}
    })
}

/// The operation, of one key.
fn of_key(mut operation: Value) -> Value {
    let schema = json!({"type": "string", "examples": ["uptok_AAAAAAAAAAAA"]});
    operation["parameters"] = json!([parameter("path", "publicKey", "The public key.", &schema)]);
    operation
}

/// The operation, which makes a key.
fn makes(mut operation: Value) -> Value {
    operation["responses"]["201"]["headers"]["Location"] =
        json!({"description": "The address of the key.", "schema": {"type": "string"}});
    operation["responses"]["409"] = json!({"$ref": "#/components/responses/409"});
    operation
}

fn revoke() -> Value {
    json!({
        "operationId": "revokeKey", "tags": ["Keys"],
        "summary": "Ends the key that is presented, whoever presents it",
        "requestBody": fields(&json!({
            "type": "object", "properties": {"clientKey": {"type": "string", "description": "The whole key, unless it is in the header."}}
        })),
        "responses": {"204": {"description": "The key is dead."}}
    })
}

fn list() -> Value {
    let mut list = operation("listKeys", "The keys of the client", "200", "KeyPage", "A page of keys.");
    let number = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
    list["parameters"] = json!([
        parameter("query", "page", "From 1.", &number),
        parameter("query", "perPage", "1 to 100; more is taken as 100.", &number),
        parameter(
            "query",
            "q",
            "Part of the name or of the public key.",
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
            "The order; the newest first unless it is said.",
            &json!({"enum": ["newest", "oldest", "name", "expiry"]})
        ),
    ]);
    list
}

fn create() -> Value {
    let mut create = makes(operation(
        "createKey",
        "Makes a key, with no more than the key itself has",
        "201",
        "MadeKey",
        "The key, whole this once.",
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

fn change() -> Value {
    let mut change = of_key(operation(
        "changeKey",
        "Gives a key other rights; what is absent stays",
        "200",
        "Key",
        "The key as it is now.",
    ));
    change["requestBody"] = json_body("KeyChange", &json!({"requestsPerMinute": 60}));
    change["responses"]["409"] = json!({"$ref": "#/components/responses/409"});
    change
}

fn delete() -> Value {
    of_key(json!({
        "operationId": "deleteKey", "tags": ["Keys"], "summary": "Deletes a key",
        "responses": {"204": {"description": "The key is dead."}}
    }))
}

fn replace() -> Value {
    let mut replace = of_key(makes(operation(
        "replaceKey",
        "Makes a key that takes the place of this one",
        "201",
        "MadeKey",
        "The new key, whole this once.",
    )));
    replace["requestBody"] = json_body("Replacement", &json!({"graceSeconds": 3600}));
    replace["requestBody"]["required"] = json!(false);
    replace
}
