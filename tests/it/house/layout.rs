//! The direction inside a room, and the walls between rooms, read from the source.

use std::{fs, path::PathBuf};

const ROOMS: [&str; 9] =
    ["accounts", "api", "api_keys", "audit", "sessions", "guide", "questions", "usage", "imports"];

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(path.to_str().unwrap()));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Files that speak to the database, and so know no HTTP.
const STORES: &[&str] = &[
    "store.rs",
    "changes.rs",
    "expiry.rs",
    "figures.rs",
    "list.rs",
    "sign_ins.rs",
    "recorder.rs",
    "days.rs",
    "erase.rs",
    "filtered.rs",
    "search.rs",
    "totals.rs",
    "batch.rs",
    "idempotency.rs",
];

/// The file without its unit tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn stores_know_no_http_and_pages_know_no_sql() {
    for (path, text) in sources("src") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = code(&text);
        if STORES.contains(&name) {
            assert!(!text.contains("actix_web"), "{} knows HTTP", path.display());
        }
        if ["pages.rs", "key_pages.rs", "several_pages.rs", "export.rs", "ingest.rs"].contains(&name) {
            let sql = text.replace("diesel::PgConnection", "").replace("diesel::pg::", "");
            assert!(!sql.contains("diesel::"), "{} knows SQL", path.display());
        }
    }
}

#[test]
fn furniture_knows_no_room() {
    for (path, text) in sources("src/web") {
        for room in ROOMS {
            assert!(!code(&text).contains(&format!("crate::{room}")), "{} knows {room}", path.display());
        }
    }
}

#[test]
fn rooms_meet_at_their_doors() {
    for (path, text) in sources("src") {
        for room in ROOMS {
            for inside in ["store", "pages"] {
                let through_the_wall = format!("crate::{room}::{inside}");
                assert!(!text.contains(&through_the_wall), "{}: {through_the_wall}", path.display());
            }
        }
    }
}

#[test]
fn no_file_is_a_cupboard() {
    for (path, text) in sources("src") {
        let lines = code(&text).lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}
