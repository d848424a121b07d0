//! Creating clients, and listing them for the operator.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    accounts::{self, DisplayName, Role},
    audit::{self, AuditContext},
    ids::ClientId,
    schema::clients,
};

/// Creates a client that the user owns.
///
/// # Errors
/// If there is no such user, or the database fails.
pub fn create(
    connection: &mut PgConnection,
    context: &AuditContext,
    user_id: Uuid,
    company: &DisplayName,
) -> QueryResult<ClientId> {
    connection.transaction(|connection| {
        let client = accounts::create_client(connection, company)?;
        accounts::join(connection, &client, user_id, Role::Owner)?;
        audit::record(connection, &client, context, &accounts::member_added(user_id, Role::Owner))?;
        Ok(client)
    })
}

/// Id and name of every client, by name: at most 1000.
///
/// # Errors
/// If the database fails.
pub fn list(connection: &mut PgConnection) -> QueryResult<Vec<(ClientId, String)>> {
    clients::table
        .order((clients::name, clients::client_id))
        .limit(1000)
        .select((clients::client_id, clients::name))
        .load(connection)
}
