//! Reading what a filter lets through, and everything as a stream.

use diesel::{pg::Pg, prelude::*};

use super::{
    page_request::{Filter, Order, PER_PAGE_MAX, PageRequest},
    reader::Reader,
    session::Session,
    store::PageOf,
    totals::total_of,
};
use crate::{
    api_keys::{Credentials, is_admitted},
    ids::ClientId,
    schema::sessions,
};

/// As long as a filter lets no more through than this, all that match are found first and put into their order;
/// else, or where an index of the agent has them in their order, they are walked until the page is full.
const SORTED_MAX: i64 = 50_000;

/// A page of what the filter lets through, or what comes after the cursor; `None`: the key is not let in.
///
/// A page number skips what comes before it, so it costs more the further back it lies; a cursor skips nothing. The page
/// is found in an index alone, and only its own sessions are read. One snapshot for all questions.
pub(crate) fn page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<PageOf>> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        if !is_admitted(connection, credentials)? {
            return Ok(None);
        }
        let client = &credentials.client;
        let total = total_of(connection, client, &request.filter)?;
        let skipped = if request.cursor.is_some() { 0 } else { request.skipped() };
        if total <= skipped {
            return Ok(Some(PageOf { sessions: Vec::new(), total, more_after: None }));
        }
        let mut places = places_of(connection, client, request, (total, skipped))?;
        // One more than the page has says whether there is a next.
        let has_more = i64::try_from(places.len()).is_ok_and(|count| count > request.per_page);
        if has_more {
            places.pop();
        }
        let more_after = places.last().copied().filter(|_| has_more);
        let sessions = at(connection, client, &places, request.order)?;
        Ok(Some(PageOf { sessions, total, more_after }))
    })
}

/// The sequences of a page, and of one session more.
fn places_of(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &PageRequest,
    (total, skipped): (i64, i64),
) -> QueryResult<Vec<i64>> {
    let mut query = beyond(client, request, request.cursor);
    if total <= SORTED_MAX && request.filter.agent_name.is_none() {
        // No index has an order by this, so what is few is not looked for among all the others.
        let place = sessions::sequence + 0_i64;
        query = match request.order {
            Order::Ascending => query.order(place.asc()),
            Order::Descending => query.order(place.desc()),
        };
    }
    query.offset(skipped).limit(request.per_page + 1).select(sessions::sequence).load(connection)
}

/// The sessions with these sequences.
fn at(
    connection: &mut PgConnection,
    client: &ClientId,
    places: &[i64],
    order: Order,
) -> QueryResult<Vec<Session>> {
    let query = sessions::table
        .into_boxed()
        .filter(sessions::client_id.eq(client.as_str()).and(sessions::sequence.eq_any(places)));
    let query = match order {
        Order::Ascending => query.order(sessions::sequence.asc()),
        Order::Descending => query.order(sessions::sequence.desc()),
    };
    query.select(Session::as_select()).load(connection)
}

/// Up to [`PER_PAGE_MAX`] sessions beyond `cursor` (a sequence, exclusive) and not above `newest`; `None`: the
/// reader is not let in (any more).
pub(crate) fn chunk_of(
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

pub(crate) fn filtered<'a>(client: &'a ClientId, filter: &'a Filter) -> sessions::BoxedQuery<'a, Pg> {
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
