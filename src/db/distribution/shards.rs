//! Which shard has a client.

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{Array, BigInt, Integer, Text},
};

/// Whether `name_on_shard` is the name that Citus gives to `name` on a shard, or `name` itself: the number of the shard
/// follows. Names of more than 54 bytes would be cut.
pub(in crate::db) fn is_name_on_shard(name_on_shard: &str, name: &str) -> bool {
    let Some(rest) = name_on_shard.strip_prefix(name) else { return false };
    let number = rest.strip_prefix('_').unwrap_or_default();
    rest.is_empty() || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The shard of a client, and the server that has it.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct ClientShard {
    #[diesel(sql_type = Text)]
    pub(crate) client_id: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) shard: i64,
    #[diesel(sql_type = Integer)]
    pub(crate) server: i32,
}

/// Locates clients, which need not exist. Answered by the coordinator alone.
pub(crate) fn locate_clients(
    connection: &mut PgConnection,
    clients: &[&str],
) -> QueryResult<Vec<ClientShard>> {
    sql_query(
        "select located.client_id, located.shard, placement.groupid as server \
         from (select client_id, get_shard_id_for_distribution_column('clients', client_id) as shard \
               from unnest($1) as sent (client_id)) located \
         join pg_dist_placement placement on placement.shardid = located.shard",
    )
    .bind::<Array<Text>, _>(clients)
    .load(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_shards_end_with_a_number() {
        for name_on_shard in ["users_email_unique", "users_email_unique_102489"] {
            assert!(is_name_on_shard(name_on_shard, "users_email_unique"), "{name_on_shard}");
        }
        for other in ["users_email_unique_", "users_email_unique_a1", "users_email_unique1", "users_email"] {
            assert!(!is_name_on_shard(other, "users_email_unique"), "{other}");
        }
    }
}
