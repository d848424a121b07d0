//! The SQL statement of the export, as a script for pgbench.

use std::fmt::Write as _;

use uptok::{
    api_keys::{KeyCredentials, Scope},
    sessions::page_statement,
};

use super::database::CALLER_ADDRESS;

/// The statement and its parameters, in the order `$1`, `$2` …
pub(crate) struct ExportStatement {
    sql: &'static str,
    parameters: Vec<Parameter>,
}

enum Parameter {
    /// The same for every page.
    Constant(String),
    /// `first + step * (page - 1)`, where pages start at 1.
    PerPage { first: i64, step: i64 },
}

impl ExportStatement {
    /// The statement of an unfiltered page, with the parameters that the server binds.
    pub(crate) fn new(credentials: &KeyCredentials, per_page: u32) -> Self {
        let hash = credentials.secret_hash.iter().fold("\\x".to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ok = write!(text, "{byte:02x}");
            text
        });
        let per_page = i64::from(per_page);
        let parameters = vec![
            Parameter::Constant(credentials.client.to_string()),
            Parameter::Constant(credentials.public_key.to_string()),
            Parameter::Constant(hash),
            Parameter::Constant(format!("{{{}}}", credentials.scope.map_or("", Scope::as_str))),
            Parameter::Constant(CALLER_ADDRESS.to_string()),
            Parameter::PerPage { first: 0, step: per_page },
            Parameter::PerPage { first: per_page, step: per_page },
        ];
        Self { sql: page_statement(), parameters }
    }

    /// Returns a script that reads one of the first `pages` pages at random, and the `-D` arguments with its constants.
    pub(crate) fn pgbench_script(&self, pages: u32) -> (String, Vec<String>) {
        let (mut script, mut definitions) = (format!("\\set page random(1, {pages})\n"), Vec::new());
        for (index, parameter) in self.parameters.iter().enumerate() {
            match parameter {
                Parameter::Constant(text) => definitions.push(format!("-Db{}={text}", index + 1)),
                Parameter::PerPage { first, step } => {
                    // Writing to a String cannot fail.
                    let _ok = writeln!(script, "\\set b{} {first} + {step} * (:page - 1)", index + 1);
                }
            }
        }
        (
            format!("{script}{};\n", self.replace_parameters(|number, _parameter| format!(":b{number}"))),
            definitions,
        )
    }

    /// Returns a statement that selects the number of rows of `page` as `answer`.
    pub(crate) fn row_count_sql(&self, page: i64) -> String {
        let sql = self.replace_parameters(|_number, parameter| match parameter {
            Parameter::Constant(text) => format!("'{text}'"),
            Parameter::PerPage { first, step } => (first + step * (page - 1)).to_string(),
        });
        format!("select count(*)::text as answer from ({sql}) as page")
    }

    /// Returns the statement with each parameter replaced by what `render` returns for its number and value.
    fn replace_parameters(&self, render: impl Fn(usize, &Parameter) -> String) -> String {
        // Start with the last one, because $1 is a prefix of $10.
        let last_to_first = self.parameters.iter().enumerate().rev();
        last_to_first.fold(self.sql.to_owned(), |sql, (index, parameter)| {
            sql.replace(&format!("${}", index + 1), &render(index + 1, parameter))
        })
    }
}
