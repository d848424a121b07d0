//! SQL of the export. Every statement that serves a program authorizes its key.

use diesel::{pg::Pg, prelude::*, query_dsl::methods::LoadQuery};
use uuid::Uuid;

use super::query::{PER_PAGE_MAX, PageRequest, SortOrder};
use crate::{
    accounts,
    api_keys::{Credentials, admits, is_admitted},
    ids::ClientId,
    schema::{api_keys, session_counters, sessions},
    sessions::{
        queries::{filtered, total_of},
        session::Session,
    },
};

/// A page of sessions and how many there are in all, from one snapshot.
#[derive(Debug, PartialEq)]
pub(crate) struct SessionPage {
    /// The sessions of the page, in the order asked for.
    pub(crate) sessions: Vec<Session>,
    /// How many sessions there are, after the filter.
    pub(crate) total: i64,
    /// The sequence after which there may be more.
    pub(crate) more_after: Option<i64>,
}

/// A page of everything, for whoever presents these credentials; `None`: the key is not let in.
///
/// One statement checks the key, takes the total from the counter and reads the page by its sequences, so the three
/// agree, and the last page costs what the first does.
///
/// # Errors
/// Those of the database.
pub(crate) fn load_plain_page(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<SessionPage>> {
    let rows: QueryResult<Vec<PageRow>> = match request.order {
        SortOrder::Ascending => ascending_page(credentials, request).internal_load(connection)?.collect(),
        SortOrder::Descending => descending_page(credentials, request).internal_load(connection)?.collect(),
    };
    rows.map(|rows| gathered(rows, credentials, request.order))
}

/// No row: the key is not let in. A row without a session: the page is empty.
fn gathered(rows: Vec<PageRow>, credentials: &Credentials, order: SortOrder) -> Option<SessionPage> {
    let &(limit, total, _) = rows.first()?;
    credentials.let_in(limit);
    let sessions: Vec<Session> = rows.into_iter().filter_map(|(.., session)| session).collect();
    let last = sessions.last().map(|session| session.sequence);
    let more_after = last.filter(|last| match order {
        SortOrder::Ascending => *last < total,
        SortOrder::Descending => *last > 1,
    });
    Some(SessionPage { sessions, total, more_after })
}

/// The limit of the key, the total, a session of the page.
type PageRow = (i32, i64, Option<Session>);

fn ascending_page<'a>(
    credentials: &'a Credentials,
    request: &PageRequest,
) -> impl LoadQuery<'a, PgConnection, PageRow> {
    let before = request.skipped();
    let last = before.saturating_add(request.per_page);
    let of_page = sessions::client_id
        .eq(api_keys::client_id)
        .and(sessions::sequence.gt(before))
        .and(sessions::sequence.le(last));
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(sessions::table.on(of_page))
        .filter(admits(credentials))
        .order(sessions::sequence.asc())
        .select((api_keys::requests_per_minute, session_counters::recorded, Option::<Session>::as_select()))
}

fn descending_page<'a>(
    credentials: &'a Credentials,
    request: &PageRequest,
) -> impl LoadQuery<'a, PgConnection, PageRow> {
    let after = request.skipped();
    let last = after.saturating_add(request.per_page);
    let of_page = sessions::client_id
        .eq(api_keys::client_id)
        .and(sessions::sequence.le(session_counters::recorded - after))
        .and(sessions::sequence.gt(session_counters::recorded - last));
    api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .left_join(sessions::table.on(of_page))
        .filter(admits(credentials))
        .order(sessions::sequence.desc())
        .select((api_keys::requests_per_minute, session_counters::recorded, Option::<Session>::as_select()))
}

/// How many sessions the client has; `None`: the key is not let in.
pub(crate) fn newest_sequence(
    connection: &mut PgConnection,
    credentials: &Credentials,
) -> QueryResult<Option<i64>> {
    let found: Option<(i32, i64)> = api_keys::table
        .inner_join(session_counters::table.on(session_counters::client_id.eq(api_keys::client_id)))
        .filter(admits(credentials))
        .select((api_keys::requests_per_minute, session_counters::recorded))
        .first(connection)
        .optional()?;
    Ok(found.map(|(limit, recorded)| {
        credentials.let_in(limit);
        recorded
    }))
}

/// What became of looking for one session.
pub(crate) enum SessionLookup {
    /// The client has no such session.
    Missing,
    /// Here it is.
    Found(Box<Session>),
}

