//! The table `questions`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::EmailAddress,
    mail::{MailKind, MailMessage, Outbox, OutgoingMail},
    schema::questions,
};

#[derive(Debug)]
pub(super) struct NewQuestion {
    pub(super) name: String,
    pub(super) email: EmailAddress,
    pub(super) question: String,
}

/// Stores the question, and sends it to `operator` if there is one.
pub(super) fn create(
    connection: &mut PgConnection,
    outbox: &Outbox,
    operator: Option<&str>,
    new: &NewQuestion,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        insert(connection, new)?;
        operator.map_or(Ok(()), |operator| outbox.enqueue(connection, &question_mail(operator, new)))
    })
}

/// An answer to the mail goes to the reader.
fn question_mail(operator: &str, new: &NewQuestion) -> OutgoingMail {
    let message = MailMessage::new(format!("Question from {}", new.name))
        .text(format!("{} <{}> asks:", new.name, new.email))
        .quote(&new.question);
    OutgoingMail::new(MailKind::Question, operator, message).reply_to(new.email.as_str())
}

fn insert(connection: &mut PgConnection, new: &NewQuestion) -> QueryResult<()> {
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
