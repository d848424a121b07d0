//! The table `invitations`.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{IntervalDsl as _, count_star, now},
    prelude::*,
};
use uuid::Uuid;

use crate::{
    accounts::{EmailAddress, LinkToken, Role},
    db::sql::database_now,
    ids::ClientId,
    schema::{clients, invitations, memberships, users},
};

/// A link works for this many days.
pub const INVITATION_DAYS: i32 = 7;
/// Maximum number of invitations of a client, including expired ones.
pub(crate) const PENDING_MAX: i64 = 100;

/// An invitation that was neither accepted nor withdrawn.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub invitation_id: Uuid,
    pub client_id: ClientId,
    pub client_name: String,
    /// The only address that can accept it.
    pub email: EmailAddress,
    pub role: Role,
    /// The name of the user who sent it. `None` if the command line did, or the user is gone.
    pub invited_by: Option<String>,
    pub expires_at: DateTime<Utc>,
    pub is_expired: bool,
}

/// An [`Invitation`] without the name of its client.
#[derive(Queryable)]
struct StoredInvitation {
    invitation_id: Uuid,
    client_id: ClientId,
    email: EmailAddress,
    role: Role,
    invited_by: Option<String>,
    expires_at: DateTime<Utc>,
    is_expired: bool,
}

impl StoredInvitation {
    /// The name comes from a query of its own, because clients may be on other servers than invitations.
    fn with_client_name(self, client_name: String) -> Invitation {
        Invitation {
            invitation_id: self.invitation_id,
            client_id: self.client_id,
            client_name,
            email: self.email,
            role: self.role,
            invited_by: self.invited_by,
            expires_at: self.expires_at,
            is_expired: self.is_expired,
        }
    }

    fn load_client_name(self, connection: &mut PgConnection) -> QueryResult<Invitation> {
        let client_name = load_client_name(connection, &self.client_id)?;
        Ok(self.with_client_name(client_name))
    }
}

fn load_client_name(connection: &mut PgConnection, client: &ClientId) -> QueryResult<String> {
    clients::table.find(client).select(clients::name).first(connection)
}

/// Selects an [`StoredInvitation`], with the inviting user joined.
macro_rules! select_invitations {
    ($query:expr) => {
        $query.left_join(users::table.on(users::user_id.nullable().eq(invitations::invited_by))).select((
            invitations::invitation_id,
            invitations::client_id,
            invitations::email,
            invitations::role,
            users::name.nullable(),
            invitations::expires_at,
            invitations::expires_at.le(now),
        ))
    };
}

/// The invitations of a client, the newest first: at most [`PENDING_MAX`].
///
/// # Errors
/// If the database fails.
pub fn list(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Vec<Invitation>> {
    let rows: Vec<StoredInvitation> = select_invitations!(invitations::table)
        .filter(invitations::client_id.eq(client))
        .order((invitations::created_at.desc(), invitations::invitation_id.desc()))
        .limit(PENDING_MAX)
        .load(connection)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let client_name = load_client_name(connection, client)?;
    Ok(rows.into_iter().map(|row| row.with_client_name(client_name.clone())).collect())
}

/// The invitation whose link has a token with this SHA-256, unless it has expired.
pub(super) fn find_valid(
    connection: &mut PgConnection,
    token_digest: &[u8],
) -> QueryResult<Option<Invitation>> {
    let row: Option<StoredInvitation> = select_invitations!(invitations::table)
        .filter(invitations::token_hash.eq(token_digest))
        .filter(invitations::expires_at.gt(now))
        .first(connection)
        .optional()?;
    row.map(|row| row.load_client_name(connection)).transpose()
}

/// An invitation of the client.
pub(super) fn find(
    connection: &mut PgConnection,
    client: &ClientId,
    invitation_id: Uuid,
) -> QueryResult<Invitation> {
    let row: StoredInvitation = select_invitations!(invitations::table)
        .filter(invitations::client_id.eq(client).and(invitations::invitation_id.eq(invitation_id)))
        .first(connection)?;
    row.load_client_name(connection)
}

/// The invitation of this email address to the client.
pub(super) fn find_by_email(
    connection: &mut PgConnection,
    client: &ClientId,
    email: &EmailAddress,
) -> QueryResult<Option<Invitation>> {
    let row: Option<StoredInvitation> = select_invitations!(invitations::table)
        .filter(invitations::client_id.eq(client).and(invitations::email.eq_any(email.spellings())))
        .first(connection)
        .optional()?;
    row.map(|row| row.load_client_name(connection)).transpose()
}

pub(super) fn count(connection: &mut PgConnection, client: &ClientId) -> QueryResult<i64> {
    let of_client = invitations::table.filter(invitations::client_id.eq(client));
    of_client.select(count_star()).first(connection)
}

/// Whether the user with this email address is a member of the client.
pub(super) fn is_member(
    connection: &mut PgConnection,
    client: &ClientId,
    email: &EmailAddress,
) -> QueryResult<bool> {
    let member = memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client).and(users::email.eq_any(email.spellings())))
        .select(users::user_id);
    diesel::select(diesel::dsl::exists(member)).get_result(connection)
}

/// A new row of the table.
#[derive(Debug)]
pub(super) struct InvitationToStore<'a> {
    pub(super) email: &'a EmailAddress,
    pub(super) role: Role,
    pub(super) invited_by: Option<Uuid>,
}

/// Stores an invitation that expires after [`INVITATION_DAYS`].
pub(super) fn insert(
    connection: &mut PgConnection,
    client: &ClientId,
    new: &InvitationToStore<'_>,
    token: &LinkToken,
) -> QueryResult<Uuid> {
    let invitation_id = Uuid::now_v7();
    diesel::insert_into(invitations::table)
        .values((
            invitations::invitation_id.eq(invitation_id),
            invitations::client_id.eq(client),
            invitations::email.eq(new.email),
            invitations::role.eq(new.role),
            invitations::token_hash.eq(token.digest()),
            invitations::invited_by.eq(new.invited_by),
            invitations::expires_at.eq(database_now() + INVITATION_DAYS.days()),
        ))
        .execute(connection)?;
    Ok(invitation_id)
}

/// Gives an invitation a new link, which is valid for [`INVITATION_DAYS`]. The previous link stops working. Returns `false`
/// if it was accepted or withdrawn before.
pub(super) fn replace_token(
    connection: &mut PgConnection,
    invitation_id: Uuid,
    token: &LinkToken,
) -> QueryResult<bool> {
    diesel::update(invitations::table.find(invitation_id))
        .set((
            invitations::token_hash.eq(token.digest()),
            invitations::expires_at.eq(database_now() + INVITATION_DAYS.days()),
        ))
        .execute(connection)
        .map(|rows| rows > 0)
}

/// Deletes an invitation. Returns `false` if someone else did so before.
pub(super) fn delete(connection: &mut PgConnection, invitation_id: Uuid) -> QueryResult<bool> {
    diesel::delete(invitations::table.find(invitation_id)).execute(connection).map(|rows| rows > 0)
}

/// Deletes the invitation with this link. Returns `false` if it was used, withdrawn or replaced before.
pub(super) fn delete_with_token(connection: &mut PgConnection, token_digest: &[u8]) -> QueryResult<bool> {
    let with_token = invitations::table.filter(invitations::token_hash.eq(token_digest));
    diesel::delete(with_token).execute(connection).map(|rows| rows > 0)
}

/// The email address of a user.
pub(super) fn load_email(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<EmailAddress> {
    users::table.find(user_id).select(users::email).first(connection)
}
