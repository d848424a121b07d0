//! Statements that PostgreSQL refuses in a transaction, without timeouts.

use diesel::{
    PgConnection, QueryResult,
    connection::SimpleConnection as _,
    result::{DatabaseErrorKind, Error},
};
use futures_util::future::{join, join3};
use tokio::runtime;
use tokio_postgres::{Config, NoTls};

use crate::db::connection::KEEPALIVE_IDLE;

/// Executes a statement on the migration's connection, whose session has no timeouts, or through a pooler.
///
/// `pooler` is `None` without a pooler, and if the pooler can only be reached by libpq; then the timeouts of the role
/// apply to the statement.
pub(super) fn execute(
    connection: &mut PgConnection,
    pooler: Option<&Config>,
    statement: &str,
) -> QueryResult<()> {
    let Some(config) = pooler else { return connection.batch_execute(statement) };
    execute_through_pooler(config, statement)
        .map_err(|error| Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(format!("{error:#}"))))
}

/// Sends three statements at once. The pooler keeps a connection of PostgreSQL for this client until all are answered, or
/// closes it, so the settings apply to the statement and reach no other client.
fn execute_through_pooler(config: &Config, statement: &str) -> anyhow::Result<()> {
    let mut config = config.clone();
    config.keepalives_idle(KEEPALIVE_IDLE).application_name("uptok migrate");
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await?;
        let statements = async move {
            join3(
                client.batch_execute("set statement_timeout = 0; set lock_timeout = 0"),
                client.batch_execute(statement),
                client.batch_execute("reset statement_timeout; reset lock_timeout"),
            )
            .await
        };
        let ((set, executed, reset), _closed) = join(statements, connection).await;
        Ok(set.and(executed).and(reset)?)
    })
}
