//! The logs that record what happens to the account of a user: those of all clients that the user is a member of.
//!
//! Nothing else records an [`AccountEvent`], so no event of an account can be missing in one of the logs.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    context::AuditContext,
    event::{AccountEvent, AccountEventKind, AuditEvent},
    store::append,
};
use crate::{ids::ClientId, schema::memberships};

/// The clients of a user, in the order in which the heads of their chains are locked.
pub struct AccountLog {
    user_id: Uuid,
    memberships: Vec<(ClientId, String)>,
}

impl AccountLog {
    /// Loads the clients that the user is a member of. Without any, nothing is recorded.
    ///
    /// # Errors
    /// If the database fails.
    pub fn of_user(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<Self> {
        let memberships = memberships::table
            .filter(memberships::user_id.eq(user_id))
            .order(memberships::client_id)
            .select((memberships::client_id, memberships::role))
            .load(connection)?;
        Ok(Self { user_id, memberships })
    }

    /// Adds a record to each log. Call it in the transaction of the event, and last, like [`super::store::record`].
    ///
    /// # Errors
    /// If the database fails.
    pub fn record(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        event: &AccountEvent,
    ) -> QueryResult<()> {
        let event = event.clone().on(&self.user_id);
        for (client, _role) in &self.memberships {
            append(connection, client, context, event.kind.as_str(), &event)?;
        }
        Ok(())
    }

    /// Records that the account was deleted, with the role that the user had in each client.
    ///
    /// # Errors
    /// If the database fails.
    pub fn record_deletion(&self, connection: &mut PgConnection, context: &AuditContext) -> QueryResult<()> {
        let event = AuditEvent::new(AccountEventKind::AccountDeleted).on(&self.user_id);
        let event = event.with("reason", "account deleted");
        for (client, role) in &self.memberships {
            append(connection, client, context, event.kind.as_str(), &event.clone().with("role", role))?;
        }
        Ok(())
    }
}

/// Records an event of an account in the log of each client that the user is a member of. Call it in the transaction of
/// the event, and last.
///
/// # Errors
/// If the database fails.
pub fn record_account_event(
    connection: &mut PgConnection,
    user_id: Uuid,
    context: &AuditContext,
    event: &AccountEvent,
) -> QueryResult<()> {
    connection.transaction(|connection| {
        AccountLog::of_user(connection, user_id)?.record(connection, context, event)
    })
}
