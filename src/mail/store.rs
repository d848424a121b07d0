//! The table `outbox`.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::{
    dsl::{IntervalDsl as _, now},
    prelude::*,
};
use uuid::Uuid;

use super::kind::MailKind;
use crate::{db::sql::database_now, schema::outbox};

/// A mail is tried again for this many hours.
const GIVE_UP_HOURS: i32 = 24;
/// How long a mail belongs to the node that tries to send it, in seconds. Must be longer than an attempt takes, or another
/// node sends the mail too.
pub(super) const LEASE_SECONDS: i32 = 180;
/// Mail is deleted this many days after it was stored, sent or not.
const KEEP_DAYS: i32 = 30;
/// Pause after the first failed attempt, in seconds. It doubles with each attempt.
const FIRST_PAUSE_SECONDS: i32 = 30;
/// Longest pause between two attempts, in seconds.
const PAUSE_SECONDS_MAX: i32 = 60 * 60;
/// Maximum length of a stored error, in characters.
const ERROR_LENGTH_MAX: usize = 500;

pub(super) struct NewMail<'a> {
    pub(super) mail_id: Uuid,
    pub(super) kind: MailKind,
    pub(super) recipient: &'a str,
    /// Encrypted.
    pub(super) content: Vec<u8>,
    pub(super) valid_for: Option<TimeDelta>,
}

pub(super) fn insert(connection: &mut PgConnection, new: &NewMail<'_>) -> QueryResult<()> {
    let valid_seconds = new.valid_for.map(|time| i32::try_from(time.num_seconds()).unwrap_or(i32::MAX));
    diesel::insert_into(outbox::table)
        .values((
            outbox::mail_id.eq(new.mail_id),
            outbox::kind.eq(new.kind),
            outbox::recipient.eq(new.recipient),
            outbox::content.eq(&new.content),
            outbox::give_up_at.eq(database_now() + GIVE_UP_HOURS.hours()),
        ))
        .execute(connection)?;
    if let Some(seconds) = valid_seconds {
        diesel::update(outbox::table.find(new.mail_id))
            .set(outbox::expires_at.eq((database_now() + seconds.seconds()).nullable()))
            .execute(connection)?;
    }
    Ok(())
}

/// A mail that belongs to this node until its lease ends.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = outbox, check_for_backend(diesel::pg::Pg))]
pub(super) struct ClaimedMail {
    pub(super) mail_id: Uuid,
    /// Not a [`MailKind`], because a newer node may have stored it.
    pub(super) kind: String,
    pub(super) recipient: String,
    /// Encrypted.
    pub(super) content: Option<Vec<u8>>,
    pub(super) created_at: DateTime<Utc>,
    /// Number of this attempt, from 1.
    pub(super) attempts: i32,
}

/// Takes up to `limit` mails that are due. Mails that another node takes at the same moment are skipped, and those taken
/// here are not due again before the lease ends. Gives up those whose link has expired.
pub(super) fn claim(connection: &mut PgConnection, limit: i64) -> QueryResult<Vec<ClaimedMail>> {
    connection.transaction(|connection| {
        let due = outbox::table
            .filter(outbox::sent_at.is_null().and(outbox::failed_at.is_null()))
            .filter(outbox::next_attempt_at.le(now))
            .order((outbox::next_attempt_at, outbox::mail_id))
            .limit(limit)
            .select(outbox::mail_id)
            .for_update()
            .skip_locked()
            .load::<Uuid>(connection)?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        diesel::update(outbox::table.filter(outbox::mail_id.eq_any(&due)).filter(outbox::expires_at.le(now)))
            .set((
                outbox::failed_at.eq(now),
                outbox::last_error.eq("The link in this mail expired before it could be sent."),
            ))
            .execute(connection)?;
        diesel::update(outbox::table.filter(outbox::mail_id.eq_any(due)).filter(outbox::failed_at.is_null()))
            .set((
                outbox::attempts.eq(outbox::attempts + 1),
                outbox::next_attempt_at.eq(database_now() + LEASE_SECONDS.seconds()),
            ))
            .returning(ClaimedMail::as_returning())
            .get_results(connection)
    })
}

/// Records that the mail was sent, and deletes its content.
pub(super) fn mark_sent(connection: &mut PgConnection, mail_id: Uuid) -> QueryResult<()> {
    diesel::update(outbox::table.find(mail_id))
        .set((
            outbox::sent_at.eq(now),
            outbox::content.eq(None::<Vec<u8>>),
            outbox::last_error.eq(None::<String>),
            outbox::failed_at.eq(None::<DateTime<Utc>>),
        ))
        .execute(connection)
        .map(|_rows| ())
}

