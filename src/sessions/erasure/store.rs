//! Erases the personal fields of a shopper from the sessions of a client. Rows stay, so pages never shift.

use diesel::{dsl::now, pg::Pg, prelude::*, sql_types};

use super::shopper::ShopperIdentifier;
use crate::{
    audit::{self, AuditContext, AuditEvent, EventKind},
    db::sql::lower,
    ids::ClientId,
    schema::{session_counters, sessions},
    sessions::{fields::session_fields, import::store::discard_waiting},
};

/// Sessions searched per transaction. Recording waits for each transaction.
const PIECE: i64 = 50_000;

/// Counts the sessions of the shopper.
///
/// # Errors
/// `NotFound` if there is no such client.
pub fn count_sessions(
    connection: &mut PgConnection,
    client: &ClientId,
    shopper: &ShopperIdentifier,
) -> QueryResult<i64> {
    let counter = session_counters::table.find(client);
    let recorded: i64 = counter.select(session_counters::recorded).first(connection)?;
    let mut count = 0;
    for after in (0..recorded).step_by(usize::try_from(PIECE).unwrap_or(1)) {
        let found = sessions::table.filter(of_shopper(client, shopper, after));
        count += found.count().get_result::<i64>(connection)?;
    }
    Ok(count)
}

/// Erases the personal fields of the shopper's sessions and returns their number. Works in pieces, each in its own
/// transaction under the counter's lock and with its own audit record; after a failure, run it again to erase the rest.
/// Files that wait to be imported may contain the shopper too, so they are discarded first.
///
/// # Errors
/// `NotFound` if there is no such client.
pub fn erase(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    shopper: &ShopperIdentifier,
) -> QueryResult<usize> {
    discard_waiting(connection, client)?;
    let (mut erased, mut after) = (0, 0);
    while let Some(count) = erase_piece(connection, context, client, shopper, after)? {
        erased += count;
        after += PIECE;
    }
    Ok(erased)
}

/// Returns `None` if there is no session after this one.
fn erase_piece(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    shopper: &ShopperIdentifier,
    after: i64,
) -> QueryResult<Option<usize>> {
    connection.transaction(|connection| {
        let counter = session_counters::table.find(client);
        let recorded: i64 = counter.select(session_counters::recorded).for_update().first(connection)?;
        if after >= recorded {
            return Ok(None);
        }
        let count = blank(connection, client, shopper, after)?;
        if count > 0 {
            diesel::update(counter)
                .set(session_counters::revision.eq(session_counters::revision + 1))
                .execute(connection)?;
            let event = AuditEvent::new(EventKind::ShopperErased)
                .on(&context.pseudonym(client, shopper.text()))
                .with("by", shopper.field())
                .with("sessions", &count);
            audit::record(connection, client, context, &event)?;
        }
        Ok(Some(count))
    })
}

/// Blanks the personal fields of the shopper's sessions in the piece.
fn blank(
    connection: &mut PgConnection,
    client: &ClientId,
    shopper: &ShopperIdentifier,
    after: i64,
) -> QueryResult<usize> {
    macro_rules! blank_values {
        (
            assigned_first $first:tt
            sent { $($field:ident: $type:ty $(, $personal:ident)? = $spec:expr;)* }
            assigned_last $last:tt
        ) => {
            // Binding the marker `personal` makes this repeat for the fields that have it.
            ($($({ let $personal: $type = None; sessions::$field.eq($personal) },)?)*)
        };
    }
    diesel::update(sessions::table.filter(of_shopper(client, shopper, after)))
        .set((
            session_fields!(blank_values),
            sessions::updated_at.eq(now),
            sessions::erased_at.eq(now.into_sql::<sql_types::Timestamptz>().nullable()),
        ))
        .execute(connection)
}

type SqlCondition<'a> =
    Box<dyn BoxableExpression<sessions::table, Pg, SqlType = sql_types::Nullable<sql_types::Bool>> + 'a>;

/// The shopper's sessions in the piece after this sequence.
fn of_shopper<'a>(client: &'a ClientId, shopper: &'a ShopperIdentifier, after: i64) -> SqlCondition<'a> {
    let piece = sessions::client_id
        .eq(client)
        .and(sessions::sequence.gt(after))
        .and(sessions::sequence.le(after + PIECE));
    match shopper {
        ShopperIdentifier::Id(id) => Box::new(piece.and(sessions::shopper_id.eq(id))),
        ShopperIdentifier::Email(email) => {
            Box::new(piece.and(lower(sessions::shopper_email).eq(lower(email))))
        }
    }
}
