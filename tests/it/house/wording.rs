//! What people read contains none of the phrases that a native writer would not use, and one term per concept.

use std::{fs, path::Path};

use syn::{
    LitStr,
    buffer::{Cursor, TokenBuffer},
};

/// Phrases in lower case, each with what to write instead.
const BANNED: [(&str, &str); 24] = [
    ("whoever", "name the people, or use the passive"),
    ("so many", "a number, or “the maximum”"),
    ("stands in", "is in"),
    ("of yours", "your"),
    ("in vain", "without result"),
    ("is let in", "is authorized"),
    ("are let in", "are authorized"),
    ("tells of", "is about"),
    ("tell of", "are about"),
    ("told of", "was about"),
    ("e-mail", "email"),
    ("e-mails", "emails"),
    ("tick it", "select it"),
    ("ticked", "selected"),
    ("unticked", "not selected"),
    ("somebody", "someone"),
    ("as of now", "now"),
    ("for ever and ever", "permanently"),
    ("is no more", "no longer exists"),
    ("all the same", "anyway"),
    ("what there is", "what exists"),
    ("successfully", "leave it out"),
    ("please", "leave it out"),
    ("oops", "say what happened"),
];

/// Sentences that the customer wrote. They are fixed.
const FIXED: [&str; 2] = [
    "Oops! Something went wrong. Please try submitting again.",
    "Thank you! Your request has been received!",
];

/// The command line shows the comments of these as help.
const HELP: [&str; 2] = ["src/cli/", "src/config.rs"];

/// The banned phrases in the text, whatever its case and line breaks.
fn find_banned(text: &str) -> Vec<&'static str> {
    let text = FIXED.iter().fold(text.to_owned(), |text, fixed| text.replace(fixed, " "));
    let words = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let is_whole = |phrase: &str| {
        words.match_indices(phrase).any(|(start, _)| {
            let before = words[..start].chars().next_back();
            let after = words[start + phrase.len()..].chars().next();
            [before, after].into_iter().flatten().all(|it| !it.is_alphanumeric())
        })
    };
    BANNED.iter().map(|(phrase, _)| *phrase).filter(|phrase| is_whole(phrase)).collect()
}

/// The text literals of Rust source without its unit tests, and with `has_help` its documentation comments.
fn literals(source: &str, has_help: bool) -> Vec<String> {
    let code = source.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut found = Vec::new();
    add_literals(TokenBuffer::new2(code.parse().unwrap()).begin(), has_help, &mut found);
    found
}

fn add_literals(mut cursor: Cursor<'_>, has_help: bool, found: &mut Vec<String>) {
    while !cursor.eof() {
        if let Some((inside, _, _, rest)) = cursor.any_group() {
            let is_comment = inside.ident().is_some_and(|(name, _)| name == "doc");
            if has_help || !is_comment {
                add_literals(inside, has_help, found);
            }
            cursor = rest;
        } else if let Some((literal, rest)) = cursor.literal() {
            found.extend(syn::parse_str::<LitStr>(&literal.to_string()).ok().map(|text| text.value()));
            cursor = rest;
        } else {
            cursor = cursor.token_tree().map_or_else(Cursor::empty, |(_, rest)| rest);
        }
    }
}

/// A template without its comments, which nobody reads on a page.
fn without_comments(template: &str) -> String {
    let mut parts = template.split("{#");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once("#}").map_or("", |(_, rest)| rest))
}

/// What people read in a file.
fn visible_text(path: &str, text: &str) -> String {
    match path.rsplit('.').next() {
        Some("rs") => literals(text, HELP.iter().any(|help| path.starts_with(help))).join("\n"),
        Some("html") => without_comments(text),
        _ => text.to_owned(),
    }
}

/// The comments of Rust source that have a line of their own.
fn comments(source: &str) -> String {
    let lines = source.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
    lines.map(|line| line.trim_start_matches(['/', '!'])).collect::<Vec<_>>().join("\n")
}

/// The files below a folder, or the file itself.
fn files(path: &Path, found: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files(&entry.unwrap().path(), found);
        }
    } else {
        found.push(path.to_str().unwrap().to_owned());
    }
}

/// The files below these folders with one of these extensions.
fn files_with(roots: &[&str], extensions: &[&str]) -> Vec<String> {
    let mut paths = Vec::new();
    for root in roots {
        files(Path::new(root), &mut paths);
    }
    paths.retain(|path| extensions.iter().any(|it| path.ends_with(&format!(".{it}"))));
    paths
}

/// Fails if the `text` of any of these files contains a banned phrase.
#[track_caller]
fn assert_none_banned(paths: &[String], text: impl Fn(&str, &str) -> String) {
    let violations: Vec<String> = paths
        .iter()
        .flat_map(|path| {
            let found = find_banned(&text(path, &fs::read_to_string(path).unwrap()));
            found.into_iter().map(move |phrase| format!("{path}: “{phrase}”"))
        })
        .collect();

    assert!(violations.is_empty(), "{violations:#?}\nInstead: {BANNED:#?}");
}

#[test]
fn visible_sentences_contain_no_banned_phrases() {
    let roots = ["src", "templates", "static/js", "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md"];
    let paths = files_with(&roots, &["rs", "html", "js", "md"]);
    assert!(paths.len() > 200, "{paths:?}");

    assert_none_banned(&paths, visible_text);
}

#[test]
fn comments_contain_no_banned_phrases() {
    let paths = files_with(&["src", "tests", "benches"], &["rs"]);
    assert!(paths.len() > 300, "{paths:?}");

    assert_none_banned(&paths, |_path, source| comments(source));
}

#[test]
fn banned_phrases_are_found_as_whole_words_in_any_case_and_across_lines() {
    assert_eq!(find_banned("Whoever reads this"), ["whoever"]);
    assert_eq!(find_banned("SO\n  many keys, and your E-Mail."), ["so many", "e-mail"]);
    assert!(find_banned("pleased, also many, tells often").is_empty());
    assert!(find_banned("Oops! Something went wrong. Please try submitting again.").is_empty());
}

#[test]
fn only_what_people_read_counts() {
    let source = "//! Whoever.\n/// So many.\nfn f() { g(\"please \\\n  wait\", r#\"oops\"#) } // in vain\n\n\
                  #[cfg(test)]\nmod tests { const T: &str = \"tells of\"; }";
    assert_eq!(literals(source, false), ["please wait", "oops"]);
    assert_eq!(literals(source, true), [" Whoever.", " So many.", "please wait", "oops"]);
    assert_eq!(without_comments("a{# please #}b{#- oops -#}c"), "abc");
    assert_eq!(comments("//! An e-mail.\nlet a = 1; // please\n    /// Oops"), " An e-mail.\n Oops");
    assert_eq!(visible_text("src/cli/x.rs", "/// Whoever.\nstruct A;"), " Whoever.");
    assert_eq!(visible_text("src/web/x.rs", "/// Whoever.\nstruct A;"), "");
}
