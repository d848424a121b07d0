//! Finding sessions by words that appear in them.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Bool, Text},
};
use uuid::Uuid;

use crate::{
    db::sql::like_pattern,
    ids::ClientId,
    schema::{session_counters, sessions},
    sessions::{filter::SessionFilter, queries::filtered, session::Session},
};

/// Sessions covered by one search, from the last recorded backwards. It bounds the cost of a search.
pub(crate) const SEARCHED_AT_ONCE: i64 = 100_000;
/// Maximum number of results.
pub(crate) const SHOWN_MAX: usize = 200;
/// Maximum number of words. Further words are ignored.
const WORDS_MAX: usize = 8;
/// The searched columns. A word may begin anywhere in them.
const CONTAINS_SQL: &str = "concat_ws(' ', external_id, agent_name, agent_email, shopper_id, shopper_name, \
     shopper_email, shopper_phone, order_id, queue_name, notes) ilike ";

pub(crate) struct SessionSearchResult {
    /// The newest `createdAt` first.
    pub(crate) sessions: Vec<Session>,
    /// Whether more than [`SHOWN_MAX`] sessions match.
    pub(crate) is_truncated: bool,
    /// The search has not covered this sequence and those before it; 0 if it covered all.
    pub(crate) searched_to: i64,
}

/// The sessions that match the filter and contain every word of `text`.
///
/// The search goes back from the sequence `newest`, or else from the last recorded session; then it also finds the
/// session whose `sessionId` or `externalId` is `text`, wherever that is.
pub(crate) fn search(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    text: &str,
    newest: Option<i64>,
) -> QueryResult<SessionSearchResult> {
    let counter = session_counters::table.find(client);
    let recorded: i64 = counter.select(session_counters::recorded).first(connection)?;
    let last = newest.unwrap_or(recorded).min(recorded);
    let searched_to = (last - SEARCHED_AT_ONCE).max(0);
    let mut found = match newest {
        None => find_by_id(connection, client, filter, text)?,
        Some(_) => Vec::new(),
    };
    // The index on the sequence has these bounds. Ordered by time, PostgreSQL would search all other sessions as well.
    let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let query = containing(filtered(client, filter), text)
        .filter(sessions::sequence.gt(searched_to).and(sessions::sequence.le(last)))
        .order(sessions::sequence.desc())
        .limit(limit);
    let others: Vec<Session> = query.select(Session::as_select()).load(connection)?;
    for session in others {
        if found.iter().all(|known| known.sequence != session.sequence) {
            found.push(session);
        }
    }
    let is_truncated = found.len() > SHOWN_MAX;
    found.truncate(SHOWN_MAX);
    found.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.sequence)));
    Ok(SessionSearchResult { sessions: found, is_truncated, searched_to })
}

/// The sessions whose `sessionId` or `externalId` is `text`.
fn find_by_id(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    text: &str,
) -> QueryResult<Vec<Session>> {
    let by_external_id = filtered(client, filter).filter(sessions::external_id.eq(text));
    let mut found = by_external_id.select(Session::as_select()).load(connection)?;
    if let Ok(session_id) = text.parse::<Uuid>() {
        let by_session_id = filtered(client, filter).filter(sessions::session_id.eq(session_id));
        found.extend(by_session_id.select(Session::as_select()).load(connection)?);
    }
    Ok(found)
}

fn containing<'a>(mut query: sessions::BoxedQuery<'a, Pg>, text: &str) -> sessions::BoxedQuery<'a, Pg> {
    for word in text.split_whitespace().take(WORDS_MAX) {
        let pattern = like_pattern(word);
        query = query.filter(diesel::dsl::sql::<Bool>(CONTAINS_SQL).bind::<Text, _>(pattern));
    }
    query
}
