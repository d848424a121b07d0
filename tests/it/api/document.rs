//! What code generators need from the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::TestApp;

async fn load_document() -> Value {
    TestApp::start().await.visitor().get("/api/openapi.json").await.json()
}

/// Calls `visit` with every object of the document, including those in lists.
fn visit_objects<'a>(value: &'a Value, visit: &mut impl FnMut(&'a serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|field| visit_objects(field, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| visit_objects(item, visit)),
        _ => {}
    }
}

/// The operations by their ids.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap().values();
    paths
        .flat_map(|path| path.as_object().unwrap().values())
        .map(|operation| (operation["operationId"].as_str().unwrap(), operation))
        .collect()
}

#[actix_web::test]
async fn every_schema_has_one_type_and_integers_have_64_bits() {
    let document = load_document().await;
    let mut integers = 0;
    visit_objects(&document, &mut |schema| {
        for keyword in ["anyOf", "oneOf", "allOf"] {
            assert!(!schema.contains_key(keyword), "{schema:?}");
        }
        if schema.get("enum").is_some_and(Value::is_array) {
            assert_eq!(schema["type"], "string", "{schema:?}");
        }
        let is_integer = |it: &Value| it == "integer" || it == &json!(["integer", "null"]);
        if schema.get("type").is_some_and(is_integer) {
            assert_eq!(schema.get("format"), Some(&json!("int64")), "{schema:?}");
            integers += 1;
        }
    });
    assert!(integers > 20, "{integers}");
}

#[actix_web::test]
async fn networks_are_plain_texts_and_choices_are_shared() {
    let document = load_document().await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});

    for schema in ["Key", "CreatedKey", "CreateKeyRequest", "ChangeKeyRequest"] {
        let properties = &schemas[schema]["properties"];
        assert_eq!(properties["allowedNetworks"]["items"], json!({"type": "string"}));
        assert!(properties["allowedNetworks"]["description"].as_str().unwrap().contains("203.0.113.0/24"));
        assert_eq!(properties["scopes"]["items"], reference("Scope"));
    }
    for schema in ["Session", "SessionToRecord"] {
        assert_eq!(schemas[schema]["properties"]["status"], reference("SessionStatus"));
        assert_eq!(schemas[schema]["properties"]["channel"], reference("Channel"));
    }
    // A reference in a form does not compile with openapi-generator for Rust.
    assert!(!schemas["ExportForm"].to_string().contains("$ref"));
    let results = &schemas["RecordSessionsResult"]["properties"]["results"]["items"];
    assert_eq!(*results, reference("RecordedSession"));
    assert_eq!(schemas["RecordedSession"]["properties"]["errors"]["items"], reference("FieldError"));
}

/// Go generators write `NewKey` to create a `Key`, so a schema of that name collides.
#[actix_web::test]
async fn no_schema_is_named_like_a_constructor_of_another() {
    let document = load_document().await;
    let names: BTreeSet<&str> =
        document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
    for name in &names {
        for prefix in ["New", "Nullable", "Api"] {
            let constructed = name.strip_prefix(prefix).unwrap_or_default();
            assert!(!names.contains(constructed), "{name}");
        }
    }
}

#[actix_web::test]
async fn forms_have_one_media_type_and_no_defaults() {
    let document = load_document().await;
    for (id, schema) in [("exportSessions", "ExportForm"), ("revokeKey", "RevokeForm")] {
        let operations = operations(&document);
        let (_, operation) = operations.iter().find(|(it, _)| *it == id).unwrap();
        let form = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
        assert_eq!(operation["requestBody"]["content"], json!({"multipart/form-data": form}));
        assert!(!document["components"]["schemas"][schema].to_string().contains("\"default\""));
    }
}

#[actix_web::test]
async fn downloads_are_operations_of_their_own_and_format_is_not_documented() {
    let document = load_document().await;
    let media_types = |operation: &Value| -> Vec<String> {
        let content = operation["responses"]["200"]["content"].as_object();
        content.map(|types| types.keys().cloned().collect()).unwrap_or_default()
    };
    for (id, operation) in operations(&document) {
        let expected = match id {
            "downloadSessionsCsv" => vec!["text/csv".to_owned()],
            "downloadSessionsNdjson" => vec!["application/x-ndjson".to_owned()],
            _ if operation["responses"].get("200").is_none() => Vec::new(),
            _ => vec!["application/json".to_owned()],
        };
        assert_eq!(media_types(operation), expected, "{id}");
        let names: Vec<&Value> =
            operation["parameters"].as_array().into_iter().flatten().map(|it| &it["name"]).collect();
        assert!(!names.contains(&&json!("format")), "{id}");
    }
    assert!(document["components"]["schemas"]["ExportForm"]["properties"].get("format").is_none());
}

#[actix_web::test]
async fn every_operation_has_a_tag_a_summary_a_description_and_its_security() {
    let document = load_document().await;
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut summaries = BTreeSet::new();
    for (id, operation) in operations(&document) {
        assert!(tags.contains(&&operation["tags"][0]), "{id}");
        assert!(operation["description"].as_str().is_some_and(|it| it.ends_with('.')), "{id}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.contains("same") && !summary.contains("This") && summaries.insert(summary), "{id}");
        let expected = match id {
            "getDocument" => json!([]),
            "exportSessions" | "revokeKey" => json!([{"key": []}, {}]),
            _ => json!([{"key": []}]),
        };
        assert_eq!(operation["security"], expected, "{id}");
    }
}

#[actix_web::test]
async fn a_key_in_the_address_of_the_document_is_refused_too() {
    let app = TestApp::start().await;
    let reply = app.visitor().get("/api/openapi.json?clientKey=uptok_x").await;
    reply.assert_problem(400, "invalid_field");
}
