//! The rules that `migrations/README.md` states for migrations, each with an invented migration that violates it.

use std::{collections::BTreeSet, fs};

use uptok::db::migrations::split_statements;

/// Releases whose binaries may still run. Nothing has been released yet.
fn list_releases() -> Vec<String> {
    let changelog = fs::read_to_string("CHANGELOG.md").unwrap();
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|it| it.split([' ', ']']).next().unwrap().trim_start_matches('[').to_owned()).collect()
}

/// A migration as its folder has it.
struct MigrationFiles {
    up: String,
    down: String,
    metadata: String,
}

impl MigrationFiles {
    fn read(name: &str) -> Self {
        let read = |file: &str| fs::read_to_string(format!("migrations/{name}/{file}")).unwrap_or_default();
        Self { up: read("up.sql"), down: read("down.sql"), metadata: read("metadata.toml") }
    }

    fn runs_in_transaction(&self) -> bool {
        self.metadata.trim() != "run_in_transaction = false"
    }

    /// The statements of `sql`, with single spaces.
    fn statements(sql: &str) -> Vec<String> {
        let words = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
        split_statements(sql).into_iter().map(|it| words(it).trim_end_matches(';').to_owned()).collect()
    }

    fn find_violations(&self, releases: &[String]) -> Vec<String> {
        let mut violations = Vec::new();
        if self.down.trim().is_empty() {
            violations.push("down.sql is missing".to_owned());
        }
        if !self.metadata.is_empty() && self.runs_in_transaction() {
            violations.push("metadata.toml may only say run_in_transaction = false".to_owned());
        }
        for sql in [&self.up, &self.down] {
            let statements = Self::statements(sql);
            violations.extend(self.check_transaction(&statements));
            let several = statements
                .into_iter()
                .filter(|it| it.starts_with("alter table ") && has_several_subcommands(it));
            violations.extend(several.map(|it| format!("one subcommand per alter table: {it}")));
        }
        let statements = Self::statements(&self.up);
        let new_tables =
            statements.iter().filter_map(|it| it.strip_prefix("create table ")).filter_map(first_word);
        let new_tables: BTreeSet<&str> = new_tables.collect();
        for statement in &statements {
            let mistake = self.check_statement(statement, &new_tables, releases);
            violations.extend(mistake.map(|mistake| format!("{mistake}: {statement}")));
        }
        violations
    }

    /// Indexes of existing tables are built and dropped concurrently, each in a migration of its own.
    fn check_transaction(&self, statements: &[String]) -> Option<String> {
        let concurrent = statements.iter().filter(|it| is_concurrent(it)).count();
        match (self.runs_in_transaction(), concurrent) {
            (true, 0) => None,
            (true, _) => {
                Some("concurrently needs a metadata.toml with run_in_transaction = false".to_owned())
            }
            (false, 1) if statements.len() == 1 => None,
            (false, _) => {
                Some("outside a transaction there is one statement, and it is concurrent".to_owned())
            }
        }
    }