/// One session of the client, by our id; `None`: the key is not let in.
pub(crate) fn find_session(
    connection: &mut PgConnection,
    credentials: &Credentials,
    session_id: Uuid,
) -> QueryResult<Option<SessionLookup>> {
    let of_client = sessions::client_id.eq(api_keys::client_id).and(sessions::session_id.eq(session_id));
    let row: Option<(i32, Option<Session>)> = api_keys::table
        .left_join(sessions::table.on(of_client))
        .filter(admits(credentials))
        .select((api_keys::requests_per_minute, Option::<Session>::as_select()))
        .first(connection)
        .optional()?;
    Ok(row.map(|(limit, session)| {
        credentials.let_in(limit);
        session.map_or(SessionLookup::Missing, |session| SessionLookup::Found(Box::new(session)))
    }))
}

/// As long as a filter lets no more through than this, all that match are found first and put into their order;
/// else, or where an index of the agent has them in their order, they are walked until the page is full.
const SORTED_MAX: i64 = 50_000;

/// A page of what the filter lets through, or what comes after the cursor; `None`: the key is not let in.
///
/// A page number skips what comes before it, so it costs more the further back it lies; a cursor skips nothing. The page
/// is found in an index alone, and only its own sessions are read. One snapshot for all questions.
pub(crate) fn load_filtered_page(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<SessionPage>> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        if !is_admitted(connection, credentials)? {
            return Ok(None);
        }
        let client = &credentials.client;
        let total = total_of(connection, client, &request.filter)?;
        let skipped = if request.cursor.is_some() { 0 } else { request.skipped() };
        if total <= skipped {
            return Ok(Some(SessionPage { sessions: Vec::new(), total, more_after: None }));
        }
        let mut places = page_sequences(connection, client, request, (total, skipped))?;
        // One more than the page has says whether there is a next.
        let has_more = i64::try_from(places.len()).is_ok_and(|count| count > request.per_page);
        if has_more {
            places.pop();
        }
        let more_after = places.last().copied().filter(|_| has_more);
        let sessions = load_by_sequence(connection, client, &places, request.order)?;
        Ok(Some(SessionPage { sessions, total, more_after }))
    })
}

/// The sequences of a page, and of one session more.
fn page_sequences(
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
            SortOrder::Ascending => query.order(place.asc()),
            SortOrder::Descending => query.order(place.desc()),
        };
    }
    query.offset(skipped).limit(request.per_page + 1).select(sessions::sequence).load(connection)
}

/// The sessions with these sequences.
fn load_by_sequence(
    connection: &mut PgConnection,
    client: &ClientId,
    places: &[i64],
    order: SortOrder,
) -> QueryResult<Vec<Session>> {
    let query = sessions::table
        .into_boxed()
        .filter(sessions::client_id.eq(client.as_str()).and(sessions::sequence.eq_any(places)));
    let query = match order {
        SortOrder::Ascending => query.order(sessions::sequence.asc()),
        SortOrder::Descending => query.order(sessions::sequence.desc()),
    };
    query.select(Session::as_select()).load(connection)
}

/// Up to [`PER_PAGE_MAX`] sessions beyond `cursor` (a sequence, exclusive) and not above `newest`; `None`: the
/// reader is not let in (any more).
pub(crate) fn load_chunk(
    connection: &mut PgConnection,
    reader: &ExportReader,
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
        SortOrder::Ascending => {
            query.filter(sessions::sequence.gt(cursor.unwrap_or(0))).order(sessions::sequence.asc())
        }
        SortOrder::Descending => {
            query.filter(sessions::sequence.lt(cursor.unwrap_or(i64::MAX))).order(sessions::sequence.desc())
        }
    }
}

/// Somebody who may read a client's sessions as long as [`ExportReader::is_admitted`] says so.
#[derive(Clone, Debug)]
pub(crate) enum ExportReader {
    /// A program, with what its key proves.
    Program(Credentials),
    /// A user who is logged in.
    Member {
        /// The active client.
        client: ClientId,
        /// The user.
        user_id: Uuid,
    },
}

impl ExportReader {
    /// Whose sessions are read.
    pub(crate) fn client(&self) -> &ClientId {
        match self {
            Self::Program(credentials) => &credentials.client,
            Self::Member { client, .. } => client,
        }
    }

    /// Whether the key still lives, or the user is still a member.
    pub(crate) fn is_admitted(&self, connection: &mut PgConnection) -> QueryResult<bool> {
        match self {
            Self::Program(credentials) => is_admitted(connection, credentials),
            Self::Member { client, user_id } => accounts::is_member(connection, client, *user_id),
        }
    }
}