/// Records why an attempt failed. The next one follows after a pause, unless the failure is final or there is no time
/// left. Does nothing if another node has tried since.
pub(super) fn mark_failed(
    connection: &mut PgConnection,
    claimed: &ClaimedMail,
    error: &str,
    is_final: bool,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let error: String = error.chars().take(ERROR_LENGTH_MAX).collect();
        let pause = pause_seconds(claimed.attempts).seconds();
        let of_attempt = outbox::table.find(claimed.mail_id).filter(outbox::attempts.eq(claimed.attempts));
        diesel::update(of_attempt.filter(outbox::sent_at.is_null()))
            .set((outbox::last_error.eq(error), outbox::next_attempt_at.eq(database_now() + pause)))
            .execute(connection)?;
        let has_no_time =
            outbox::next_attempt_at.ge(outbox::give_up_at).or(is_final.into_sql::<diesel::sql_types::Bool>());
        diesel::update(of_attempt.filter(outbox::sent_at.is_null()).filter(has_no_time))
            .set(outbox::failed_at.eq(now))
            .execute(connection)
            .map(|_rows| ())
    })
}

/// Pause after this attempt, from 1.
fn pause_seconds(attempt: i32) -> i32 {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(20);
    FIRST_PAUSE_SECONDS.saturating_mul(2_i32.saturating_pow(doublings)).min(PAUSE_SECONDS_MAX)
}

/// Deletes mail that was stored long ago.
pub(super) fn delete_old(connection: &mut PgConnection) -> QueryResult<()> {
    diesel::delete(outbox::table.filter(outbox::created_at.lt(database_now() - KEEP_DAYS.days())))
        .execute(connection)
        .map(|_rows| ())
}

/// A mail as the operator sees it, without its content.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = outbox, check_for_backend(diesel::pg::Pg))]
pub(crate) struct MailListing {
    pub(crate) mail_id: Uuid,
    /// Not a [`MailKind`], because a newer node may have stored it.
    pub(crate) kind: String,
    pub(crate) recipient: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) attempts: i32,
    pub(crate) next_attempt_at: DateTime<Utc>,
    pub(crate) last_error: Option<String>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
    pub(crate) failed_at: Option<DateTime<Utc>>,
}

/// At most `limit` mails, the newest first.
///
/// # Errors
/// If the database fails.
pub(crate) fn list(connection: &mut PgConnection, limit: i64) -> QueryResult<Vec<MailListing>> {
    outbox::table
        .order((outbox::created_at.desc(), outbox::mail_id.desc()))
        .limit(limit)
        .select(MailListing::as_select())
        .load(connection)
}

/// Number of mails that are to be sent, now or later.
///
/// # Errors
/// If the database fails.
pub(crate) fn count_waiting(connection: &mut PgConnection) -> QueryResult<i64> {
    let waiting = outbox::table.filter(outbox::sent_at.is_null().and(outbox::failed_at.is_null()));
    waiting.count().get_result(connection)
}

/// Result of [`retry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryOutcome {
    /// It is due now and is tried for another day.
    Due,
    /// It was sent already.
    Sent,
    /// The link in it has expired.
    Expired,
    /// There is no such mail, or no longer.
    Unknown,
}

/// Makes a mail due, as if it had just been stored.
///
/// # Errors
/// If the database fails.
pub(crate) fn retry(connection: &mut PgConnection, mail_id: Uuid) -> QueryResult<RetryOutcome> {
    connection.transaction(|connection| {
        let found = outbox::table
            .find(mail_id)
            .select((outbox::sent_at.is_not_null(), outbox::expires_at.le(now)))
            .for_update()
            .first::<(bool, Option<bool>)>(connection)
            .optional()?;
        match found {
            None => Ok(RetryOutcome::Unknown),
            Some((true, _)) => Ok(RetryOutcome::Sent),
            Some((_, Some(true))) => Ok(RetryOutcome::Expired),
            Some(_) => {
                diesel::update(outbox::table.find(mail_id))
                    .set((
                        outbox::failed_at.eq(None::<DateTime<Utc>>),
                        outbox::next_attempt_at.eq(database_now()),
                        outbox::give_up_at.eq(database_now() + GIVE_UP_HOURS.hours()),
                    ))
                    .execute(connection)?;
                Ok(RetryOutcome::Due)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let pauses = [1, 2, 3, 7, 8, 9, 100, 0].map(pause_seconds);
        assert_eq!(pauses, [30, 60, 120, 1920, 3600, 3600, 3600, 30]);
    }
}