    fn check_statement(
        &self,
        statement: &str,
        new_tables: &BTreeSet<&str>,
        releases: &[String],
    ) -> Option<&'static str> {
        if is_concurrent(statement) || is_addition(statement) {
            return None;
        }
        if statement.starts_with("create index ") || statement.starts_with("create unique index ") {
            let (_, table) = statement.split_once(" on ")?;
            let is_new = first_word(table).is_some_and(|table| new_tables.contains(table));
            return (!is_new).then_some("build the index concurrently if not exists");
        }
        if let Some(alteration) = statement.strip_prefix("alter table ") {
            let (_, subcommand) = alteration.split_once(' ')?;
            return self.check_subcommand(subcommand, releases);
        }
        if statement.starts_with("drop ") {
            return self.check_contraction(releases);
        }
        Some("not a statement of migrations")
    }

    fn check_subcommand(&self, subcommand: &str, releases: &[String]) -> Option<&'static str> {
        let words: Vec<&str> = subcommand.split(' ').collect();
        let has = |word: &str| words.contains(&word);
        match words.as_slice() {
            ["add", "column", ..] if has("unique") || has("primary") || has("references") || has("check") => {
                Some("add the constraint after the column, not valid")
            }
            ["add", "column", ..] if is_computed(subcommand) => {
                Some("a value computed for each row rewrites the table")
            }
            ["add", "column", ..] if has("not") && !has("default") => {
                Some("a required column needs a default")
            }
            ["add", "constraint", .., "not", "valid"] => None,
            ["add", "constraint", ..] if subcommand.contains(" using index ") => None,
            ["add", "constraint", ..] => Some("add the constraint not valid, or using index"),
            ["validate", "constraint", ..] if Self::statements(&self.up).len() > 1 => {
                Some("validate the constraint in a migration of its own")
            }
            ["add", "column", ..] | ["validate", "constraint", _] | ["set", ..] => None,
            ["alter", "column", _, change @ ..] if relaxes_column(change) => None,
            ["drop" | "rename", ..] | ["alter", "column", _, "set", "not", "null"] => {
                self.check_contraction(releases)
            }
            _ => Some("not a change that the previous binary and other nodes bear"),
        }
    }

    /// What the previous binary uses is removed by a later release, which says since when nothing uses it.
    fn check_contraction(&self, releases: &[String]) -> Option<&'static str> {
        let first_line = self.up.lines().next().unwrap_or_default();
        let since = first_line.strip_prefix("-- Unused since ").map(|it| it.trim_end_matches('.'));
        let is_released =
            since.is_some_and(|since| releases.iter().any(|it| it == since && it != "Unreleased"));
        (!is_released)
            .then_some("begin the migration with `-- Unused since X.Y.Z.`, a release in CHANGELOG.md")
    }
}

/// Whether a change of a column, the words after its name, lets the previous binary go on.
fn relaxes_column(change: &[&str]) -> bool {
    matches!(change, ["set" | "drop", "default", ..] | ["drop", "not", "null"])
}

/// Whether the values of a new column are computed for each row that is there.
fn is_computed(subcommand: &str) -> bool {
    let default = subcommand.split_once(" default ").map_or("", |(_, default)| default);
    subcommand.contains(" generated ") || default.replace("now()", "").contains('(')
}

fn first_word(text: &str) -> Option<&str> {
    text.split([' ', '(']).next()
}

fn is_concurrent(statement: &str) -> bool {
    ["create index", "create unique index", "drop index"]
        .iter()
        .any(|it| statement.starts_with(&format!("{it} concurrently if ")))
}

/// Whether the statement only adds what nothing uses yet, or changes words.
fn is_addition(statement: &str) -> bool {
    [
        "create table ",
        "create unlogged table ",
        "comment on ",
        "create function ",
        "create or replace function ",
        "create trigger ",
    ]
    .iter()
    .any(|it| statement.starts_with(it))
}

