//! The table `sign_ins`.

use diesel::{
    dsl::{IntervalDsl as _, now},
    prelude::*,
    sql_types::{Nullable, Text},
};
use ipnet::IpNet;
use uuid::Uuid;

use super::extractor::{SignInOrigin, SignInRow};
use crate::{
    accounts::{
        device_name::describe_device,
        messages::{self, NewDevice},
        role::Role,
    },
    audit::{self, Actor, AuditContext, AuditEvent, ChainKey, EventKind},
    db::sql::database_now,
    ids::ClientId,
    mail::Outbox,
    schema::{clients, memberships, sign_ins, users},
    web::format::time,
};

/// A sign-in ends after this many hours without a request.
pub(super) const IDLE_HOURS: i32 = 12;
/// A sign-in ends after this many days.
const SIGN_IN_DAYS: i32 = 7;
/// A login counts as a confirmation of the password for this many hours.
const RECENT_HOURS: i32 = 1;
/// The page with all sign-ins of a user.
pub(crate) const SIGN_INS: &str = "/account/sign-ins";

pub(crate) struct NewSignIn {
    pub(crate) id_hash: Vec<u8>,
    pub(crate) user_id: Uuid,
    /// The active client.
    pub(crate) client: ClientId,
    pub(crate) origin: SignInOrigin,
    pub(crate) flash: Option<String>,
    /// As JSON.
    pub(crate) lost_form: Option<String>,
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
        audit::record(
            connection,
            &new.client,
            context,
            &AuditEvent::new(EventKind::SignInSucceeded).on(&new.user_id),
        )
    })
}

fn report_new_device(connection: &mut PgConnection, outbox: &Outbox, new: &NewSignIn) -> QueryResult<()> {
    let email: String = users::table.find(new.user_id).select(users::email).first(connection)?;
    let address = new.origin.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let sign_in =
        NewDevice { device: &describe_device(&new.origin.user_agent), address: &address, at: time::now() };
    outbox.enqueue(connection, &messages::new_device(&email, &sign_in, outbox.link(SIGN_INS)))
}

/// The sign-in and its message for the next page. Returns `None` if it has ended, was idle for [`IDLE_HOURS`], or the
/// user is disabled or no longer a member of the active client.
pub(crate) fn find(
    connection: &mut PgConnection,
    id_hash: &[u8],
) -> QueryResult<Option<(SignInRow, Option<String>)>> {
    type Row = (Uuid, String, String, ClientId, String, Role, Option<String>, bool, bool);
    let row: Option<Row> = sign_ins::table
        .inner_join(users::table)
        .inner_join(clients::table.on(clients::client_id.eq(sign_ins::client_id)))
        .inner_join(memberships::table.on(
            memberships::client_id.eq(sign_ins::client_id).and(memberships::user_id.eq(sign_ins::user_id)),
        ))
        .filter(sign_ins::id_hash.eq(id_hash))
        .filter(sign_ins::ends_at.gt(now))
        .filter(sign_ins::last_seen_at.gt(database_now() - IDLE_HOURS.hours()))
        .filter(users::disabled_at.is_null())
        .select((
            users::user_id,
            users::name,
            users::email,
            clients::client_id,
            clients::name,
            memberships::role,
            sign_ins::flash,
            sign_ins::last_seen_at.lt(database_now() - 1.minute()),
            sign_ins::created_at.gt(database_now() - RECENT_HOURS.hours()),
        ))
        .first(connection)
        .optional()?;
    let Some((user_id, name, email, client_id, client_name, role, flash, is_stale, is_recent)) = row else {
        return Ok(None);
    };
    if is_stale {
        touch(connection, id_hash)?;
    }
    let id_hash = id_hash.to_vec();
    Ok(Some((SignInRow { user_id, name, email, client_id, client_name, role, id_hash, is_recent }, flash)))
}

fn touch(connection: &mut PgConnection, id_hash: &[u8]) -> QueryResult<usize> {
    diesel::update(sign_ins::table.find(id_hash)).set(sign_ins::last_seen_at.eq(now)).execute(connection)
}

/// Stores or removes the message for the next page. Does nothing if the sign-in has ended.
pub(crate) fn set_flash(
    connection: &mut PgConnection,
    id_hash: &[u8],
    flash: Option<&str>,
) -> QueryResult<()> {
    diesel::update(sign_ins::table.find(id_hash))
        .set(sign_ins::flash.eq(flash.into_sql::<Nullable<Text>>()))
        .execute(connection)
        .map(|_rows| ())
}

/// Ends a sign-in. The audit record has no address, because actix-session does not pass the request on.
pub(crate) fn delete(connection: &mut PgConnection, chain_key: &ChainKey, id_hash: &[u8]) -> QueryResult<()> {
    connection.transaction(|connection| {
        let ended = diesel::delete(sign_ins::table.find(id_hash))
            .returning((sign_ins::user_id, sign_ins::client_id))
            .get_result::<(Uuid, ClientId)>(connection)
            .optional()?;
        let Some((user_id, client)) = ended else { return Ok(()) };
        let context = AuditContext::new(chain_key, Actor::User(user_id));
        let event = AuditEvent::new(EventKind::SignInEnded).on(&user_id);
        audit::record(connection, &client, &context, &event)
    })
}

pub(crate) fn record_failed(
    connection: &mut PgConnection,
    client: &ClientId,
    context: &AuditContext,
    user_id: Uuid,
) -> QueryResult<()> {
    audit::record(connection, client, context, &AuditEvent::new(EventKind::SignInFailed).on(&user_id))
}

/// Removes the form that was lost with an earlier sign-in, and returns it as JSON.
pub(crate) fn take_lost_form(connection: &mut PgConnection, id_hash: &[u8]) -> QueryResult<Option<String>> {
    connection.transaction(|connection| {
        let sign_in = sign_ins::table.find(id_hash);
        let form = sign_in.select(sign_ins::lost_form).for_update().first::<Option<String>>(connection);
        let form = form.optional()?.flatten();
        diesel::update(sign_in).set(sign_ins::lost_form.eq(None::<String>)).execute(connection)?;
        Ok(form)
    })
}
