//! The process of PostgreSQL that serves a connection.

use chrono::{DateTime, Utc};
use diesel::{
    prelude::*,
    sql_query,
    sql_types::{Integer, Timestamptz},
};

/// Identifies the process, also after its number was given to another one, or on another server.
#[derive(Clone, Copy, Debug, QueryableByName)]
pub(super) struct ServerProcess {
    #[diesel(sql_type = Integer)]
    pid: i32,
    #[diesel(sql_type = Timestamptz)]
    backend_start: DateTime<Utc>,
}

impl ServerProcess {
    /// The process of this connection.
    pub(super) fn find(connection: &mut PgConnection) -> QueryResult<Self> {
        sql_query("select pid, backend_start from pg_stat_activity where pid = pg_backend_pid()")
            .get_result(connection)
    }

    /// Ends the process of another connection, with its transaction and its locks. Does nothing if it has ended.
    pub(super) fn terminate(&self, connection: &mut PgConnection) -> QueryResult<()> {
        sql_query(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2",
        )
        .bind::<Integer, _>(self.pid)
        .bind::<Timestamptz, _>(self.backend_start)
        .execute(connection)
        .map(|_rows| ())
    }
}
