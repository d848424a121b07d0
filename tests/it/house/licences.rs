//! Nothing in the binary demands the GPL, AGPL or LGPL. `deny.toml` says more; this needs nothing but cargo.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// What `cargo metadata` says of the packages for this machine; those for others may not be there to look at.
fn metadata() -> Value {
    let host = output(Command::new("rustc").arg("-vV"));
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host]);
    serde_json::from_str(&output(&mut cargo)).unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn texts<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|it| it[name].as_str().unwrap_or_default()).collect()
}

/// Every package that the binary is made of or with: all but what only tests need.
fn of_the_binary(metadata: &Value) -> BTreeSet<&str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<&str, &Value> = nodes.iter().map(|it| (it["id"].as_str().unwrap(), it)).collect();
    let mut found = BTreeSet::new();
    let mut left = vec![metadata["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = left.pop() {
        if found.insert(id) {
            let needs = nodes[id]["deps"].as_array().unwrap().iter();
            let needs = needs.filter(|it| texts(&it["dep_kinds"], "kind").iter().any(|kind| *kind != "dev"));
            left.extend(needs.map(|it| it["pkg"].as_str().unwrap()));
        }
    }
    found
}

/// Whether a licence expression (SPDX, and the older `A/B`) can be met without any licence of the GPL's family.
fn is_permissive(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let is_met = any(&mut words);
    is_met && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words) -> bool {
    let mut is_met = all(words);
    while words.next_if_eq(&"OR").is_some() {
        is_met |= all(words);
    }
    is_met
}

fn all(words: &mut Words) -> bool {
    let mut is_met = one(words);
    while words.next_if_eq(&"AND").is_some() {
        is_met &= one(words);
    }
    is_met
}

fn one(words: &mut Words) -> bool {
    if words.next_if_eq(&"(").is_some() {
        return any(words) & words.next_if_eq(&")").is_some();
    }
    let is_met = words.next().is_some_and(|licence| !licence.contains("GPL"));
    if words.next_if_eq(&"WITH").is_some() {
        words.next();
    }
    is_met
}

#[test]
fn an_expression_is_met_if_one_of_its_choices_is() {
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
fn nothing_in_the_binary_demands_the_gpl() {
    let metadata = metadata();
    let packages = of_the_binary(&metadata);

    let wrong: Vec<_> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| packages.contains(package["id"].as_str().unwrap()))
        .filter(|package| !is_permissive(package["license"].as_str().unwrap_or_default()))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();

    assert!(packages.len() > 100, "{}", packages.len());
    assert!(wrong.is_empty(), "{wrong:?}");
}
