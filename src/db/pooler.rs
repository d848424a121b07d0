//! Connection poolers between this process and PostgreSQL, such as PgBouncer.
//!
//! A pooler may give every transaction of a connection to another process of PostgreSQL, and other clients use that
//! process in between. So a setting of the session would reach other clients, and the process must not be terminated.
//! Settings of the role and of a transaction take their place.

use std::{sync::mpsc, thread, time::Duration};

use diesel::{
    ConnectionError, ConnectionResult,
    dsl::sql,
    prelude::*,
    result::Error,
    select,
    sql_types::{Integer, Nullable, Text},
};

use super::connect_error::ConnectError;
use crate::random;

/// Time limit for checking prepared statements. A pooler without a free connection would keep the check waiting.
const CHECK_MAX: Duration = Duration::from_secs(3);
/// Long enough that no other connection ever had the same marker.
const MARKER_LENGTH: usize = 20;
/// How often both connections use their statements. Traffic of other clients may hide the loss once.
const CHECK_ROUNDS: usize = 4;

/// Whether a pooler is between this process and the database. `url` has its time limits.
///
/// PostgreSQL applies the options that a client connects with. A pooler refuses or ignores them, because it connected
/// earlier.
///
/// # Errors
/// If there is no connection at all.
pub(super) fn is_in_between(url: &str) -> ConnectionResult<bool> {
    let marker = random::base36(MARKER_LENGTH);
    let mut connection = match PgConnection::establish(&with_marker(url, &marker)) {
        Ok(connection) => connection,
        Err(ConnectionError::BadConnection(message)) if refuses_options(&message) => return Ok(true),
        Err(error) => return Err(error),
    };
    let found = select(sql::<Nullable<Text>>("current_setting('uptok.connection', true)"))
        .get_result::<Option<String>>(&mut connection)
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(found.as_deref() != Some(marker.as_str()))
}

/// Adds a setting that means nothing to PostgreSQL.
fn with_marker(url: &str, marker: &str) -> String {
    if ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return format!("{url}&options=-c%20uptok.connection%3D{marker}");
    }
    format!("{url} options='-c uptok.connection={marker}'")
}

/// The messages of PgBouncer and of Amazon RDS Proxy.
fn refuses_options(message: &str) -> bool {
    message.contains("startup parameter") || message.contains("command-line options")
}

/// Checks that statements that were prepared on one connection stay apart from those of another one. `url` has its time
/// limits.
///
/// # Errors
/// If the pooler mixes them up, or has no connection for the check.
pub(super) fn require_prepared_statements(url: &str) -> Result<(), ConnectError> {
    let (sender, outcome) = mpsc::channel();
    let url = url.to_owned();
    thread::spawn(move || sender.send(keeps_prepared_statements(&url)));
    match outcome.recv_timeout(CHECK_MAX) {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(ConnectError::NO_PREPARED_STATEMENTS),
        Ok(Err(error)) => Err(ConnectError::from_message(&error.to_string())),
        Err(_elapsed) => Err(ConnectError::POOLER_IS_FULL),
    }
}

fn keeps_prepared_statements(url: &str) -> ConnectionResult<bool> {
    let mut first = PgConnection::establish(url)?;
    let mut second = PgConnection::establish(url)?;
    for _ in 0..CHECK_ROUNDS {
        // Different statements, to which Diesel gives the same name: each is the first of its connection. One is in a
        // transaction, which poolers refuse in statement mode.
        let number = first.transaction(|first| select(1.into_sql::<Integer>()).get_result::<i32>(first));
        let text = select("two".into_sql::<Text>()).get_result::<String>(&mut second);
        if number.as_ref().is_err_and(names_statement) || text.as_ref().is_err_and(names_statement) {
            return Ok(false);
        }
        number.map_err(ConnectionError::CouldntSetupConfiguration)?;
        text.map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(true)
}

/// Whether the error is about a prepared statement. The rest of the message is in the language of the server.
fn names_statement(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, cause) if cause.message().contains("__diesel_stmt_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_added_to_urls_and_to_pairs() {
        for (url, expected) in [
            (
                "postgres://uptok@db/uptok?connect_timeout=5",
                "postgres://uptok@db/uptok?connect_timeout=5&options=-c%20uptok.connection%3Dm",
            ),
            ("connect_timeout=5 host=db", "connect_timeout=5 host=db options='-c uptok.connection=m'"),
        ] {
            assert_eq!(with_marker(url, "m"), expected);
        }
    }

    #[test]
    fn refused_options_are_told_from_other_failures() {
        for message in [
            "connection to server at \"db\", port 6432 failed: FATAL:  unsupported startup parameter: options",
            "FATAL:  unsupported startup parameter in options: uptok.connection",
            "FATAL:  Feature not supported: RDS Proxy currently doesn't support command-line options.",
        ] {
            assert!(refuses_options(message), "{message}");
        }
        assert!(!refuses_options(
            "connection to server at \"options\", port 5432 failed: Connection refused"
        ));
    }
}
