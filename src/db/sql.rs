//! SQL that several rooms need and Diesel does not provide.

use diesel::{
    dsl::{AsExprOf, now},
    prelude::*,
    sql_types::{SingleValue, SqlType, Timestamptz},
};

/// PostgreSQL's clock, as the columns are typed.
pub(crate) fn database_now() -> AsExprOf<now, Timestamptz> {
    now.into_sql::<Timestamptz>()
}

define_sql_function!(
    /// Lower case by the collation of the database.
    fn lower<T: SqlType + SingleValue>(text: T) -> T
);

/// A `like` pattern that matches `text` anywhere, with its wildcards taken literally.
pub(crate) fn like_pattern(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_like_pattern_are_literal() {
        assert_eq!(like_pattern("100%_a\\b"), "%100\\%\\_a\\\\b%");
        assert_eq!(like_pattern("é"), "%é%");
    }
}
