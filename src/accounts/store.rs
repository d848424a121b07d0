//! The tables `clients`, `users` and `memberships`.

use diesel::{dsl::exists, prelude::*, sql_types::BigInt};
use uuid::Uuid;

use super::{display_name::DisplayName, email::EmailAddress};
use crate::{
    accounts::membership::role::Role,
    audit::{self, Actor, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::{clients, memberships, second_factors, session_counters, users},
};

pub(crate) const EMAIL_UNIQUE: &str = "users_email_unique";
/// Advisory lock while only the first user may register.
const FIRST_USER_LOCK: i64 = 0x0066_6972_7374;

define_sql_function!(fn pg_advisory_xact_lock(key: BigInt));

#[derive(Debug)]
pub struct NewUser {
    pub email: EmailAddress,
    pub name: DisplayName,
    /// argon2id in PHC string format.
    pub password_hash: String,
}

/// The client that a new user joins.
#[derive(Clone, Copy, Debug)]
pub enum ClientToJoin<'a> {
    Client(&'a ClientId),
    /// A new client with this name.
    Company(&'a DisplayName),
}

#[derive(Debug, Queryable)]
pub(crate) struct LoginCandidate {
    pub(crate) user_id: Uuid,
    pub(crate) password_hash: String,
    /// `None` if the user is not a member of any client.
    pub(crate) client_id: Option<ClientId>,
    pub(crate) is_enabled: bool,
    /// Whether the login needs a code too.
    pub(crate) has_second_factor: bool,
}

#[derive(Debug)]
pub(crate) enum RegisterError {
    /// Only the first user may register, and there is one already.
    Closed,
    EmailTaken,
    Database(diesel::result::Error),
}

impl From<diesel::result::Error> for RegisterError {
    fn from(error: diesel::result::Error) -> Self {
        if crate::db::violates(&error, EMAIL_UNIQUE) { Self::EmailTaken } else { Self::Database(error) }
    }
}

/// Creates a user and a client that it owns.
pub(crate) fn register(
    connection: &mut PgConnection,
    context: &AuditContext,
    user: &NewUser,
    company: &DisplayName,
    only_first: bool,
) -> Result<(Uuid, ClientId), RegisterError> {
    connection.transaction(|connection| {
        if only_first && !is_first(connection)? {
            return Err(RegisterError::Closed);
        }
        let client = create_client(connection, company)?;
        let user_id = create_user(connection, user)?;
        join(connection, &client, user_id, Role::Owner)?;
        let context = context.clone().else_by(Actor::User(user_id));
        audit::record(connection, &client, &context, &member_added(user_id, Role::Owner))?;
        Ok((user_id, client))
    })
}

/// Creates a user and a client that it owns. Returns `None` if there is any user already.
///
/// # Errors
/// If the database fails.
pub fn create_first(
    connection: &mut PgConnection,
    context: &AuditContext,
    user: &NewUser,
    company: &DisplayName,
) -> QueryResult<Option<ClientId>> {
    match register(connection, context, user, company, true) {
        Ok((_user_id, client)) => Ok(Some(client)),
        Err(RegisterError::Database(error)) => Err(error),
        Err(RegisterError::Closed | RegisterError::EmailTaken) => Ok(None),
    }
}

/// Creates a user in a client, and returns the client.
///
/// # Errors
/// If the email has an account, there is no such client, or the database fails.
pub fn add_user(
    connection: &mut PgConnection,
    context: &AuditContext,
    user: &NewUser,
    choice: ClientToJoin<'_>,
    role: Role,
) -> anyhow::Result<ClientId> {
    connection.transaction(|connection| {
        let client = match choice {
            ClientToJoin::Client(client) => client.clone(),
            ClientToJoin::Company(company) => create_client(connection, company)?,
        };
        require_client(connection, &client)?;
        let user_id = create_user(connection, user).map_err(|error| match error {
            error if crate::db::violates(&error, EMAIL_UNIQUE) => {
                anyhow::anyhow!("{} already has an account", user.email)
            }
            error => error.into(),
        })?;
        join(connection, &client, user_id, role)?;
        audit::record(connection, &client, context, &member_added(user_id, role))?;
        Ok(client)
    })
}

pub(crate) fn member_added(user_id: Uuid, role: Role) -> AuditEvent {
    AuditEvent::new(EventKind::MemberAdded).on(&user_id).with("role", &role)
}

/// Whether there is no user yet. Concurrent callers wait until this transaction ends.
fn is_first(connection: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(pg_advisory_xact_lock(FIRST_USER_LOCK)).execute(connection)?;
    any_user(connection).map(|any| !any)
}

/// # Errors
/// If the database fails.
pub fn any_user(connection: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(exists(users::table.select(users::user_id))).get_result(connection)
}

/// Requires that there is a client with this id, for commands.
///
/// # Errors
/// A sentence that names the client if there is none, or if the database fails.
pub fn require_client(connection: &mut PgConnection, client: &ClientId) -> anyhow::Result<()> {
    let with_id = clients::table.find(client).select(clients::client_id);
    let is_found: bool = diesel::select(exists(with_id)).get_result(connection)?;
    anyhow::ensure!(is_found, "there is no client {client}");
    Ok(())
}

/// Creates a client and its session counter.
pub(crate) fn create_client(connection: &mut PgConnection, name: &DisplayName) -> QueryResult<ClientId> {
    let client = ClientId::generate();
    diesel::insert_into(clients::table)
        .values((clients::client_id.eq(&client), clients::name.eq(name)))
        .execute(connection)?;
    diesel::insert_into(session_counters::table)
        .values(session_counters::client_id.eq(&client))
        .execute(connection)?;
    Ok(client)
}

/// Creates a user that is not a member of any client yet.
///
/// # Errors
/// If the database fails; a violation of `users_email_unique` if the email has an account.
pub(crate) fn create_user(connection: &mut PgConnection, user: &NewUser) -> QueryResult<Uuid> {
    normalize_stored_email(connection, &user.email)?;
    let user_id = Uuid::now_v7();
    diesel::insert_into(users::table)
        .values((
            users::user_id.eq(user_id),
            users::email.eq(&user.email),
            users::name.eq(&user.name),
            users::password_hash.eq(&user.password_hash),
        ))
        .execute(connection)?;
    Ok(user_id)
}

/// Gives an address that was stored before domains were normalised the spelling of today, so that the unique constraint
/// compares it with a new one.
///
/// # Errors
/// If the database fails; a violation of `users_email_unique` if both spellings have an account.
pub(super) fn normalize_stored_email(connection: &mut PgConnection, email: &EmailAddress) -> QueryResult<()> {
    let Some(earlier) = email.ascii_spelling() else { return Ok(()) };
    diesel::update(users::table.filter(users::email.eq(earlier)))
        .set(users::email.eq(email))
        .execute(connection)
        .map(|_rows| ())
}

/// Makes the user a member of the client, or changes its role.
///
/// # Errors
/// If the database fails.
pub(crate) fn join(
    connection: &mut PgConnection,
    client: &ClientId,
    user_id: Uuid,
    role: Role,
) -> QueryResult<()> {
    diesel::insert_into(memberships::table)
        .values((
            memberships::client_id.eq(client),
            memberships::user_id.eq(user_id),
            memberships::role.eq(role),
        ))
        .on_conflict((memberships::client_id, memberships::user_id))
        .do_update()
        .set(memberships::role.eq(role))
        .execute(connection)
        .map(|_rows| ())
}

/// The user with this email. If each of its spellings has an account, the one in the spelling of today.
///
/// # Errors
/// If the database fails.
pub fn find_user_id(connection: &mut PgConnection, email: &EmailAddress) -> QueryResult<Option<Uuid>> {
    users::table
        .filter(users::email.eq_any(email.spellings()))
        .order(users::email.eq(email).desc())
        .select(users::user_id)
        .first(connection)
        .optional()
}

/// The clients that the user is a member of, by id.
///
/// # Errors
/// If the database fails.
pub fn list_clients(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<Vec<ClientId>> {
    memberships::table
        .filter(memberships::user_id.eq(user_id))
        .order(memberships::client_id)
        .select(memberships::client_id)
        .load(connection)
}

/// A membership, or a user without any.
#[derive(Debug, Queryable)]
pub struct UserListing {
    pub email: String,
    /// `None` if the user is not a member of any client.
    pub role: Option<Role>,
    pub client_id: Option<ClientId>,
    pub is_enabled: bool,
}

/// Every user with every membership, by email: at most 1000 rows.
///
/// # Errors
/// If the database fails.
pub fn list_users(connection: &mut PgConnection) -> QueryResult<Vec<UserListing>> {
    users::table
        .left_join(memberships::table)
        .order((users::email, memberships::client_id))
        .limit(1000)
        .select((
            users::email,
            memberships::role.nullable(),
            memberships::client_id.nullable(),
            users::disabled_at.is_null(),
        ))
        .load(connection)
}

/// Whether the user is enabled and a member of the client.
///
/// # Errors
/// If the database fails.
pub fn is_member(connection: &mut PgConnection, client: &ClientId, user_id: Uuid) -> QueryResult<bool> {
    let membership = memberships::table
        .inner_join(users::table)
        .filter(memberships::client_id.eq(client).and(memberships::user_id.eq(user_id)))
        .filter(users::disabled_at.is_null())
        .select(users::user_id);
    diesel::select(exists(membership)).get_result(connection)
}

/// The user with this email, and the client of its oldest membership if there is one.
pub(crate) fn login_candidate(
    connection: &mut PgConnection,
    email: &EmailAddress,
) -> QueryResult<Option<LoginCandidate>> {
    users::table
        .left_join(memberships::table)
        .left_join(second_factors::table)
        .filter(users::email.eq_any(email.spellings()))
        .order((users::email.eq(email).desc(), memberships::created_at, memberships::client_id))
        .select((
            users::user_id,
            users::password_hash,
            memberships::client_id.nullable(),
            users::disabled_at.is_null(),
            second_factors::activated_at.nullable().is_not_null(),
        ))
        .first(connection)
        .optional()
}
