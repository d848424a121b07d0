//! Changing a user's own name, email and password.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::{
        account_mails,
        display_name::DisplayName,
        email::EmailAddress,
        links::{self, LinkKind, ValidLink, link_token::LinkToken},
        password_reset::service::FORGOT,
        sign_in::user_sign_ins,
        store::{EMAIL_UNIQUE, normalize_stored_email},
    },
    audit::{self, AccountEventKind, Actor, AuditContext, AuditEvent},
    mail::Outbox,
    schema::users,
};

/// A user's own data.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(diesel::pg::Pg))]
pub(super) struct Account {
    pub(super) name: DisplayName,
    pub(super) email: EmailAddress,
}

pub(super) fn load(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<Account> {
    users::table.find(user_id).select(Account::as_select()).first(connection)
}

/// What a user changes. `None` stays as it is.
#[derive(Debug, Default)]
pub(super) struct AccountChange {
    pub(super) name: Option<DisplayName>,
    /// Takes effect once the link sent there is used.
    pub(super) email: Option<EmailAddress>,
    /// argon2id in PHC string format.
    pub(super) password_hash: Option<String>,
}

/// Whose account is changed, and with which sign-in.
#[derive(Clone, Debug)]
pub(super) struct AccountOwner {
    pub(super) user_id: Uuid,
    /// This sign-in does not end.
    pub(super) id_hash: Vec<u8>,
    pub(super) context: AuditContext,
}

/// What became of a new email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EmailRequest {
    Unchanged,
    /// The link is in the outbox.
    LinkSent,
    /// There is no mail, so the page shows this path.
    LinkToShow(String),
    /// The user has had enough links within the hour.
    TooMany,
}

/// Makes all changes or none.
pub(super) fn change(
    connection: &mut PgConnection,
    owner: &AccountOwner,
    outbox: &Outbox,
    change: &AccountChange,
) -> QueryResult<EmailRequest> {
    connection.transaction(|connection| {
        let (mut changed, mut ended) = (Vec::new(), 0);
        let user = diesel::update(users::table.find(owner.user_id));
        if let Some(name) = &change.name {
            user.set(users::name.eq(name)).execute(connection)?;
            changed.push("name");
        }
        if let Some(hash) = &change.password_hash {
            let email = diesel::update(users::table.find(owner.user_id))
                .set(users::password_hash.eq(hash))
                .returning(users::email)
                .get_result::<String>(connection)?;
            links::delete_all(connection, owner.user_id)?;
            ended = user_sign_ins::delete(connection, owner.user_id, Some(&owner.id_hash))?;
            outbox.enqueue(connection, &account_mails::password_changed(&email, outbox.link(FORGOT)))?;
            changed.push("password");
        }
        let request = match &change.email {
            Some(email) => request_email(connection, owner.user_id, outbox, email)?,
            None => EmailRequest::Unchanged,
        };
        record_changes(connection, &owner.context, owner.user_id, &changed)?;
        user_sign_ins::record_ended(connection, &owner.context, owner.user_id, ended)?;
        Ok(request)
    })
}

fn request_email(
    connection: &mut PgConnection,
    user_id: Uuid,
    outbox: &Outbox,
    email: &EmailAddress,
) -> QueryResult<EmailRequest> {
    let created = links::create(connection, LinkKind::EmailChange, user_id, Some(email))?;
    let Some(token) = created else { return Ok(EmailRequest::TooMany) };
    let path = format!("/email/confirm/{}", token.expose());
    if !outbox.is_on() {
        return Ok(EmailRequest::LinkToShow(path));
    }
    let lifetime = links::link_lifetime();
    outbox.enqueue(
        connection,
        &account_mails::email_confirmation(email.as_str(), outbox.link(&path), lifetime),
    )?;
    Ok(EmailRequest::LinkSent)
}

/// Records each change: `name`, `email` or `password`.
pub(super) fn record_changes(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    changed: &[&str],
) -> QueryResult<()> {
    changed.iter().try_for_each(|part| {
        let event = AuditEvent::new(AccountEventKind::AccountChanged).with("changed", part);
        audit::record_account_event(connection, user_id, context, &event)
    })
}

/// Changes the email and notifies the old address. Links in mails to the old one stop working.
///
/// # Errors
/// A violation of `users_email_unique` if the new email has an account.
pub(super) fn replace_email(
    connection: &mut PgConnection,
    outbox: &Outbox,
    user_id: Uuid,
    new_email: &EmailAddress,
) -> QueryResult<()> {
    let user = users::table.find(user_id);
    let email: String = user.select(users::email).for_no_key_update().first(connection)?;
    normalize_stored_email(connection, new_email)?;
    diesel::update(user).set(users::email.eq(new_email)).execute(connection)?;
    links::delete_all(connection, user_id)?;
    outbox.enqueue(connection, &account_mails::email_changed(&email, new_email.as_str()))
}

/// The link with this token. Does not consume it.
pub(super) fn find_email_link(
    connection: &mut PgConnection,
    token: &LinkToken,
) -> QueryResult<Option<ValidLink>> {
    links::find(connection, LinkKind::EmailChange, token)
}

/// Result of [`confirm_email`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmailConfirmation {
    Done,
    /// Another account has this email now.
    Taken,
    /// The link does not work any more.
    Dead,
}

/// Consumes the link, changes the email, and notifies the old address.
pub(super) fn confirm_email(
    connection: &mut PgConnection,
    context: &AuditContext,
    outbox: &Outbox,
    token: &LinkToken,
) -> QueryResult<EmailConfirmation> {
    let confirmed = connection.transaction(|connection| {
        let consumed = links::consume(connection, LinkKind::EmailChange, token)?;
        let Some(ValidLink { user_id, new_email: Some(new_email), .. }) = consumed else {
            return Ok(EmailConfirmation::Dead);
        };
        replace_email(connection, outbox, user_id, &new_email)?;
        let context = context.clone().else_by(Actor::User(user_id));
        record_changes(connection, &context, user_id, &["email"])?;
        Ok(EmailConfirmation::Done)
    });
    match confirmed {
        Err(error) if crate::db::violates(&error, EMAIL_UNIQUE) => Ok(EmailConfirmation::Taken),
        outcome => outcome,
    }
}
