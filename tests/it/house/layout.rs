//! The rules of the layout, read from what the files import. Each rule has a test with invented sources, so that it is
//! known to fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use super::imports::{Crate, Graph, is_index};

/// Maximum length of a file, in lines without its tests. Generated files may be longer.
const LINES_MAX: usize = 400;

/// Folders that every room may use. The others are rooms.
const SHARED_FOLDERS: [&str; 2] = ["db", "web"];

/// The only two rooms that may import each other: a sign-in is recorded, and a record names who signed in.
const ROOM_CYCLE: [&str; 2] = ["accounts", "audit"];

/// The files under `dir` with their text.
fn read_sources(dir: &Path) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(read_sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.insert(path.to_str().unwrap().to_owned(), text);
        }
    }
    sources
}

static OUR_CRATE: LazyLock<Crate> = LazyLock::new(|| Crate::parse(&read_sources(Path::new("src"))));

/// A crate of these files, given as path and text.
fn invented(files: &[(&str, &str)]) -> Crate {
    Crate::parse(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
}

/// The room of a file: its folder in `src`, unless every room may use that.
fn room_of(file: &str) -> Option<&str> {
    let (folder, _) = file.strip_prefix("src/")?.split_once('/')?;
    (!SHARED_FOLDERS.contains(&folder)).then_some(folder)
}

fn files_with_http_and_sql(krate: &Crate) -> Vec<String> {
    let http = krate.files_using("actix_web");
    let sql: BTreeSet<&str> = krate
        .written_paths()
        .filter(|(_, path)| path.first().is_some_and(|it| it == "schema"))
        .map(|(file, _)| file)
        .collect();
    http.intersection(&sql).map(|file| format!("{file} uses actix_web and crate::schema")).collect()
}

/// The imports that are part of a cycle.
fn cycles(graph: &Graph) -> Vec<(String, String)> {
    let edges = graph.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.clone(), to.clone())));
    edges.filter(|(from, to)| reachable(graph, to).contains(from.as_str())).collect()
}

fn reachable<'a>(graph: &'a Graph, from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        if found.insert(node) {
            open.extend(graph.get(node).into_iter().flatten().map(String::as_str));
        }
    }
    found
}

/// The imports between files. An index file is not one of them: its re-exports lead to what they name.
fn file_graph(krate: &Crate) -> Graph {
    let files = krate.imports().into_iter().filter(|(file, _)| !is_index(file));
    files.map(|(file, imports)| (file, imports.into_iter().filter(|it| !is_index(it)).collect())).collect()
}

/// The imports between rooms.
fn room_graph(krate: &Crate) -> Graph {
    let mut graph = Graph::new();
    for (file, imports) in krate.imports() {
        let Some(room) = room_of(&file) else { continue };
        let others = imports.iter().filter_map(|it| room_of(it)).filter(|it| *it != room);
        graph.entry(room.to_owned()).or_default().extend(others.map(str::to_owned));
    }
    graph
}

fn cycles_of_files(krate: &Crate) -> Vec<String> {
    cycles(&file_graph(krate)).into_iter().map(|(from, to)| format!("{from} imports {to}")).collect()
}

fn cycles_of_rooms(krate: &Crate) -> Vec<String> {
    let cycles = cycles(&room_graph(krate)).into_iter();
    let others = cycles.filter(|(from, to)| ![from, to].iter().all(|it| ROOM_CYCLE.contains(&it.as_str())));
    others.map(|(from, to)| format!("{from} imports {to}")).collect()
}

fn rooms_in_web(krate: &Crate) -> Vec<String> {
    let files = krate.imports().into_iter().filter(|(file, _)| file.starts_with("src/web/"));
    files
        .flat_map(|(file, imports)| imports.into_iter().map(move |it| (file.clone(), it)))
        .filter(|(_, import)| room_of(import).is_some())
        .map(|(file, import)| format!("{file} imports {import}"))
        .collect()
}

/// Paths like `crate::room::file::Name`, written outside the room.
fn paths_past_the_door(krate: &Crate) -> Vec<String> {
    let paths = krate.written_paths().filter(|(file, path)| {
        let is_of_room = !path.is_empty() && !SHARED_FOLDERS.contains(&path[0].as_str());
        let is_inside =
            path.len() > 2 && krate.has_file(&path[..2]) || path.len() == 2 && krate.is_module(path);
        is_of_room && is_inside && room_of(file) != Some(path[0].as_str())
    });
    paths.map(|(file, path)| format!("{file} imports crate::{}", path.join("::"))).collect()
}

fn long_files(sources: &BTreeMap<String, String>) -> Vec<String> {
    let written = sources.iter().filter(|(_, text)| !text.starts_with("// @generated"));
    let lengths = written.map(|(path, text)| {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        (path, code.lines().count())
    });
    lengths
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path} has {lines} lines"))
        .collect()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn no_file_knows_both_http_and_the_schema() {
    assert_none(&files_with_http_and_sql(&OUR_CRATE));
}

#[test]
fn no_file_imports_itself_in_a_circle() {
    assert_none(&cycles_of_files(&OUR_CRATE));
}

#[test]
fn only_accounts_and_audit_import_each_other() {
    assert_none(&cycles_of_rooms(&OUR_CRATE));
}

#[test]
fn web_imports_no_room() {
    assert_none(&rooms_in_web(&OUR_CRATE));
}

#[test]
fn rooms_are_imported_through_their_mod_rs() {
    assert_none(&paths_past_the_door(&OUR_CRATE));
}

#[test]
fn no_file_is_longer_than_400_lines_without_its_tests() {
    assert_none(&long_files(&read_sources(Path::new("src"))));
}

