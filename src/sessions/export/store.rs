//! SQL of the export.

use diesel::{dsl::auto_type, pg::Pg, prelude::*};
use uuid::Uuid;

use super::query::{SessionPageRequest, SortOrder};
use crate::{
    accounts,
    api_keys::{Authorized, KeyCredentials, authorize, find_authorized, load_authorized},
    ids::ClientId,
    schema::{api_keys, session_counters, sessions},
    sessions::{
        queries::{count_matching, filtered},
        session::Session,
    },
};

/// A page of sessions and the total, from one snapshot.
#[derive(Debug, PartialEq)]
pub(crate) struct SessionPage {
    /// In the requested order.
    pub(crate) sessions: Vec<Session>,
    /// Number of sessions on all pages.
    pub(crate) total: i64,
    /// The sequence after which the next page starts.
    pub(crate) next_cursor: Option<i64>,
}

/// A page of all sessions. Returns `None` if the key is not authorized.
///
/// One statement authorizes the key, takes the total from the counter and reads the page by its sequences. So the three
/// agree, and the last page costs as much as the first.
pub(crate) fn load_plain_page(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    request: &SessionPageRequest,
) -> QueryResult<Option<Authorized<SessionPage>>> {
    let columns = (session_counters::recorded, Option::<Session>::as_select());
    let rows: Option<Authorized<Vec<ExportRow>>> = match request.order {
        SortOrder::Ascending => load_authorized(connection, credentials, ascending_page(request), columns)?,
        SortOrder::Descending => load_authorized(connection, credentials, descending_page(request), columns)?,
    };
    Ok(rows.map(|rows| rows.map(|rows| collect_page(rows, request.order))))
}

/// The total, and a session of the page; an empty page is one row without a session.
type ExportRow = (i64, Option<Session>);

fn collect_page(rows: Vec<ExportRow>, order: SortOrder) -> SessionPage {
    let total = rows.first().map_or(0, |(total, _)| *total);
    let sessions: Vec<Session> = rows.into_iter().filter_map(|(_, session)| session).collect();
    let last = sessions.last().map(|session| session.sequence);
    let next_cursor = last.filter(|last| match order {
        SortOrder::Ascending => *last < total,
        SortOrder::Descending => *last > 1,
    });
    SessionPage { sessions, total, next_cursor }
}

#[auto_type(no_type_alias)]
fn ascending_page(request: &SessionPageRequest) -> _ {
    let before: i64 = request.skipped();
    let last: i64 = before.saturating_add(request.per_page);
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(
            sessions::table.on(sessions::client_id
                .eq(api_keys::client_id)
                .and(sessions::sequence.gt(before))
                .and(sessions::sequence.le(last))),
        )
        .order(sessions::sequence.asc())
}

#[auto_type(no_type_alias)]
fn descending_page(request: &SessionPageRequest) -> _ {
    let after: i64 = request.skipped();
    let last: i64 = after.saturating_add(request.per_page);
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(
            sessions::table.on(sessions::client_id
                .eq(api_keys::client_id)
                .and(sessions::sequence.le(session_counters::recorded - after))
                .and(sessions::sequence.gt(session_counters::recorded - last))),
        )
        .order(sessions::sequence.desc())
}

/// The highest sequence of the client. Returns `None` if the key is not authorized.
pub(crate) fn newest_sequence(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
) -> QueryResult<Option<Authorized<i64>>> {
    let counter = api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)));
    find_authorized(connection, credentials, counter, session_counters::recorded)
}

/// A session of the client, if there is one with this id. Returns `None` if the key is not authorized.
pub(crate) fn find_session(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    session_id: Uuid,
) -> QueryResult<Option<Authorized<Option<Session>>>> {
    let of_client = sessions::client_id.eq(api_keys::client_id).and(sessions::session_id.eq(session_id));
    let session = api_keys::table.left_join(sessions::table.on(of_client));
    find_authorized(connection, credentials, session, Option::<Session>::as_select())
}

/// Up to this many matches are found first and then sorted. If there are more, or if the filter names an
/// agent, whose index has them in order, an index is read in order until the page is full.
const SORTED_MAX: i64 = 50_000;

