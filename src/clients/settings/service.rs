//! Changing the settings of a client. Each change is in the audit log.

use diesel::prelude::*;

use crate::{
    accounts::DisplayName,
    audit::{self, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::clients,
};

/// Gives the client another name. Does nothing if it has this name.
///
/// # Errors
/// `NotFound` if there is no such client, or if the database fails.
pub fn rename(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    name: &DisplayName,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let row = clients::table.find(client);
        let before: String = row.select(clients::name).for_update().first(connection)?;
        if before == name.as_str() {
            return Ok(());
        }
        diesel::update(row).set(clients::name.eq(name)).execute(connection)?;
        let event = AuditEvent::new(EventKind::ClientChanged).with("changed", "name");
        audit::record(connection, client, context, &event.with("from", &before).with("to", name.as_str()))
    })
}
