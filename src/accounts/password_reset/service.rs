//! Creating links to reset a password, and using them.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::{
        email::EmailAddress,
        links::{self, LinkKind, ValidLink, link_token::LinkToken},
        messages,
        store::list_clients,
    },
    audit::{self, Actor, AuditContext, AuditEvent, EventKind},
    mail::Outbox,
    schema::{sign_ins, users},
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
        outbox
            .enqueue(connection, &messages::password_reset(email.as_str(), link, links::link_lifetime()))?;
        record_link(connection, context, user_id)
    })
}

/// Creates a link for the operator to pass on, and returns its path. Returns `None` if there is no such user, the user is
/// disabled, or has had enough links within the hour.
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
        let created = links::create(connection, LinkKind::PasswordReset, user_id, None)?;
        let Some(token) = created else { return Ok(None) };
        record_link(connection, context, user_id)?;
        Ok(Some(reset_path(&token)))
    })
}

fn find_enabled(connection: &mut PgConnection, email: &EmailAddress) -> QueryResult<Option<Uuid>> {
    users::table
        .filter(users::email.eq(email).and(users::disabled_at.is_null()))
        .select(users::user_id)
        .first(connection)
        .optional()
}

fn record_link(connection: &mut PgConnection, context: &AuditContext, user_id: Uuid) -> QueryResult<()> {
    let event = AuditEvent::new(EventKind::ResetLinkCreated).on(&user_id);
    for client in list_clients(connection, user_id)? {
        audit::record(connection, &client, context, &event)?;
    }
    Ok(())
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
        diesel::delete(sign_ins::table.filter(sign_ins::user_id.eq(link.user_id))).execute(connection)?;
        let mail = messages::password_changed(link.email.as_str(), outbox.link(FORGOT));
        outbox.enqueue(connection, &mail)?;
        let context = context.clone().else_by(Actor::User(link.user_id));
        let event = AuditEvent::new(EventKind::MemberChanged).on(&link.user_id).with("changed", "password");
        for client in list_clients(connection, link.user_id)? {
            audit::record(connection, &client, &context, &event.clone().with("by", "reset link"))?;
        }
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
    outbox.enqueue(connection, &messages::password_changed(email.as_str(), outbox.link(FORGOT)))
}
