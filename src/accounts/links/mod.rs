//! The table `account_links`: single-use links that reset a password or confirm an email.

pub(super) mod link_token;

use chrono::TimeDelta;
use diesel::{
    dsl::{IntervalDsl as _, count_star, now},
    prelude::*,
};
use uuid::Uuid;

use super::email::EmailAddress;
use crate::{
    accounts::links::link_token::LinkToken,
    db::sql::{database_now, text_enum},
    schema::{account_links, users},
};

/// A link is valid for this many hours.
const LINK_HOURS: i32 = 1;
/// Links of one kind that a user gets within an hour. Otherwise a stranger could fill a mailbox.
const LINKS_MAX: i64 = 5;

/// How long a link is valid.
pub(super) fn link_lifetime() -> TimeDelta {
    TimeDelta::hours(LINK_HOURS.into())
}

text_enum! {
    /// What a link does.
    LinkKind {
        /// Sets a new password.
        PasswordReset = "password_reset",
        /// Confirms a new email.
        EmailChange = "email_change",
    }
}

/// A link that has not been used and has not expired.
#[derive(Debug, Queryable)]
pub(super) struct ValidLink {
    pub(super) user_id: Uuid,
    pub(super) user_name: String,
    /// The user's present email.
    pub(super) email: EmailAddress,
    /// The email that the link confirms.
    pub(super) new_email: Option<EmailAddress>,
}

/// Stores a link and deletes those that have expired. Returns `None` if the user has had [`LINKS_MAX`] of this kind within
/// the hour.
pub(super) fn create(
    connection: &mut PgConnection,
    kind: LinkKind,
    user_id: Uuid,
    new_email: Option<&EmailAddress>,
) -> QueryResult<Option<LinkToken>> {
    diesel::delete(account_links::table.filter(account_links::expires_at.lt(now))).execute(connection)?;
    // Requests at the same time must not exceed the limit.
    users::table.find(user_id).select(users::user_id).for_update().execute(connection)?;
    let count = account_links::table
        .filter(account_links::user_id.eq(user_id).and(account_links::kind.eq(kind)))
        .select(count_star())
        .first::<i64>(connection)?;
    if count >= LINKS_MAX {
        return Ok(None);
    }
    insert(connection, kind, user_id, new_email).map(Some)
}

/// Stores a link without the limit, which is one for strangers.
pub(super) fn insert(
    connection: &mut PgConnection,
    kind: LinkKind,
    user_id: Uuid,
    new_email: Option<&EmailAddress>,
) -> QueryResult<LinkToken> {
    let token = LinkToken::generate();
    diesel::insert_into(account_links::table)
        .values((
            account_links::token_digest.eq(token.digest()),
            account_links::kind.eq(kind),
            account_links::user_id.eq(user_id),
            account_links::new_email.eq(new_email),
            account_links::expires_at.eq(database_now() + LINK_HOURS.hours()),
        ))
        .execute(connection)?;
    Ok(token)
}

/// The link with this token. Does not consume it.
pub(super) fn find(
    connection: &mut PgConnection,
    kind: LinkKind,
    token: &LinkToken,
) -> QueryResult<Option<ValidLink>> {
    account_links::table
        .inner_join(users::table)
        .filter(account_links::token_digest.eq(token.digest()).and(account_links::kind.eq(kind)))
        .filter(account_links::expires_at.gt(now).and(users::disabled_at.is_null()))
        .select((users::user_id, users::name, users::email, account_links::new_email))
        .first(connection)
        .optional()
}

/// Consumes the link with this token, and with it all links of its user: those in older mails must not work any more.
/// Returns `None` if it was used at the same moment.
pub(super) fn consume(
    connection: &mut PgConnection,
    kind: LinkKind,
    token: &LinkToken,
) -> QueryResult<Option<ValidLink>> {
    let Some(link) = find(connection, kind, token)? else { return Ok(None) };
    // Two links of a user that are used at the same time would wait for each other.
    users::table.find(link.user_id).select(users::user_id).for_no_key_update().execute(connection)?;
    let consumed = diesel::delete(account_links::table.find(token.digest())).execute(connection)?;
    if consumed == 0 {
        return Ok(None);
    }
    delete_all(connection, link.user_id)?;
    Ok(Some(link))
}

/// Deletes all links of a user.
pub(super) fn delete_all(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<()> {
    diesel::delete(account_links::table.filter(account_links::user_id.eq(user_id)))
        .execute(connection)
        .map(|_rows| ())
}
