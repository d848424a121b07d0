//! Creating links to reset a password, and using them.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::{
        account_mails,
        email::EmailAddress,
        links::{self, LinkKind, ValidLink, link_token::LinkToken},
        sign_in::user_sign_ins,
        store::find_user_id,
    },
    audit::{self, AccountEventKind, Actor, AuditContext, AuditEvent},
    mail::Outbox,
    schema::users,
};

/// The path of the page that sends links.
pub(crate) const FORGOT: &str = "/password/forgot";

/// The path of a link.
fn reset_path(token: &LinkToken) -> String {
    format!("/password/reset/{}", token.expose())
}

/// Sends a link to the user with this email. Does nothing if there is no such user, the user is disabled, or has had
/// enough links within the hour.
pub(super) fn send_link(
    connection: &mut PgConnection,
    context: &AuditContext,
    outbox: &Outbox,
    email: &EmailAddress,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let Some(user_id) = find_enabled(connection, email)? else { return Ok(()) };
        let created = links::create(connection, LinkKind::PasswordReset, user_id, None)?;
        let Some(token) = created else { return Ok(()) };
        let link = outbox.link(&reset_path(&token));
        outbox.enqueue(
            connection,
            &account_mails::password_reset(email.as_str(), link, links::link_lifetime()),
        )?;
        record_link(connection, context, user_id)
    })
}

/// Creates a link for the operator to pass on, and returns its path. Returns `None` if there is no such user, or the user is
/// disabled.
///
/// # Errors
/// If the database fails.
pub fn create_reset_link(
    connection: &mut PgConnection,
    context: &AuditContext,
    email: &EmailAddress,
) -> QueryResult<Option<String>> {
    connection.transaction(|connection| {
        let Some(user_id) = find_enabled(connection, email)? else { return Ok(None) };
        let token = links::insert(connection, LinkKind::PasswordReset, user_id, None)?;
        record_link(connection, context, user_id)?;
        Ok(Some(reset_path(&token)))
    })
}

fn find_enabled(connection: &mut PgConnection, email: &EmailAddress) -> QueryResult<Option<Uuid>> {
    let Some(user_id) = find_user_id(connection, email)? else { return Ok(None) };
    let enabled = users::table.find(user_id).filter(users::disabled_at.is_null());
    enabled.select(users::user_id).first(connection).optional()
}

fn record_link(connection: &mut PgConnection, context: &AuditContext, user_id: Uuid) -> QueryResult<()> {
    let event = AuditEvent::new(AccountEventKind::ResetLinkCreated);
    audit::record_account_event(connection, user_id, context, &event)
}

/// The link with this token. Does not consume it.
pub(super) fn find(connection: &mut PgConnection, token: &LinkToken) -> QueryResult<Option<ValidLink>> {
    links::find(connection, LinkKind::PasswordReset, token)
}

/// Consumes the link, sets the password, and ends all sign-ins of the user. Returns `false` if the link is not valid any
/// more.
pub(super) fn reset(
    connection: &mut PgConnection,
    context: &AuditContext,
    outbox: &Outbox,
    token: &LinkToken,
    password_hash: &str,
) -> QueryResult<bool> {
    connection.transaction(|connection| {
        let consumed = links::consume(connection, LinkKind::PasswordReset, token)?;
        let Some(link) = consumed else { return Ok(false) };
        diesel::update(users::table.find(link.user_id))
            .set(users::password_hash.eq(password_hash))
            .execute(connection)?;
        let ended = user_sign_ins::delete(connection, link.user_id, None)?;
        let mail = account_mails::password_changed(link.email.as_str(), outbox.link(FORGOT));
        outbox.enqueue(connection, &mail)?;
        let context = context.clone().else_by(Actor::User(link.user_id));
        let event = AuditEvent::new(AccountEventKind::AccountChanged).with("changed", "password");
        let event = event.with("by", "reset link");
        audit::record_account_event(connection, link.user_id, &context, &event)?;
        user_sign_ins::record_ended(connection, &context, link.user_id, ended)?;
        Ok(true)
    })
}

/// Tells a user by mail that the operator has set a new password.
///
/// # Errors
/// If the database fails.
pub fn report_new_password(
    connection: &mut PgConnection,
    outbox: &Outbox,
    email: &EmailAddress,
) -> QueryResult<()> {
    outbox.enqueue(connection, &account_mails::password_changed(email.as_str(), outbox.link(FORGOT)))
}