/// A page of the sessions that match the filter, or those after the cursor, within the snapshot of the caller.
///
/// A page number skips the pages before it, so it costs more the further back it is; a cursor skips nothing. An index
/// alone finds the page, and only its own sessions are read.
pub(crate) fn load_filtered_page(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &SessionPageRequest,
) -> QueryResult<SessionPage> {
    let total = count_matching(connection, client, &request.filter)?;
    if total <= skipped(request) {
        return Ok(SessionPage { sessions: Vec::new(), total, next_cursor: None });
    }
    let mut sequences = page_sequences(connection, client, request, total)?;
    // One sequence beyond the page shows that there is a next page.
    let has_more = i64::try_from(sequences.len()).is_ok_and(|count| count > request.per_page);
    if has_more {
        sequences.pop();
    }
    let next_cursor = sequences.last().copied().filter(|_| has_more);
    let sessions = load_by_sequence(connection, client, &sequences, request.order)?;
    Ok(SessionPage { sessions, total, next_cursor })
}

fn skipped(request: &SessionPageRequest) -> i64 {
    if request.cursor.is_some() { 0 } else { request.skipped() }
}

/// The sequences of a page, and one more if there is a next page.
fn page_sequences(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &SessionPageRequest,
    total: i64,
) -> QueryResult<Vec<i64>> {
    let mut query = select_beyond(client, request, request.cursor);
    if total <= SORTED_MAX && request.filter.agent_names.is_empty() {
        // No index has this order, so PostgreSQL finds the few matches by the filter and sorts them.
        let unindexed = sessions::sequence + 0_i64;
        query = match request.order {
            SortOrder::Ascending => query.order(unindexed.asc()),
            SortOrder::Descending => query.order(unindexed.desc()),
        };
    }
    query.offset(skipped(request)).limit(request.per_page + 1).select(sessions::sequence).load(connection)
}

fn load_by_sequence(
    connection: &mut PgConnection,
    client: &ClientId,
    sequences: &[i64],
    order: SortOrder,
) -> QueryResult<Vec<Session>> {
    let query = sessions::table
        .into_boxed()
        .filter(sessions::client_id.eq(client).and(sessions::sequence.eq_any(sequences)));
    let query = match order {
        SortOrder::Ascending => query.order(sessions::sequence.asc()),
        SortOrder::Descending => query.order(sessions::sequence.desc()),
    };
    query.select(Session::as_select()).load(connection)
}

/// Up to `count` sessions beyond `cursor` (a sequence, exclusive) and not above `newest`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkRange {
    pub(crate) cursor: Option<i64>,
    pub(crate) newest: i64,
    pub(crate) count: i64,
}

/// The matching sessions in a range, in the snapshot that authorizes the reader.
///
/// Returns `None` if the reader is no longer authorized.
pub(crate) fn load_chunk(
    connection: &mut PgConnection,
    reader: &ExportPrincipal,
    request: &SessionPageRequest,
    ChunkRange { cursor, newest, count }: ChunkRange,
) -> QueryResult<Option<Vec<Session>>> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        if !reader.is_authorized(connection)? {
            return Ok(None);
        }
        select_beyond(reader.client(), request, cursor)
            .filter(sessions::sequence.le(newest))
            .limit(count)
            .select(Session::as_select())
            .load(connection)
            .map(Some)
    })
}

/// The sessions that match the filter beyond `cursor`, in the requested order.
fn select_beyond<'a>(
    client: &'a ClientId,
    request: &'a SessionPageRequest,
    cursor: Option<i64>,
) -> sessions::BoxedQuery<'a, Pg> {
    let query = filtered(client, &request.filter);
    match request.order {
        SortOrder::Ascending => {
            query.filter(sessions::sequence.gt(cursor.unwrap_or(0))).order(sessions::sequence.asc())
        }
        SortOrder::Descending => {
            query.filter(sessions::sequence.lt(cursor.unwrap_or(i64::MAX))).order(sessions::sequence.desc())
        }
    }
}

/// The reader of a streamed export, authorized again for every chunk.
#[derive(Clone, Debug)]
pub(crate) enum ExportPrincipal {
    ApiKey(KeyCredentials),
    /// A signed-in user, with the active client.
    Member {
        client: ClientId,
        user_id: Uuid,
    },
}

impl ExportPrincipal {
    pub(crate) fn client(&self) -> &ClientId {
        match self {
            Self::ApiKey(credentials) => &credentials.client,
            Self::Member { client, .. } => client,
        }
    }

    fn is_authorized(&self, connection: &mut PgConnection) -> QueryResult<bool> {
        match self {
            Self::ApiKey(credentials) => Ok(authorize(connection, credentials)?.is_some()),
            Self::Member { client, user_id } => accounts::is_member(connection, client, *user_id),
        }
    }
}
