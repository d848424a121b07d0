//! The table of applied migrations. It is Diesel's, so that its command line works too.

use std::collections::HashSet;

use diesel::{dsl::sql, prelude::*, sql_types::Bool};

diesel::table! {
    __diesel_schema_migrations (version) {
        /// The digits at the start of the migration's folder.
        version -> Text,
    }
}

/// The versions of the applied migrations; none if there is no such table. Unlike Diesel it does not create the table,
/// so it also works in a read-only transaction.
pub(super) fn load_applied(connection: &mut PgConnection) -> QueryResult<HashSet<String>> {
    let has_table = sql::<Bool>("to_regclass('__diesel_schema_migrations') is not null");
    if !diesel::select(has_table).get_result::<bool>(connection)? {
        return Ok(HashSet::new());
    }
    let versions: Vec<String> =
        __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(connection)?;
    Ok(versions.into_iter().collect())
}

/// Records migrations as applied, in one statement.
pub(super) fn record_applied(connection: &mut PgConnection, versions: &[String]) -> QueryResult<()> {
    let rows: Vec<_> = versions.iter().map(|it| __diesel_schema_migrations::version.eq(it)).collect();
    diesel::insert_into(__diesel_schema_migrations::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(connection)
        .map(|_rows| ())
}
