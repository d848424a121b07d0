//! Statements of tests, as text.

use diesel::{
    PgConnection, QueryResult, QueryableByName, RunQueryDsl as _, connection::SimpleConnection as _,
    sql_query, sql_types::Text,
};

/// The column `answer` of a query.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// Returns the number of rows changed.
pub(super) fn run_sql(connection: &mut PgConnection, sql: &str) -> usize {
    sql_query(sql).execute(connection).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Returns the texts in the column `answer` of a query.
pub(crate) fn query_texts(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows: Vec<Row> = sql_query(sql).load(connection).unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.into_iter().map(|row| row.answer).collect()
}

/// Begins a transaction in which neither triggers nor foreign keys apply, as a superuser can. The settings of Citus, which
/// mean nothing without it, are for the workers and for tables that reference others.
pub(super) fn begin_without_triggers(connection: &mut PgConnection) -> QueryResult<()> {
    connection.batch_execute("set citus.propagate_set_commands = 'local'")?;
    connection.batch_execute(
        "begin; set local session_replication_role = replica; set local citus.multi_shard_modify_mode = 'sequential'",
    )
}
