//! Finding sessions by words that appear in them, or by their shopper.

use diesel::prelude::*;
use uuid::Uuid;

use crate::{
    ids::ClientId,
    schema::{session_counters, sessions},
    sessions::{
        filter::SessionFilter,
        queries::{SEARCHED_AT_ONCE, filtered},
        session::Session,
    },
};

/// Maximum number of results.
pub(crate) const SHOWN_MAX: usize = 200;

pub(crate) struct SessionSearchResult {
    /// The newest `createdAt` first.
    pub(crate) sessions: Vec<Session>,
    /// Whether more than [`SHOWN_MAX`] sessions match.
    pub(crate) is_truncated: bool,
    /// The search has not covered this sequence and those before it; 0 if it covered all.
    pub(crate) searched_to: i64,
}

/// The sessions that match the filter.
///
/// The search goes back from the sequence `newest`, or else from the last recorded session; then it also finds the
/// session whose `sessionId` or `externalId` is searched for, wherever that is.
pub(crate) fn search(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    newest: Option<i64>,
) -> QueryResult<SessionSearchResult> {
    let counter = session_counters::table.find(client);
    let recorded: i64 = counter.select(session_counters::recorded).first(connection)?;
    let last = newest.unwrap_or(recorded).min(recorded);
    let searched_to = (last - SEARCHED_AT_ONCE).max(0);
    let mut found = match (&filter.search, newest) {
        (Some(text), None) => find_by_id(connection, client, filter, text)?,
        _ => Vec::new(),
    };
    // The index on the sequence has these bounds. Ordered by time, PostgreSQL would search all other sessions as well.
    let limit = i64::try_from(SHOWN_MAX + 1).unwrap_or(i64::MAX);
    let query = filtered(client, filter)
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
    let others = SessionFilter { search: None, ..filter.clone() };
    let by_external_id = filtered(client, &others).filter(sessions::external_id.eq(text));
    let mut found = by_external_id.select(Session::as_select()).load(connection)?;
    if let Ok(session_id) = text.parse::<Uuid>() {
        let by_session_id = filtered(client, &others).filter(sessions::session_id.eq(session_id));
        found.extend(by_session_id.select(Session::as_select()).load(connection)?);
    }
    Ok(found)
}
