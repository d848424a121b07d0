//! The statement of the export as a script for pgbench.

use std::fmt::Write as _;

use uptok::{
    api_keys::{Credentials, Scope},
    sessions::page_statement,
};

use super::database::HERE;

/// The statement, and what its parameters `$1`, `$2` … are made of.
pub(crate) struct Statement {
    sql: &'static str,
    binds: Vec<Bind>,
}

/// A parameter.
enum Bind {
    /// The same in every call.
    Text(String),
    /// `first + step * (page - 1)`.
    OfPage { first: i64, step: i64 },
}

impl Statement {
    /// That of a page, with what the server binds.
    pub(crate) fn of(credentials: &Credentials, per_page: u32) -> Self {
        let hash = credentials.secret_hash.iter().fold("\\x".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ok = write!(text, "{byte:02x}");
            text
        });
        let per_page = i64::from(per_page);
        let binds = vec![
            Bind::Text(credentials.client.to_string()),
            Bind::Text(credentials.public_key.to_string()),
            Bind::Text(hash),
            Bind::Text(format!("{{{}}}", credentials.scope.map_or("", Scope::as_str))),
            Bind::Text(HERE.to_string()),
            Bind::OfPage { first: 0, step: per_page },
            Bind::OfPage { first: per_page, step: per_page },
        ];
        Self { sql: page_statement(), binds }
    }

    /// A script that asks for one of the first `pages` pages, with the values that stay the same as `-D` arguments.
    pub(crate) fn script(&self, pages: u32) -> (String, Vec<String>) {
        let (mut script, mut definitions) = (format!("\\set page random(1, {pages})\n"), Vec::new());
        for (index, bind) in self.binds.iter().enumerate() {
            match bind {
                Bind::Text(text) => definitions.push(format!("-Db{}={text}", index + 1)),
                Bind::OfPage { first, step } => {
                    // Writing to a String cannot fail.
                    let _ok = writeln!(script, "\\set b{} {first} + {step} * (:page - 1)", index + 1);
                }
            }
        }
        (format!("{script}{};\n", self.with(|number, _bind| format!(":b{number}"))), definitions)
    }

    /// A statement that says in `answer` how many rows a page has.
    pub(crate) fn count(&self, page: i64) -> String {
        let sql = self.with(|_number, bind| match bind {
            Bind::Text(text) => format!("'{text}'"),
            Bind::OfPage { first, step } => (first + step * (page - 1)).to_string(),
        });
        format!("select count(*)::text as answer from ({sql}) as page")
    }

    /// The statement with something else in the place of each parameter.
    fn with(&self, render: impl Fn(usize, &Bind) -> String) -> String {
        // From the last one: $1 is also the beginning of $10.
        let numbered = self.binds.iter().enumerate().rev();
        numbered.fold(self.sql.to_owned(), |sql, (index, bind)| {
            sql.replace(&format!("${}", index + 1), &render(index + 1, bind))
        })
    }
}
