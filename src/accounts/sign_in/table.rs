//! The table `sign_ins`.

use diesel::{
    dsl::{IntervalDsl as _, exists, now},
    prelude::*,
    sql_types::{Nullable, Text},
};
use ipnet::IpNet;
use uuid::Uuid;

use super::extractor::{ClientMembership, SignInOrigin, SignInRow};
use crate::{
    accounts::{
        account_mails::{self, NewDevice},
        login::user_agent::describe_device,
        membership::role::Role,
    },
    audit::{self, AccountEventKind, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::{DataPlacement, sql::database_now},
    ids::ClientId,
    mail::Outbox,
    schema::{clients, memberships, second_factors, sign_ins, users},
    web::format::time,
};

/// A sign-in ends after this many hours without a request.
pub(super) const IDLE_HOURS: i32 = 12;
/// A sign-in ends after this many days.
const SIGN_IN_DAYS: i32 = 7;
/// A login, or entering the password or a code again, counts as a confirmation for this many hours.
const RECENT_HOURS: i32 = 1;
/// The page with all sign-ins of a user.
pub(crate) const SIGN_INS: &str = "/account/sign-ins";
/// Maximum number of clients of a user that a page offers.
const CLIENTS_MAX: i64 = 200;

pub(crate) struct NewSignIn {
    pub(crate) id_hash: Vec<u8>,
    pub(crate) user_id: Uuid,
    /// The active client. `None` if the user is not a member of any client.
    pub(crate) client: Option<ClientId>,
    pub(crate) origin: SignInOrigin,
    pub(crate) flash: Option<String>,
    /// As JSON.
    pub(crate) lost_form: Option<String>,
}

/// A change of the active client of a sign-in.
pub(crate) struct ClientSwitch {
    pub(crate) user_id: Uuid,
    pub(crate) client: ClientId,
    pub(crate) context: AuditContext,
}

/// Stores a sign-in that ends after [`SIGN_IN_DAYS`], and deletes all that have ended.
pub(crate) fn create(
    connection: &mut PgConnection,
    context: &AuditContext,
    outbox: &Outbox,
    new: &NewSignIn,
) -> QueryResult<()> {
    diesel::delete(sign_ins::table.filter(sign_ins::ends_at.lt(now))).execute(connection)?;
    connection.transaction(|connection| {
        diesel::insert_into(sign_ins::table)
            .values((
                sign_ins::id_hash.eq(&new.id_hash),
                sign_ins::user_id.eq(new.user_id),
                sign_ins::client_id.eq(&new.client),
                sign_ins::flash.eq(&new.flash),
                sign_ins::address.eq(new.origin.address.map(IpNet::from)),
                sign_ins::user_agent.eq(&new.origin.user_agent),
                sign_ins::lost_form.eq(&new.lost_form),
                sign_ins::ends_at.eq(database_now() + SIGN_IN_DAYS.days()),
            ))
            .execute(connection)?;
        if new.origin.is_new_device {
            report_new_device(connection, outbox, new)?;
        }
        let event = AuditEvent::new(AccountEventKind::SignInSucceeded);
        audit::record_account_event(connection, new.user_id, context, &event)
    })
}

fn report_new_device(connection: &mut PgConnection, outbox: &Outbox, new: &NewSignIn) -> QueryResult<()> {
    let email: String = users::table.find(new.user_id).select(users::email).first(connection)?;
    let address = new.origin.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let sign_in =
        NewDevice { device: &describe_device(&new.origin.user_agent), address: &address, at: time::now() };
    outbox.enqueue(connection, &account_mails::new_device(&email, &sign_in, outbox.link(SIGN_INS)))
}

/// A sign-in with one of the clients of its user.
#[derive(Queryable)]
struct SignInWithClient {
    user_id: Uuid,
    name: String,
    email: String,
    /// The client that was active last.
    active_id: Option<ClientId>,
    flash: Option<String>,
    is_stale: bool,
    is_new: bool,
    /// `None` if the user has not entered the password or a code since the login.
    is_confirmed: Option<bool>,
    has_second_factor: bool,
    role: Option<Role>,
    client: Option<JoinedClient>,
}

#[derive(Queryable)]
struct JoinedClient {
    client_id: ClientId,
    name: String,
    requires_second_factor: bool,
}

impl SignInWithClient {
    /// Whether the client was active last.
    fn is_active(&self) -> bool {
        self.client.as_ref().map(|client| &client.client_id) == self.active_id.as_ref()
    }
}

/// The sign-in and its message for the next page. Returns `None` if it has ended, was idle for [`IDLE_HOURS`], or the
/// user is disabled or no longer a member of the active client.
pub(crate) fn find(
    connection: &mut PgConnection,
    id_hash: &[u8],
    placement: DataPlacement,
) -> QueryResult<Option<(SignInRow, Option<String>)>> {
    let rows = match placement {
        DataPlacement::OneServer => load_with_clients(connection, id_hash)?,
        DataPlacement::ByClient => load_and_look_up_clients(connection, id_hash)?,
    };
    let is_stale = rows.first().is_some_and(|row| row.is_stale);
    let Some(found) = choose_active_client(id_hash, rows) else { return Ok(None) };
    if is_stale {
        touch(connection, id_hash)?;
    }
    Ok(Some(found))
}

/// Selects the sign-in with this id, unless it has ended: a row for each membership of its user, or one without any.
/// `$join` adds tables, and `$client` are the columns of [`JoinedClient`].
macro_rules! select_sign_in {
    ($id_hash:expr, [$($join:expr)?], $client:expr) => {
        sign_ins::table
            .inner_join(users::table)
            .left_join(second_factors::table.on(second_factors::user_id.eq(sign_ins::user_id)))
            .left_join(memberships::table.on(memberships::user_id.eq(sign_ins::user_id)))
            $(.left_join($join))?
            .filter(sign_ins::id_hash.eq($id_hash))
            .filter(sign_ins::ends_at.gt(now))
            .filter(sign_ins::last_seen_at.gt(database_now() - IDLE_HOURS.hours()))
            .filter(users::disabled_at.is_null())
            .limit(CLIENTS_MAX)
            .select((
                users::user_id,
                users::name,
                users::email,
                sign_ins::client_id,
                sign_ins::flash,
                sign_ins::last_seen_at.lt(database_now() - 1.minute()),
                sign_ins::created_at.gt(database_now() - RECENT_HOURS.hours()),
                sign_ins::confirmed_at.gt((database_now() - RECENT_HOURS.hours()).nullable()),
                second_factors::activated_at.nullable().is_not_null(),
                memberships::role.nullable(),
                $client,
            ))
    };
}

/// One row for each client of the user, the active one first, then by name; one without a client if there is none.
fn load_with_clients(connection: &mut PgConnection, id_hash: &[u8]) -> QueryResult<Vec<SignInWithClient>> {
    let is_active = memberships::client_id.nullable().eq(sign_ins::client_id);
    let of_client = (clients::client_id, clients::name, clients::requires_second_factor);
    let join_clients = clients::table.on(clients::client_id.eq(memberships::client_id));
    select_sign_in!(id_hash, [join_clients], of_client.nullable())
        .order((is_active.desc().nulls_last(), clients::name.nullable(), clients::client_id.nullable()))
        .load(connection)
}

/// The same rows where clients are on other servers than sign-ins: one query for the sign-in, and one for each client. A
/// client that is not active is left out while its server cannot be reached.
fn load_and_look_up_clients(
    connection: &mut PgConnection,
    id_hash: &[u8],
) -> QueryResult<Vec<SignInWithClient>> {
    let is_active = memberships::client_id.nullable().eq(sign_ins::client_id);
    // In place of name and second factor, which follow: values that are null without a membership.
    let is_required = memberships::client_id.ne(memberships::client_id);
    let of_client = (memberships::client_id, memberships::client_id, is_required);
    let mut rows: Vec<SignInWithClient> = select_sign_in!(id_hash, [], of_client.nullable())
        .order((is_active.desc().nulls_last(), memberships::client_id.nullable()))
        .load(connection)?;
    let mut unreachable = None;
    for index in (0..rows.len()).rev() {
        let is_active = rows[index].is_active();
        let Some(client) = &mut rows[index].client else { continue };
        match look_up(connection, client) {
            Ok(()) => {}
            Err(error) if is_active => return Err(error),
            Err(error) => {
                rows.remove(index);
                unreachable = Some(error);
            }
        }
    }
    if let (true, Some(error)) = (rows.is_empty(), unreachable) {
        return Err(error);
    }
    rows.sort_by_cached_key(|row| (!row.is_active(), row.client.as_ref().map(|it| it.name.to_lowercase())));
    Ok(rows)
}

/// Adds what only the server of the client knows.
fn look_up(connection: &mut PgConnection, client: &mut JoinedClient) -> QueryResult<()> {
    let columns = (clients::name, clients::requires_second_factor);
    (client.name, client.requires_second_factor) =
        clients::table.find(&client.client_id).select(columns).first(connection)?;
    Ok(())
}

/// The user with the active client and the others. Someone who had no client at login gets the first one that there is
/// by now. Returns `None` if the user is no longer a member of the active client.
fn choose_active_client(id_hash: &[u8], rows: Vec<SignInWithClient>) -> Option<(SignInRow, Option<String>)> {
    let first = rows.first()?;
    let flash = first.flash.clone();
    let has_lost_client = first.active_id.is_some() && !first.is_active();
    if has_lost_client {
        return None;
    }
    let (user_id, name, email) = (first.user_id, first.name.clone(), first.email.clone());
    let is_recent = first.is_new || first.is_confirmed.unwrap_or_default();
    let has_second_factor = first.has_second_factor;
    let mut clients = rows.into_iter().filter_map(|row| {
        let JoinedClient { client_id, name, requires_second_factor } = row.client?;
        Some(ClientMembership { client_id, name, role: row.role?, requires_second_factor })
    });
    let active = clients.next();
    let (others, id_hash) = (clients.collect(), id_hash.to_vec());
    let row = SignInRow { user_id, name, email, active, others, id_hash, is_recent, has_second_factor };
    Some((row, flash))
}

fn touch(connection: &mut PgConnection, id_hash: &[u8]) -> QueryResult<usize> {
    diesel::update(sign_ins::table.find(id_hash)).set(sign_ins::last_seen_at.eq(now)).execute(connection)
}

/// Stores that the user has entered the password or a code again. Does nothing if the sign-in has ended.
pub(crate) fn confirm(connection: &mut PgConnection, id_hash: &[u8]) -> QueryResult<()> {
    diesel::update(sign_ins::table.find(id_hash))
        .set(sign_ins::confirmed_at.eq(now))
        .execute(connection)
        .map(|_rows| ())
}

/// Stores or removes the message for the next page, and switches the active client. Does nothing if the sign-in has
/// ended.
pub(crate) fn update(
    connection: &mut PgConnection,
    id_hash: &[u8],
    flash: Option<&str>,
    switch: Option<&ClientSwitch>,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        diesel::update(sign_ins::table.find(id_hash))
            .set(sign_ins::flash.eq(flash.into_sql::<Nullable<Text>>()))
            .execute(connection)?;
        switch.map_or(Ok(()), |switch| switch_client(connection, id_hash, switch))
    })
}

