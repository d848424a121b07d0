//! Timeouts as settings of our role in our database: for connections through a pooler, where settings of the session
//! would reach other clients.

use diesel::{connection::SimpleConnection as _, dsl::sql, prelude::*, select, sql_types::Bool};

use super::connection::DatabaseTimeouts;

/// The settings as `pg_db_role_setting` stores them, in milliseconds.
fn list_settings(timeouts: DatabaseTimeouts) -> [String; 3] {
    timeouts.settings().map(|(name, milliseconds)| format!("{name}={milliseconds}"))
}

/// Stores the timeouts, unless they are stored. They apply to connections that PostgreSQL accepts from then on.
///
/// A role may set this for itself. If the server does not permit it nevertheless, the log says so.
///
/// # Errors
/// If the stored settings cannot be read.
pub(super) fn store_timeouts(connection: &mut PgConnection, timeouts: DatabaseTimeouts) -> QueryResult<()> {
    if are_stored(connection, timeouts)? {
        return Ok(());
    }
    match connection.batch_execute(&build_statement(timeouts)) {
        Ok(()) => close_server_connection(connection),
        Err(cause) => {
            let settings = list_settings(timeouts).join(", ");
            tracing::warn!(
                %cause,
                settings,
                "Uptok may not store its timeouts for its role; behind a pooler there are none until an administrator runs \
                 `alter role … in database … set …`"
            );
        }
    }
    Ok(())
}

fn are_stored(connection: &mut PgConnection, timeouts: DatabaseTimeouts) -> QueryResult<bool> {
    let settings = list_settings(timeouts).map(|it| format!("'{it}'")).join(", ");
    select(sql::<Bool>(&format!(
        "exists (select from pg_db_role_setting join pg_roles on pg_roles.oid = setrole \
         join pg_database on pg_database.oid = setdatabase \
         where rolname = session_user and datname = current_database() and setconfig @> array[{settings}])"
    )))
    .get_result(connection)
}

/// In one statement, so that all take effect together.
fn build_statement(timeouts: DatabaseTimeouts) -> String {
    let alter = timeouts.settings().map(|(name, milliseconds)| {
        format!(
            "execute format('alter role session_user in database %I set {name} = {milliseconds}', current_database()); "
        )
    });
    format!("do $$ begin {}end $$", alter.concat())
}

/// Ends the process of PostgreSQL that carried out the statement, which still has the former settings. The pooler opens a
/// new connection.
fn close_server_connection(connection: &mut PgConnection) {
    let _ends_with_an_error = connection.batch_execute("select pg_terminate_backend(pg_backend_pid())");
}
