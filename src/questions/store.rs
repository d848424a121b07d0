//! The table `questions`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use crate::{accounts::EmailAddress, schema::questions};

#[derive(Debug)]
pub(super) struct NewQuestion {
    pub(super) name: String,
    pub(super) email: EmailAddress,
    pub(super) question: String,
}

pub(super) fn create(connection: &mut PgConnection, new: &NewQuestion) -> QueryResult<()> {
    diesel::insert_into(questions::table)
        .values((
            questions::question_id.eq(Uuid::now_v7()),
            questions::name.eq(&new.name),
            questions::email.eq(&new.email),
            questions::question.eq(&new.question),
        ))
        .execute(connection)
        .map(|_rows| ())
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = questions, check_for_backend(diesel::pg::Pg))]
#[expect(clippy::struct_field_names, reason = "the names of the columns")]
pub(crate) struct Question {
    pub asked_at: DateTime<Utc>,
    pub name: String,
    /// Where to send the answer.
    pub email: String,
    pub question: String,
}

/// At most `limit` questions, the newest first.
///
/// # Errors
/// If the database fails.
pub(crate) fn latest(connection: &mut PgConnection, limit: i64) -> QueryResult<Vec<Question>> {
    questions::table
        .order((questions::asked_at.desc(), questions::question_id.desc()))
        .limit(limit)
        .select(Question::as_select())
        .load(connection)
}