/// This also shows that imports are found at all: without any, every rule above would pass.
#[test]
fn the_map_draws_every_import_between_rooms() {
    let map = fs::read_to_string("docs/architecture.md").unwrap();
    let arrows = map.lines().filter_map(|line| line.trim().split_once(" --> "));
    let drawn: BTreeSet<(String, String)> =
        arrows.flat_map(|(from, to)| to.split(" & ").map(|to| (from.to_owned(), to.to_owned()))).collect();
    let imports = room_graph(&OUR_CRATE).into_iter();
    let imported: BTreeSet<(String, String)> =
        imports.flat_map(|(from, to)| to.into_iter().map(move |to| (from.clone(), to))).collect();

    assert_eq!(drawn, imported, "the diagram (left) and the imports (right) differ");
}

const SCHEMA: (&str, &str) = ("src/schema.rs", "pub struct keys;");

#[test]
fn http_beside_the_schema_is_found() {
    for text in [
        "use actix_web::web; use crate::schema::keys;",
        "use actix_web::web; fn load() { super::super::schema::keys; }",
        "fn load() -> actix_web::Error { load!(crate::schema::keys) }",
        "use actix_web::web; #[diesel(table_name = crate::schema::keys)] struct Key;",
        "use {actix_web::web, crate::{schema as tables}};",
    ] {
        let found = files_with_http_and_sql(&invented(&[SCHEMA, ("src/keys/pages.rs", text)]));
        assert_eq!(found, ["src/keys/pages.rs uses actix_web and crate::schema"], "{text}");
    }
    let text = "use actix_web::web; #[cfg(test)] mod tests { use crate::schema::keys; }";
    assert_none(&files_with_http_and_sql(&invented(&[SCHEMA, ("src/keys/pages.rs", text)])));
}

#[test]
fn a_cycle_is_found_through_re_exports_names_and_bodies() {
    let first_imports = |third: &str| {
        cycles_of_files(&invented(&[
            ("src/lib.rs", "mod keys; mod audit;"),
            ("src/keys/mod.rs", "mod first; mod second; mod third; pub use first::First; use third::Third;"),
            ("src/keys/first.rs", "use super::second::Second; pub struct First;"),
            ("src/keys/second.rs", "pub struct Second(super::Third);"),
            ("src/keys/third.rs", third),
        ]))
    };
    let cycle = [
        "src/keys/first.rs imports src/keys/second.rs",
        "src/keys/second.rs imports src/keys/third.rs",
        "src/keys/third.rs imports src/keys/first.rs",
    ];
    for third in [
        "use crate::keys::First; pub struct Third;",
        "use crate::keys; pub struct Third(keys::First);",
        "use super::*; pub struct Third(First);",
        "pub struct Third; fn show() { println!(\"{}\", crate::keys::First) }",
    ] {
        assert_eq!(first_imports(third), cycle, "{third}");
    }
    assert_none(&first_imports("pub struct Third; #[cfg(test)] mod tests { use crate::keys::First; }"));
    assert_none(&first_imports("pub struct Third;"));
}

#[test]
fn rooms_that_import_each_other_are_found() {
    let rooms = |a: &str, b: &str| {
        cycles_of_rooms(&invented(&[
            (&format!("src/{a}/mod.rs"), "mod store; pub use store::A;"),
            (&format!("src/{a}/store.rs"), &format!("pub struct A; fn load() -> crate::{b}::B {{ B }}")),
            (&format!("src/{b}/mod.rs"), &format!("use crate::{a}::A; pub struct B(A);")),
        ]))
    };
    assert_eq!(rooms("keys", "usage"), ["keys imports usage", "usage imports keys"]);
    assert_none(&rooms("accounts", "audit"));
}

#[test]
fn a_room_in_web_is_found() {
    let files = |page: &'static str| {
        [
            ("src/keys/mod.rs", "pub struct Key;"),
            ("src/db/mod.rs", "pub struct Db;"),
            ("src/web/page/mod.rs", page),
        ]
    };
    let found = rooms_in_web(&invented(&files("fn show() -> crate::keys::Key { crate::keys::Key }")));
    assert_eq!(found, ["src/web/page/mod.rs imports src/keys/mod.rs"]);
    assert_none(&rooms_in_web(&invented(&files("use crate::db::Db;"))));
}

#[test]
fn a_path_past_the_door_is_found() {
    let from = |user: &'static str, text: &'static str| {
        paths_past_the_door(&invented(&[
            ("src/keys/mod.rs", "pub mod store; mod find; pub use {find::find, store::Key};"),
            ("src/keys/store.rs", "pub struct Key;"),
            ("src/keys/find.rs", "pub fn find() {}"),
            ("src/db/sql.rs", "pub fn lower() {}"),
            (user, text),
        ]))
    };
    for text in ["use crate::keys::store::Key;", "use crate::keys; fn show() { keys::store::Key }"] {
        assert_eq!(from("src/app.rs", text), ["src/app.rs imports crate::keys::store::Key"], "{text}");
    }
    assert_none(&from("src/keys/pages.rs", "use crate::keys::store::Key;"));
    assert_none(&from("src/app.rs", "use crate::{db::sql::lower, keys::{Key, find}};"));
}

#[test]
fn a_long_file_is_found() {
    let file = |text: String| BTreeMap::from([("src/app.rs".to_owned(), text)]);
    assert_eq!(long_files(&file("\n".repeat(401))), ["src/app.rs has 401 lines"]);
    assert_none(&long_files(&file(format!("// @generated{}", "\n".repeat(500)))));
    assert_none(&long_files(&file("\n".repeat(400) + "#[cfg(test)]\nmod tests {}\n")));
}
