//! The statements of a migration. PostgreSQL receives them one by one: a text of several statements is one transaction,
//! which `create index concurrently` and distributed databases refuse.

use std::any::Any;

use diesel::{
    QueryResult,
    connection::{BoxableConnection, SimpleConnection},
    migration::Migration,
    pg::Pg,
};

/// The statements of the migration's `up.sql`.
pub(super) fn load_statements(migration: &dyn Migration<Pg>) -> anyhow::Result<Vec<String>> {
    let mut collector = SqlCollector::default();
    migration.run(&mut collector).map_err(anyhow::Error::from_boxed)?;
    Ok(split_statements(&collector.0).into_iter().map(str::to_owned).collect())
}

/// Takes the place of a connection, because Diesel gives out the text of a migration only to execute it.
#[derive(Default)]
struct SqlCollector(String);

impl SimpleConnection for SqlCollector {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.0.push_str(query);
        Ok(())
    }
}

impl BoxableConnection<Pg> for SqlCollector {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Splits SQL at its semicolons, except those in quotes, in comments and between `$$`. Comments before a statement are
/// left out.
#[must_use]
pub fn split_statements(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut end = 0;
    while end < sql.len() {
        let token = next_token(&sql[end..]);
        end += token.len();
        if token == ";" {
            statements.push(&sql[start..end]);
        }
        let is_gap = token.trim().is_empty() || token.starts_with("--") || token.starts_with("/*");
        if token == ";" || (is_gap && start == end - token.len()) {
            start = end;
        }
    }
    // A text that does not end with a semicolon ends with an incomplete statement; PostgreSQL accepts it.
    statements.extend(Some(sql[start..].trim()).filter(|rest| !rest.is_empty()));
    statements
}

/// The comment, the quoted text or the character that `sql`, which is not empty, begins with.
fn next_token(sql: &str) -> &str {
    // Two quotes within a text (`''`) end one and begin the next, which makes no difference here.
    for (opening, closing) in [("--", "\n"), ("/*", "*/"), ("'", "'"), ("\"", "\""), ("$$", "$$")] {
        if let Some(rest) = sql.strip_prefix(opening) {
            let length = rest.find(closing).map_or(sql.len(), |at| opening.len() + at + closing.len());
            return &sql[..length];
        }
    }
    &sql[..sql.chars().next().map_or(0, char::len_utf8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        for (sql, expected) in [
            ("", vec![]),
            ("-- Nothing; really.\n", vec![]),
            ("select 1;", vec!["select 1;"]),
            ("select 1; select 2", vec!["select 1;", "select 2"]),
            ("-- One; two.\nselect 1;\n\n/* a; b */ select 2;\n", vec!["select 1;", "select 2;"]),
            ("select 1 -- why;\n + 2;", vec!["select 1 -- why;\n + 2;"]),
            (
                "comment on table a is 'it''s; ä';select \"b;c\";",
                vec!["comment on table a is 'it''s; ä';", "select \"b;c\";"],
            ),
            ("do $$ begin null; end $$;\nselect 1;", vec!["do $$ begin null; end $$;", "select 1;"]),
        ] {
            assert_eq!(split_statements(sql), expected, "{sql}");
        }
    }
}