/// Whether `text` has a comma outside of parentheses and quotes.
fn has_several_subcommands(text: &str) -> bool {
    let unquoted: String = text.split('\'').step_by(2).collect();
    let mut depth = 0;
    unquoted.chars().any(|it| {
        match it {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        it == ',' && depth == 0
    })
}

#[test]
fn every_migration_follows_the_rules() {
    let releases = list_releases();
    let folders = fs::read_dir("migrations").unwrap().map(Result::unwrap).filter(|it| it.path().is_dir());
    let names: Vec<String> = folders.map(|it| it.file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 13, "{names:?}");
    for name in names {
        let violations = MigrationFiles::read(&name).find_violations(&releases);
        assert!(violations.is_empty(), "{name}: {violations:#?}");
    }
}

/// A migration that the rules allow, except for `up` and `metadata`.
fn invented(up: &str, metadata: &str) -> MigrationFiles {
    let down = if metadata.is_empty() { "drop table a;" } else { "drop index concurrently if exists a;" };
    MigrationFiles { up: up.to_owned(), down: down.to_owned(), metadata: metadata.to_owned() }
}

const OUTSIDE: &str = "run_in_transaction = false\n";

#[test]
fn migrations_that_keep_the_previous_binary_and_other_nodes_working_are_allowed() {
    for (up, metadata) in [
        ("create table a (b text); create index a_b on a (b); comment on table a is 'b, c; d';", ""),
        ("-- Why.\ncreate index concurrently if not exists a_b on a (b);", OUTSIDE),
        ("create unique index concurrently if not exists a_b on a (b) include (c, d);", OUTSIDE),
        ("drop index concurrently if exists a_b;", OUTSIDE),
        ("alter table a add column b integer; alter table a add column c text not null default 'x, y';", ""),
        ("alter table a add constraint a_b check (b in (1, 2)) not valid;", ""),
        ("alter table a validate constraint a_b;", ""),
        ("alter table a add constraint a_b unique using index a_b;", ""),
        ("alter table a set (fillfactor = 50, autovacuum_enabled = true);", ""),
        ("alter table a alter column b drop not null;", ""),
        ("-- Unused since 1.2.0.\nalter table a drop column b;", ""),
        ("-- Unused since 1.2.0.\ndrop table a;", ""),
    ] {
        let violations =
            invented(up, metadata).find_violations(&["Unreleased".to_owned(), "1.2.0".to_owned()]);
        assert!(violations.is_empty(), "{up}: {violations:#?}");
    }
}

#[test]
fn migrations_that_block_or_break_other_nodes_are_refused() {
    for (up, metadata, mistake) in [
        ("create index a_b on a (b);", "", "build the index concurrently"),
        ("create index concurrently a_b on a (b);", OUTSIDE, "one statement, and it is concurrent"),
        ("create index concurrently if not exists a_b on a (b);", "", "run_in_transaction = false"),
        (
            "create index concurrently if not exists a_b on a (b); comment on table a is 'c';",
            OUTSIDE,
            "one statement, and it is concurrent",
        ),
        ("alter table a add column b integer;", OUTSIDE, "one statement, and it is concurrent"),
        ("alter table a add column b text, add column c text;", "", "one subcommand"),
        ("alter table a add column b integer check (b > 0);", "", "add the constraint after the column"),
        ("alter table a add column b text not null;", "", "needs a default"),
        ("alter table a add column b uuid default gen_random_uuid();", "", "rewrites the table"),
        ("alter table a add column b bigint generated always as identity;", "", "rewrites the table"),
        ("alter table a add constraint a_b check (b > 0);", "", "add the constraint not valid"),
        ("alter table a validate constraint a_b; alter table a add column c text;", "", "of its own"),
        ("alter table a alter column b type bigint;", "", "not a change"),
        ("alter table a alter column b set not null;", "", "Unused since"),
        ("alter table a drop column b;", "", "Unused since"),
        ("alter table a rename to b;", "", "Unused since"),
        ("-- Unused since 2.0.0.\nalter table a drop column b;", "", "Unused since"),
        ("-- Unused since Unreleased.\ndrop table a;", "", "Unused since"),
        ("update a set b = 1;", "", "not a statement of migrations"),
        ("insert into a select b, count(*) from c group by 1;", "", "not a statement of migrations"),
        ("set lock_timeout = 0;", "", "not a statement of migrations"),
        ("vacuum full a;", "", "not a statement of migrations"),
    ] {
        let violations =
            invented(up, metadata).find_violations(&["Unreleased".to_owned(), "1.2.0".to_owned()]);
        assert!(violations.iter().any(|it| it.contains(mistake)), "{up}: {violations:#?}");
    }

    let without_down = MigrationFiles { down: String::new(), ..invented("create table a (b text);", "") };
    assert_eq!(without_down.find_violations(&[]), ["down.sql is missing"]);
    let two_steps = MigrationFiles {
        down: "alter table a drop column b, drop column c;".to_owned(),
        ..invented("create table a (b text);", "")
    };
    assert_eq!(two_steps.find_violations(&[]).len(), 1);
}