/// Does nothing if the client is active already, or the user is not a member of it.
fn switch_client(connection: &mut PgConnection, id_hash: &[u8], switch: &ClientSwitch) -> QueryResult<()> {
    let membership = memberships::table.find((&switch.client, switch.user_id)).select(memberships::user_id);
    let sign_in = sign_ins::table
        .find(id_hash)
        .filter(sign_ins::client_id.is_distinct_from(&switch.client))
        .filter(exists(membership));
    let switched = diesel::update(sign_in).set(sign_ins::client_id.eq(&switch.client)).execute(connection)?;
    if switched == 0 {
        return Ok(());
    }
    let event = AuditEvent::new(EventKind::SignInSwitched).on(&switch.user_id);
    audit::record(connection, &switch.client, &switch.context, &event)
}

/// Ends a sign-in. The audit record has no address, because actix-session does not pass the request on.
pub(crate) fn delete(connection: &mut PgConnection, chain_key: &ChainKey, id_hash: &[u8]) -> QueryResult<()> {
    connection.transaction(|connection| {
        let ended = diesel::delete(sign_ins::table.find(id_hash))
            .returning(sign_ins::user_id)
            .get_result::<Uuid>(connection)
            .optional()?;
        let Some(user_id) = ended else { return Ok(()) };
        let context = AuditContext::new(chain_key, Actor::User(user_id));
        let event = AuditEvent::new(AccountEventKind::SignInEnded);
        audit::record_account_event(connection, user_id, &context, &event)
    })
}

/// Removes the form that was lost with an earlier sign-in, and returns it as JSON.
pub(crate) fn take_interrupted_form(
    connection: &mut PgConnection,
    id_hash: &[u8],
) -> QueryResult<Option<String>> {
    connection.transaction(|connection| {
        let sign_in = sign_ins::table.find(id_hash);
        let form = sign_in.select(sign_ins::lost_form).for_update().first::<Option<String>>(connection);
        let form = form.optional()?.flatten();
        diesel::update(sign_in).set(sign_ins::lost_form.eq(None::<String>)).execute(connection)?;
        Ok(form)
    })
}
