//! Changing the name, email and password of a user from the command line. Each change is in the audit log.

use anyhow::{Context as _, bail};
use diesel::prelude::*;
use uuid::Uuid;

use super::service;
use crate::{
    accounts::{
        display_name::DisplayName,
        email::EmailAddress,
        links,
        sign_in::user_sign_ins,
        store::{EMAIL_UNIQUE, find_user_id},
    },
    audit::AuditContext,
    db::violates,
    mail::Outbox,
    schema::users,
};

/// Changes the name of the user with this email. Does nothing if it is so already.
///
/// # Errors
/// If there is no such user, or the database fails.
pub fn set_name(
    connection: &mut PgConnection,
    context: &AuditContext,
    email: &EmailAddress,
    name: &DisplayName,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user_id = find_user(connection, email)?;
        let other_name = users::table.find(user_id).filter(users::name.ne(name));
        let rows = diesel::update(other_name).set(users::name.eq(name)).execute(connection)?;
        let changes: &[&str] = if rows == 0 { &[] } else { &["name"] };
        Ok(service::record_changes(connection, context, user_id, changes)?)
    })
}

/// Changes the email of a user at once, and notifies the old address by mail. Mailed links of the user stop working;
/// sign-ins stay.
/// Does nothing if it is so already.
///
/// # Errors
/// If there is no such user, the new email has an account, or the database fails.
pub fn set_email(
    connection: &mut PgConnection,
    context: &AuditContext,
    outbox: &Outbox,
    email: &EmailAddress,
    new_email: &EmailAddress,
) -> anyhow::Result<()> {
    connection.transaction(|connection| {
        let user_id = find_user(connection, email)?;
        if email == new_email {
            return Ok(());
        }
        match service::replace_email(connection, outbox, user_id, new_email) {
            Err(error) if violates(&error, EMAIL_UNIQUE) => bail!("{new_email} already has an account"),
            replaced => replaced?,
        }
        Ok(service::record_changes(connection, context, user_id, &["email"])?)
    })
}

/// Sets the password of the user with this email. Ends the user's sign-ins and mailed links. Returns `false` if there is no
/// such user.
///
/// # Errors
/// If the database fails.
pub fn set_password(
    connection: &mut PgConnection,
    context: &AuditContext,
    email: &EmailAddress,
    hash: &str,
) -> QueryResult<bool> {
    connection.transaction(|connection| {
        let Some(user_id) = find_user_id(connection, email)? else { return Ok(false) };
        diesel::update(users::table.find(user_id)).set(users::password_hash.eq(hash)).execute(connection)?;
        links::delete_all(connection, user_id)?;
        let ended = user_sign_ins::delete(connection, user_id, None)?;
        service::record_changes(connection, context, user_id, &["password"])?;
        user_sign_ins::record_ended(connection, context, user_id, ended)?;
        Ok(true)
    })
}

fn find_user(connection: &mut PgConnection, email: &EmailAddress) -> anyhow::Result<Uuid> {
    find_user_id(connection, email)?.with_context(|| format!("there is no user {email}"))
}
