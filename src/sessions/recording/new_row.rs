//! New rows of the table `sessions`, written with `COPY`.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    ids::ClientId,
    schema::sessions,
    sessions::{fields::session_fields, record::IncomingSession},
};

/// A session that is not stored yet.
pub(crate) struct NewSessionRow<'a> {
    pub(crate) session_id: Uuid,
    pub(crate) incoming: &'a IncomingSession,
}

/// Stores the rows with the sequences from `first` on.
pub(crate) fn copy_rows(
    connection: &mut PgConnection,
    client: &ClientId,
    first: i64,
    rows: &[NewSessionRow],
) -> QueryResult<()> {
    // `COPY` takes no nested and no missing columns, so this is flat and complete but for what the database sets.
    macro_rules! row_values {
        (
            assigned_first $first:tt
            sent { $($field:ident: $type:ty $(, $personal:ident)? = $spec:expr;)* }
            assigned_last $last:tt
        ) => {
            |(sequence, row)| {
                let IncomingSession { record, updated_at, .. } = row.incoming;
                (
                    sessions::client_id.eq(client),
                    sessions::sequence.eq(sequence),
                    sessions::session_id.eq(row.session_id),
                    $(sessions::$field.eq(&record.$field),)*
                    sessions::sender_updated_at.eq(updated_at),
                )
            }
        };
    }
    let values: Vec<_> = (first..).zip(rows).map(session_fields!(row_values)).collect();
    if !values.is_empty() {
        diesel::copy_from(sessions::table).from_insertable(values).execute(connection)?;
    }
    Ok(())
}
