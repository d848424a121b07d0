//! Changing the settings of a client. Each change is in the audit log.

use diesel::prelude::*;

use crate::{
    accounts::DisplayName,
    audit::{self, AuditContext, AuditEvent, EventKind},
    ids::ClientId,
    schema::clients,
};

/// What owners change in the browser. `None` stays as it is.
#[derive(Debug)]
pub(super) struct ClientSettings {
    pub(super) name: Option<DisplayName>,
    /// Whether members need a second factor.
    pub(super) requires_second_factor: Option<bool>,
}

/// Makes all changes or none.
pub(super) fn change(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    settings: &ClientSettings,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        if let Some(name) = &settings.name {
            rename(connection, context, client, name)?;
        }
        match settings.requires_second_factor {
            Some(is_required) => require_second_factor(connection, context, client, is_required),
            None => Ok(()),
        }
    })
}

/// Sets whether members of the client need a second factor. Does nothing if it is so already.
///
/// # Errors
/// `NotFound` if there is no such client, or if the database fails.
pub fn require_second_factor(
    connection: &mut PgConnection,
    context: &AuditContext,
    client: &ClientId,
    is_required: bool,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        let row = clients::table.find(client);
        let before: bool = row.select(clients::requires_second_factor).for_update().first(connection)?;
        if before == is_required {
            return Ok(());
        }
        diesel::update(row).set(clients::requires_second_factor.eq(is_required)).execute(connection)?;
        let to = if is_required { "required" } else { "optional" };
        let event = AuditEvent::new(EventKind::ClientChanged).with("changed", "secondFactor").with("to", to);
        audit::record(connection, client, context, &event)
    })
}

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
