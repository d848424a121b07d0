//! Whether a statement may name several clients.

use std::slice::Chunks;

use diesel::{PgConnection, QueryResult, RunQueryDsl as _, dsl::sql, select, sql_types::Bool};

/// Where the rows of clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataPlacement {
    /// All on the server that takes the statements.
    OneServer,
    /// On several workers of Citus, by client.
    ByClient,
}

impl DataPlacement {
    /// Asks the database.
    pub(in crate::db) fn load(connection: &mut PgConnection) -> QueryResult<Self> {
        // The catalog of Citus cannot be named where there is none.
        let has_citus = sql::<Bool>("to_regclass('pg_catalog.pg_dist_partition') is not null");
        if !select(has_citus).get_result::<bool>(connection)? {
            return Ok(Self::OneServer);
        }
        let is_distributed =
            sql::<Bool>("exists (select from pg_dist_partition where logicalrelid = to_regclass('clients'))");
        let is_distributed = select(is_distributed).get_result::<bool>(connection)?;
        Ok(if is_distributed { Self::ByClient } else { Self::OneServer })
    }

    /// The clients in groups, one for each statement: all of them on one server, or else one by one, so that each
    /// statement needs only the server of its client.
    pub(crate) fn split_clients<T>(self, clients: &[T]) -> Chunks<'_, T> {
        match self {
            Self::OneServer => clients.chunks(clients.len().max(1)),
            Self::ByClient => clients.chunks(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_names_all_clients_of_one_server_and_one_client_of_several() {
        let split = |placement: DataPlacement, clients: &[i32]| -> Vec<Vec<i32>> {
            placement.split_clients(clients).map(<[i32]>::to_vec).collect()
        };
        assert_eq!(split(DataPlacement::OneServer, &[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(split(DataPlacement::ByClient, &[1, 2, 3]), [[1], [2], [3]]);
        for placement in [DataPlacement::OneServer, DataPlacement::ByClient] {
            assert!(split(placement, &[]).is_empty());
        }
    }
}
