//! Looking for sessions by what people remember of them.

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

/// So many sessions are looked through at a time, from the last recorded back: a search costs no more than that, however
/// many there are.
pub(crate) const LOOKED_THROUGH: i64 = 100_000;
/// So many are shown of what matches.
pub(crate) const SHOWN_MAX: usize = 200;
/// Words beyond this many are not looked for.
const WORDS_MAX: usize = 8;
/// What is looked into. A word may be anywhere in it.
const TEXT_OF_A_SESSION: &str = "concat_ws(' ', external_id, agent_name, agent_email, shopper_id, shopper_name, \
     shopper_email, shopper_phone, order_id, queue_name, notes) ilike ";

/// What a search found.
pub(crate) struct SearchResult {
    /// The newest `createdAt` first.
    pub(crate) sessions: Vec<Session>,
    /// More match than are shown.
    pub(crate) is_cut: bool,
    /// Before this sequence (exclusive) nothing was looked through yet; 0: everything was.
    pub(crate) looked_to: i64,
}

/// Looks for sessions that the filter lets through and that have every word of `text` somewhere; first of all for the one
/// with exactly this `sessionId` or `externalId`. `newest` is where to begin; without it at the last recorded.
pub(crate) fn find(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    text: &str,
    newest: Option<i64>,
) -> QueryResult<SearchResult> {
    let counter = session_counters::table.find(client.as_str());
    let recorded: i64 = counter.select(session_counters::recorded).first(connection)?;
    let last = newest.unwrap_or(recorded).min(recorded);
    let looked_to = (last - LOOKED_THROUGH).max(0);
    let mut found = match newest {
        None => exactly(connection, client, filter, text)?,
        Some(_) => Vec::new(),
    };
    // In the order of an index that has these bounds: ordered by time it would be looked for in all the others, too.
    let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let query = containing(filtered(client, filter), text)
        .filter(sessions::sequence.gt(looked_to).and(sessions::sequence.le(last)))
        .order(sessions::sequence.desc())
        .limit(limit);
    let others: Vec<Session> = query.select(Session::as_select()).load(connection)?;
    for session in others {
        if found.iter().all(|known| known.sequence != session.sequence) {
            found.push(session);
        }
    }
    let is_cut = found.len() > SHOWN_MAX;
    found.truncate(SHOWN_MAX);
    found.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.sequence)));
    Ok(SearchResult { sessions: found, is_cut, looked_to })
}

/// The sessions whose own id or sender's id this is, wherever they are.
fn exactly(
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
        query = query.filter(diesel::dsl::sql::<Bool>(TEXT_OF_A_SESSION).bind::<Text, _>(pattern));
    }
    query
}
