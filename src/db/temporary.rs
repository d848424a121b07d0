//! Which errors of PostgreSQL are temporary: the caller should try again, and nothing is wrong with the request.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

/// Beginnings of messages with an SQLSTATE of class 40 (transaction rollback), 53 (insufficient resources) or 57
/// (operator intervention), or 55P03 (lock not available), or that a server behind the one with the connection is gone.
const BEGINNINGS: [&str; 24] = [
    // 40001. Diesel has a kind for it, but Citus drops the SQLSTATE of a worker after a `COPY`.
    "could not serialize access",
    // 40P01.
    "deadlock detected",
    // 53000.
    "could not register background process",
    "no empty local buffer available",
    "no unpinned buffers available",
    "out of background worker slots",
    "out of file descriptors",
    "too many dynamic shared memory segments",
    // 53100.
    "disk full",
    // 53200.
    "out of memory",
    "out of shared memory",
    // 53300.
    "remaining connection slots are reserved",
    "sorry, too many clients already",
    "too many connections for",
    // 53400.
    "temporary file size exceeds",
    // 55P03.
    "could not obtain lock on",
    // 57014; "… due to lock timeout" is 55P03, "… due to conflict with recovery" is 40001 or 40P01.
    "canceling statement due to",
    // 57P01, 57P02, 57P04 and 57P05.
    "terminating connection",
    // 57P03.
    "the database system is",
    // 08P01 of PgBouncer: PostgreSQL has stopped, does not start, or has no connection free.
    "server conn crashed",
    "server login has been failing",
    "query_wait_timeout",
    // 58030 of Citus: a worker stopped during a `COPY`.
    "failed to COPY to shard",
    "failed to complete COPY on",
];

/// What messages of class 53 contain that the operating system caused: ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE and a file
/// that was written in part.
const REASONS: [&str; 6] = [
    "No space left on device",
    "Disk quota exceeded",
    "Cannot allocate memory",
    "Too many open files",
    ": wrote only ",
    "exceeded maxAllocatedDescs",
];

/// Whether the statement may succeed if it is sent again: the connection was lost, or the SQLSTATE is of class 40, 53 or
/// 57, or a lock was not free in time, or a worker of Citus is gone.
///
/// Diesel passes on only a few SQLSTATEs, as kinds. The others are recognized by their message, in English.
pub(crate) fn is_temporary(error: &Error) -> bool {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::SerializationFailure,
            _,
        )
        | Error::BrokenTransactionManager => true,
        Error::DatabaseError(_, error) => has_temporary_message(error.as_ref()),
        Error::RollbackErrorOnCommit { commit_error, .. } => is_temporary(commit_error),
        _ => false,
    }
}

fn has_temporary_message(error: &(dyn DatabaseErrorInformation + Send + Sync)) -> bool {
    let message = error.message();
    BEGINNINGS.iter().any(|it| message.starts_with(it))
        || REASONS.iter().any(|it| message.contains(it))
        || error.hint() == Some("Check free disk space.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_error(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn full_disk_stop_and_rollback_are_temporary() {
        for message in [
            "could not extend file \"base/5/16384\": No space left on device",
            "could not extend file \"base/5/16384\": wrote only 4096 of 8192 bytes at block 7",
            "out of shared memory",
            "temporary file size exceeds temp_file_limit (1024kB)",
            "deadlock detected",
            "canceling statement due to user request",
            "terminating connection due to administrator command",
            "the database system is shutting down",
            "failed to complete COPY on 10.0.0.21:5432",
        ] {
            assert!(is_temporary(&database_error(message)), "{message}");
        }
    }

    #[test]
    fn mistakes_are_not_temporary() {
        for message in [
            "column \"canceling statement due to\" does not exist",
            "invalid input syntax for type integer: \"out of memory\"",
            "date/time field value out of range: \"-9999-01-01\"",
            "COPY from stdin failed: x",
        ] {
            assert!(!is_temporary(&database_error(message)), "{message}");
        }
        assert!(!is_temporary(&Error::NotFound));
    }
}
