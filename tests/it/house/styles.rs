//! Sizes of text and distances come from the scales in tokens.css.

use std::fs;

/// The declarations of a stylesheet: property and value.
fn declarations(css: &str) -> Vec<(String, String)> {
    let mut parts = css.split("/*");
    let before = parts.next().unwrap().to_owned();
    let code = parts.fold(before, |code, part| code + part.split_once("*/").unwrap().1);
    let pieces = code.split([';', '{', '}']).filter_map(|piece| piece.trim().split_once(": "));
    let pairs = pieces.map(|(property, value)| (property.to_owned(), value.to_owned()));
    pairs.filter(|(property, _)| property.chars().all(|it| it.is_ascii_lowercase() || it == '-')).collect()
}

/// A size in rem or px that is written out instead of taken from a scale. 1px and 2px are lines.
fn has_own_size(value: &str) -> bool {
    let words = value.split([' ', '(', ')', ',', '*', '+']).filter(|word| !["1px", "2px"].contains(word));
    words.into_iter().any(|word| {
        let number = word.strip_suffix("rem").or_else(|| word.strip_suffix("px"));
        number.is_some_and(|number| number.parse::<f64>().is_ok())
    })
}

fn violations(css: &str, is_scaled: impl Fn(&str) -> bool) -> Vec<String> {
    let declarations = declarations(css).into_iter();
    let wrong = declarations.filter(|(property, value)| is_scaled(property) && has_own_size(value));
    wrong.map(|(property, value)| format!("{property}: {value}")).collect()
}

fn is_distance(property: &str) -> bool {
    ["margin", "padding", "gap", "row-gap", "column-gap"].iter().any(|it| property.starts_with(it))
}

#[test]
fn every_size_of_text_is_of_the_scale() {
    for part in ["base", "layout", "components"] {
        let css = fs::read_to_string(format!("static/css/{part}.css")).unwrap();
        let mut wrong = violations(&css, |property| property == "font-size" || property == "font");
        // iOS zooms into fields with smaller text.
        wrong.retain(|line| line != "font-size: max(1rem, 16px)");

        assert!(wrong.is_empty(), "{part}.css: {wrong:#?}");
    }
}

#[test]
fn every_distance_of_the_frame_is_of_the_scale() {
    for part in ["base", "layout"] {
        let css = fs::read_to_string(format!("static/css/{part}.css")).unwrap();
        let wrong = violations(&css, is_distance);

        assert!(wrong.is_empty(), "{part}.css: {wrong:#?}");
    }
}

#[test]
fn a_size_of_its_own_is_found() {
    let css = "a { font-size: 0.9rem; padding: 1px var(--space-1); margin: 0 3px; gap: 2px }";

    assert_eq!(violations(css, |it| it == "font-size"), ["font-size: 0.9rem"]);
    assert_eq!(violations(css, is_distance), ["margin: 0 3px"]);
}
