//! The table `pending_logins`: logins whose password was right and that wait for a code. They sign nobody in.

use diesel::{
    dsl::{IntervalDsl as _, now},
    prelude::*,
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    accounts::{email::EmailAddress, links::link_token::LinkToken},
    db::sql::database_now,
    schema::{pending_logins, users},
};

/// A login waits for its code this long, in minutes.
pub(super) const PENDING_MINUTES: i32 = 10;
/// Codes that can be sent for a login. Then it starts again with the password.
const ATTEMPTS_MAX: i32 = 5;

/// A login that waits for a code.
#[derive(Debug)]
pub(super) struct PendingLogin {
    pub(super) user_id: Uuid,
    pub(super) email: EmailAddress,
    /// Where the login leads, as JSON.
    pub(super) login_return: String,
}

/// Stores a login whose password matched `password_hash`, and deletes those that have expired.
pub(super) fn create(
    connection: &mut PgConnection,
    user_id: Uuid,
    password_hash: &str,
    login_return: &str,
) -> QueryResult<LinkToken> {
    diesel::delete(pending_logins::table.filter(pending_logins::expires_at.lt(now))).execute(connection)?;
    let token = LinkToken::generate();
    diesel::insert_into(pending_logins::table)
        .values((
            pending_logins::token_digest.eq(token.digest()),
            pending_logins::user_id.eq(user_id),
            pending_logins::password_digest.eq(digest_password(password_hash)),
            pending_logins::login_return.eq(login_return),
            pending_logins::expires_at.eq(database_now() + PENDING_MINUTES.minutes()),
        ))
        .execute(connection)?;
    Ok(token)
}

/// The login with this token. Returns `None` if it has expired or was completed, or if the user is disabled or has
/// another password by now.
pub(super) fn find(connection: &mut PgConnection, token: &LinkToken) -> QueryResult<Option<PendingLogin>> {
    type Row = (Uuid, EmailAddress, String, String, Vec<u8>);
    let row: Option<Row> = pending_logins::table
        .inner_join(users::table)
        .filter(pending_logins::token_digest.eq(token.digest()))
        .filter(pending_logins::expires_at.gt(now))
        .filter(users::disabled_at.is_null())
        .select((
            users::user_id,
            users::email,
            pending_logins::login_return,
            users::password_hash,
            pending_logins::password_digest,
        ))
        .first(connection)
        .optional()?;
    let row = row.filter(|(_, _, _, password_hash, digest)| digest_password(password_hash) == *digest);
    Ok(row.map(|(user_id, email, login_return, _, _)| PendingLogin { user_id, email, login_return }))
}

/// Counts a code before it is verified, so that codes sent at the same time cannot exceed [`ATTEMPTS_MAX`]. Returns `false`
/// if that many were counted before.
pub(super) fn count_attempt(connection: &mut PgConnection, token: &LinkToken) -> QueryResult<bool> {
    let login = pending_logins::table.find(token.digest()).filter(pending_logins::attempts.lt(ATTEMPTS_MAX));
    diesel::update(login)
        .set(pending_logins::attempts.eq(pending_logins::attempts + 1))
        .execute(connection)
        .map(|rows| rows == 1)
}

/// Deletes the login. Returns `false` if it was completed at the same moment.
pub(super) fn complete(connection: &mut PgConnection, token: &LinkToken) -> QueryResult<bool> {
    diesel::delete(pending_logins::table.find(token.digest())).execute(connection).map(|rows| rows == 1)
}

/// A fast hash is enough, because the password hash has a salt of its own.
fn digest_password(password_hash: &str) -> Vec<u8> {
    Sha256::digest(password_hash.as_bytes()).to_vec()
}
