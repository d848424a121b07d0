//! Reading what a filter lets through, and everything as a stream.

use diesel::{pg::Pg, prelude::*};

use super::{
    PER_PAGE_MAX,
    page_request::{Filter, Order, PageRequest},
    reader::Reader,
    session::Session,
    store::PageOf,
};
use crate::{
    accounts::ClientId,
    api_keys::{Credentials, is_admitted},
    schema::{session_counters, sessions},
};

/// A page of what the filter lets through, or what comes after the cursor; `None`: the key is not let in.
///
/// Totals count what the filter matches, and a page number skips what comes before it, so both cost more the more that
/// is; a cursor skips nothing. One snapshot for all questions.
pub(super) fn page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<PageOf>> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        if !is_admitted(connection, credentials)? {
            return Ok(None);
        }
        let total = total_of(connection, &credentials.client, &request.filter)?;
        let offset = if request.cursor.is_some() { 0 } else { request.skipped() };
        let sessions = beyond(&credentials.client, request, request.cursor)
            .offset(offset)
            .limit(request.per_page)
            .select(Session::as_select())
            .load(connection)?;
        let is_full = i64::try_from(sessions.len()).is_ok_and(|count| count == request.per_page);
        let more_after = sessions.last().filter(|_| is_full).map(|session| session.sequence);
        Ok(Some(PageOf { sessions, total, more_after }))
    })
}

/// Up to [`PER_PAGE_MAX`] sessions beyond `cursor` (a sequence, exclusive) and not above `newest`; `None`: the
/// reader is not let in (any more).
pub(super) fn chunk_of(
    connection: &mut PgConnection,
    reader: &Reader,
    request: &PageRequest,
    cursor: Option<i64>,
    newest: i64,
) -> QueryResult<Option<Vec<Session>>> {
    if !reader.is_admitted(connection)? {
        return Ok(None);
    }
    beyond(reader.client(), request, cursor)
        .filter(sessions::sequence.le(newest))
        .limit(PER_PAGE_MAX)
        .select(Session::as_select())
        .load(connection)
        .map(Some)
}

/// How many sessions the filter lets through. Everything needs no counting: the counter knows.
pub(super) fn total_of(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &Filter,
) -> QueryResult<i64> {
    if *filter == Filter::default() {
        let counter = session_counters::table.find(client.as_str());
        return counter.select(session_counters::recorded).first(connection);
    }
    filtered(client, filter).count().get_result(connection)
}

/// What the filter lets through beyond `cursor`, in the order asked for.
fn beyond<'a>(
    client: &'a ClientId,
    request: &'a PageRequest,
    cursor: Option<i64>,
) -> sessions::BoxedQuery<'a, Pg> {
    let query = filtered(client, &request.filter);
    match request.order {
        Order::Ascending => {
            query.filter(sessions::sequence.gt(cursor.unwrap_or(0))).order(sessions::sequence.asc())
        }
        Order::Descending => {
            query.filter(sessions::sequence.lt(cursor.unwrap_or(i64::MAX))).order(sessions::sequence.desc())
        }
    }
}

pub(super) fn filtered<'a>(client: &'a ClientId, filter: &'a Filter) -> sessions::BoxedQuery<'a, Pg> {
    let mut query = sessions::table.into_boxed().filter(sessions::client_id.eq(client.as_str()));
    if let Some(from) = filter.from {
        query = query.filter(sessions::created_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(sessions::created_at.lt(to));
    }
    if let Some(status) = &filter.status {
        query = query.filter(sessions::status.eq(status));
    }
    if let Some(channel) = &filter.channel {
        query = query.filter(sessions::channel.eq(channel));
    }
    if let Some(agent_name) = &filter.agent_name {
        query = query.filter(sessions::agent_name.eq(agent_name));
    }
    if let Some(updated_since) = filter.updated_since {
        query = query.filter(sessions::updated_at.ge(updated_since));
    }
    query
}
