//! Which errors of PostgreSQL mean that a row violates a constraint, so that trying again would fail again.
//!
//! Citus does not pass on the name of the constraint of a shard on another server, and after a `COPY` not even the
//! SQLSTATE. These errors are recognized by their message, in English, as [temporary errors](super::temporary) are.

use diesel::result::{DatabaseErrorKind, Error};

use super::distribution::is_name_on_shard;

/// What the messages with SQLSTATE 23502 (not-null) and 23514 (check) contain.
const ROW_VIOLATIONS: [&str; 2] = [" violates check constraint ", " violates not-null constraint"];

/// Whether `error` is the violation of the unique constraint or index `name`, on a shard too.
#[must_use]
pub fn violates(error: &Error, name: &str) -> bool {
    let Error::DatabaseError(DatabaseErrorKind::UniqueViolation, info) = error else { return false };
    match info.constraint_name() {
        Some(violated) => is_name_on_shard(violated, name),
        None => info.message().split('"').any(|part| is_name_on_shard(part, name)),
    }
}

/// Whether a row violates a check or a not-null constraint.
pub(crate) fn is_row_violation(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::CheckViolation | DatabaseErrorKind::NotNullViolation, _) => {
            true
        }
        Error::DatabaseError(DatabaseErrorKind::Unknown, error) => {
            ROW_VIOLATIONS.iter().any(|it| error.message().contains(it))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorKind::{CheckViolation, NotNullViolation, UniqueViolation, Unknown};

    use super::*;

    const ON_SHARD: &str = "duplicate key value violates unique constraint \"users_email_unique_102069\"";
    const CHECK_ON_SHARD: &str =
        "new row for relation \"sessions_102063\" violates check constraint \"sessions_rating_range\"";
    const NOT_NULL_ON_SHARD: &str =
        "null value in column \"status\" of relation \"sessions_102063\" violates not-null constraint";

    /// Without the name of a constraint, as on a shard.
    fn database_error(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[test]
    fn violated_index_of_a_shard_is_known_by_the_message() {
        assert!(violates(&database_error(UniqueViolation, ON_SHARD), "users_email_unique"));
        assert!(!violates(&database_error(UniqueViolation, ON_SHARD), "users_email"));
        assert!(!violates(&database_error(Unknown, ON_SHARD), "users_email_unique"));
    }

    #[test]
    fn row_violations_are_known_by_their_sqlstate_and_on_shards_by_their_message() {
        for (kind, message) in [
            (CheckViolation, "x"),
            (NotNullViolation, "x"),
            (Unknown, CHECK_ON_SHARD),
            (Unknown, NOT_NULL_ON_SHARD),
        ] {
            assert!(is_row_violation(&database_error(kind, message)), "{message}");
        }
        for (kind, message) in [
            (UniqueViolation, ON_SHARD),
            (Unknown, "connection to the remote node 10.0.0.21:5432 failed"),
            (Unknown, "could not extend file: No space left on device"),
        ] {
            assert!(!is_row_violation(&database_error(kind, message)), "{message}");
        }
        assert!(!is_row_violation(&Error::NotFound));
    }
}
