//! The names of the agents of a client: suggested by the filter, which ignores case.

use diesel::{
    prelude::*,
    sql_query,
    sql_types::{BigInt, Text},
};

use crate::ids::ClientId;

/// Maximum number of names that the page suggests.
pub(super) const SUGGESTED_MAX: i64 = 200;
/// Maximum number of names compared with a filter. Of a client with more, the others match only with their exact case.
const COMPARED_MAX: i64 = 10_000;

/// The first `$2` names of the agents of the client `$1`, in order.
///
/// Each step finds the next name in the index `sessions_agent_sequence`, so the cost grows with the number of agents and
/// not with that of sessions.
pub const AGENT_NAMES_SQL: &str = "\
    with recursive names as ( \
        (select agent_name from sessions where client_id = $1 and agent_name is not null \
         order by agent_name limit 1) \
        union all \
        select (select sessions.agent_name from sessions \
                where sessions.client_id = $1 and sessions.agent_name > names.agent_name \
                order by sessions.agent_name limit 1) \
        from names where names.agent_name is not null \
    ) \
    select agent_name from names where agent_name is not null limit $2";

#[derive(QueryableByName)]
struct AgentNameRow {
    #[diesel(sql_type = Text)]
    agent_name: String,
}

/// The names to suggest.
pub(super) fn suggest_names(connection: &mut PgConnection, client: &ClientId) -> QueryResult<Vec<String>> {
    let mut names = load_names(connection, client, SUGGESTED_MAX)?;
    // Names that differ only in case find the same sessions.
    names.sort_by_cached_key(|name| name.to_lowercase());
    names.dedup_by_key(|name| name.to_lowercase());
    Ok(names)
}

/// The names that equal the typed one when case is ignored. If there are none, the typed one.
pub(super) fn find_spellings(
    connection: &mut PgConnection,
    client: &ClientId,
    typed: &str,
) -> QueryResult<Vec<String>> {
    let names = load_names(connection, client, COMPARED_MAX)?;
    Ok(equal_names(names, typed))
}

fn equal_names(names: Vec<String>, typed: &str) -> Vec<String> {
    let lower = typed.to_lowercase();
    let is_complete = names.len() < usize::try_from(COMPARED_MAX).unwrap_or(usize::MAX);
    let mut equal: Vec<_> = names.into_iter().filter(|name| name.to_lowercase() == lower).collect();
    if equal.is_empty() || !is_complete && !equal.iter().any(|name| name == typed) {
        equal.push(typed.to_owned());
    }
    equal
}

fn load_names(connection: &mut PgConnection, client: &ClientId, limit: i64) -> QueryResult<Vec<String>> {
    let query = sql_query(AGENT_NAMES_SQL).bind::<Text, _>(client).bind::<BigInt, _>(limit);
    let rows: Vec<AgentNameRow> = query.load(connection)?;
    Ok(rows.into_iter().map(|row| row.agent_name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_equal_whatever_their_case() {
        let names = || ["ADA", "Ada", "Adam", "Émile"].map(str::to_owned).to_vec();
        assert_eq!(equal_names(names(), "ada"), ["ADA", "Ada"]);
        assert_eq!(equal_names(names(), "éMILE"), ["Émile"]);
        assert_eq!(equal_names(names(), "Bo"), ["Bo"]);
        let many = (0..COMPARED_MAX).map(|number| format!("Agent {number}")).collect();
        assert_eq!(equal_names(many, "AGENT 7"), ["Agent 7", "AGENT 7"]);
    }
}
