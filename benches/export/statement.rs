//! The statement of the export as a script for pgbench.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use serde_json::Value;
use uptok::{
    api_keys::Credentials,
    sessions::{PageRequest, page_statement},
};

use super::{PER_PAGE, database::HERE};

/// The statement, and what its parameters `$1`, `$2` … are made of.
pub(crate) struct Statement {
    sql: String,
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
    /// That of a page, found by comparing what the library says of page 1 and page 2.
    pub(crate) fn of(credentials: &Credentials) -> anyhow::Result<Self> {
        let (sql, first) = taken_apart(credentials, 1)?;
        let (same_sql, second) = taken_apart(credentials, 2)?;
        ensure!(sql == same_sql && first.len() == second.len(), "pages have different statements");
        let binds = first.iter().zip(&second).map(|(first, second)| Bind::of(first, second));
        Ok(Self { sql, binds: binds.collect::<anyhow::Result<_>>()? })
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
        numbered.fold(self.sql.clone(), |sql, (index, bind)| {
            sql.replace(&format!("${}", index + 1), &render(index + 1, bind))
        })
    }
}

impl Bind {
    fn of(first: &Value, second: &Value) -> anyhow::Result<Self> {
        if let (Some(first), Some(second)) = (first.as_i64(), second.as_i64()) {
            return Ok(Self::OfPage { first, step: second - first });
        }
        ensure!(first == second, "only numbers may differ between pages");
        match first {
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Array(texts) if texts.iter().all(Value::is_string) => {
                let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
                Ok(Self::Text(format!("{{{}}}", texts.join(","))))
            }
            Value::Array(bytes) => Ok(Self::Text(bytes.iter().filter_map(Value::as_u64).fold(
                "\\x".to_owned(),
                |mut text, byte| {
                    let _ok = write!(text, "{byte:02x}");
                    text
                },
            ))),
            other => bail!("the statement has a parameter that pgbench cannot be given: {other}"),
        }
    }
}

/// The SQL, and its parameters, which Diesel prints as JSON would.
fn taken_apart(credentials: &Credentials, page: u32) -> anyhow::Result<(String, Vec<Value>)> {
    let (page, per_page) = (page.to_string(), PER_PAGE.to_string());
    let request = PageRequest::parse(|name| match name {
        "page" => Some(&page),
        "perPage" => Some(&per_page),
        _ => None,
    });
    let request = request.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let text = page_statement(credentials, &request);
    let (sql, binds) = text.split_once(" -- binds: ").context("Diesel no longer appends the parameters")?;
    // All but an address, which it prints as Rust would.
    let binds = binds.replace(&format!("{:?}", IpNet::from(HERE)), &format!("\"{HERE}\""));
    Ok((sql.to_owned(), serde_json::from_str(&binds)?))
}
