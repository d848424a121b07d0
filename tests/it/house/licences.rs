//! No dependency of the binary requires the GPL, AGPL or LGPL. `deny.toml` is stricter; this check needs only
//! cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Reads `cargo metadata` for this platform only: packages for others may not be downloaded.
fn load_metadata() -> Value {
    let host = run_command(Command::new("rustc").arg("-vV"));
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host]);
    serde_json::from_str(&run_command(&mut cargo)).unwrap()
}

fn run_command(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read_texts<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|it| it[name].as_str().unwrap_or_default()).collect()
}

/// Collects the packages that the binary is built from, without those that only tests need.
fn collect_packages(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|it| (it["id"].as_str().unwrap(), it)).collect();
    let mut found = BTreeSet::new();
    let mut pending = vec![metadata["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = pending.pop() {
        if found.insert(id) {
            let needs = nodes[id]["deps"].as_array().unwrap().iter();
            let needs =
                needs.filter(|it| read_texts(&it["dep_kinds"], "kind").iter().any(|kind| *kind != "dev"));
            pending.extend(needs.map(|it| it["pkg"].as_str().unwrap()));
        }
    }
    found
}

/// Whether a licence expression (SPDX, or the older `A/B`) can be satisfied without a GPL-family licence.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let is_met = parse_or(&mut words);
    is_met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn parse_or(words: &mut Words) -> bool {
    let mut is_met = parse_and(words);
    while words.next_if_eq(&"OR").is_some() {
        is_met |= parse_and(words);
    }
    is_met
}

fn parse_and(words: &mut Words) -> bool {
    let mut is_met = parse_licence(words);
    while words.next_if_eq(&"AND").is_some() {
        is_met &= parse_licence(words);
    }
    is_met
}

fn parse_licence(words: &mut Words) -> bool {
    if words.next_if_eq(&"(").is_some() {
        return parse_or(words) & words.next_if_eq(&")").is_some();
    }
    let is_met = words.next().is_some_and(|licence| !licence.contains("GPL"));
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    is_met
}

#[test]
fn expression_is_permissive_if_one_choice_is() {
    for good in
        ["MIT", "MIT/Apache-2.0", "MIT OR LGPL-2.1-or-later", "(A OR GPL-3.0) AND (B OR C)", "A WITH X OR B"]
    {
        assert!(is_permissive(good), "{good}");
    }
    for bad in
        ["", "GPL-3.0-or-later", "MIT AND LGPL-2.1", "(MIT OR B) AND AGPL-3.0", "GPL-2.0 WITH X", "(MIT"]
    {
        assert!(!is_permissive(bad), "{bad}");
    }
}

#[test]
fn no_dependency_requires_the_gpl() {
    let metadata = load_metadata();
    let packages = collect_packages(&metadata);

    let violations: Vec<_> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| packages.contains(package["id"].as_str().unwrap()))
        .filter(|package| !is_permissive(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();

    assert!(packages.len() > 100, "{}", packages.len());
    assert!(violations.is_empty(), "{violations:?}");
}
