//! The icons in the templates are in the file of icons.

use std::{fs, path::Path};

fn read_templates(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { read_templates(&path) } else { fs::read_to_string(&path).unwrap() })
        .collect()
}

fn names_after<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn every_icon_of_a_template_exists() {
    let templates = read_templates(Path::new("templates"));
    let themes = fs::read_to_string("src/web/page/theme.rs").unwrap();
    let sprite = fs::read_to_string("static/img/icons.svg").unwrap();
    let symbols = names_after(&sprite, "<symbol id=\"");
    let mut used = names_after(&templates, "icon::icon(\"");
    used.extend(names_after(themes.split_once("fn icon(").unwrap().1, "=> \"").iter().take(3));

    assert!(used.len() > 12, "{used:?}");
    for name in used {
        assert!(symbols.contains(&name), "static/img/icons.svg has no {name}");
    }
}

#[test]
fn the_licence_of_the_icons_is_beside_them() {
    let sprite = fs::read_to_string("static/img/icons.svg").unwrap();
    let licence = fs::read_to_string("static/img/lucide-license.txt").unwrap();

    assert!(sprite.contains("lucide-license.txt"));
    assert!(licence.starts_with("ISC License") && licence.contains("The MIT License"));
}
