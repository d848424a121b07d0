//! How much there is to import.

use diesel::prelude::*;

use super::job::ImportState;
use crate::schema::imports;

/// Number of imports that wait for a worker or are in its hands.
///
/// # Errors
/// If the database fails.
pub(crate) fn count_waiting(connection: &mut PgConnection) -> QueryResult<i64> {
    let states = [ImportState::Checking, ImportState::Importing];
    imports::table.filter(imports::state.eq_any(states)).count().get_result(connection)
}
