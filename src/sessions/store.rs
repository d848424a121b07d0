//! Reading the tables `sessions` and `session_counters`: pages by sequence, one session, the newest. What is filtered is
//! read in `filtered`, writing is in `recorder`.

use chrono::{DateTime, Utc};
use diesel::{prelude::*, query_dsl::methods::LoadQuery};
use uuid::Uuid;

use super::{
    filtered::filtered,
    page_request::{Filter, Order, PageRequest},
    session::Session,
};
use crate::{
    api_keys::{Credentials, admits},
    ids::ClientId,
    schema::{api_keys, session_counters, sessions},
};

/// A page of sessions and how many there are in all, from one snapshot.
#[derive(Debug, PartialEq)]
pub(crate) struct PageOf {
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
pub(crate) fn page_of(
    connection: &mut PgConnection,
    credentials: &Credentials,
    request: &PageRequest,
) -> QueryResult<Option<PageOf>> {
    let rows: QueryResult<Vec<Row>> = match request.order {
        Order::Ascending => ascending_page(credentials, request).internal_load(connection)?.collect(),
        Order::Descending => descending_page(credentials, request).internal_load(connection)?.collect(),
    };
    rows.map(|rows| gathered(rows, credentials, request.order))
}

/// No row: the key is not let in. A row without a session: the page is empty.
fn gathered(rows: Vec<Row>, credentials: &Credentials, order: Order) -> Option<PageOf> {
    let &(limit, total, _) = rows.first()?;
    credentials.let_in(limit);
    let sessions: Vec<Session> = rows.into_iter().filter_map(|(.., session)| session).collect();
    let last = sessions.last().map(|session| session.sequence);
    let more_after = last.filter(|last| match order {
        Order::Ascending => *last < total,
        Order::Descending => *last > 1,
    });
    Some(PageOf { sessions, total, more_after })
}

/// The limit of the key, the total, a session of the page.
type Row = (i32, i64, Option<Session>);

fn ascending_page<'a>(
    credentials: &'a Credentials,
    request: &PageRequest,
) -> impl LoadQuery<'a, PgConnection, Row> {
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
) -> impl LoadQuery<'a, PgConnection, Row> {
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
pub(crate) fn newest_of(
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
pub(crate) enum Lookup {
    /// The client has no such session.
    Missing,
    /// Here it is.
    Found(Box<Session>),
}

/// One session of the client, by our id; `None`: the key is not let in.
pub(crate) fn find(
    connection: &mut PgConnection,
    credentials: &Credentials,
    session_id: Uuid,
) -> QueryResult<Option<Lookup>> {
    let of_client = sessions::client_id.eq(api_keys::client_id).and(sessions::session_id.eq(session_id));
    let row: Option<(i32, Option<Session>)> = api_keys::table
        .left_join(sessions::table.on(of_client))
        .filter(admits(credentials))
        .select((api_keys::requests_per_minute, Option::<Session>::as_select()))
        .first(connection)
        .optional()?;
    Ok(row.map(|(limit, session)| {
        credentials.let_in(limit);
        session.map_or(Lookup::Missing, |session| Lookup::Found(Box::new(session)))
    }))
}

/// One session of the client, for a member; `NotFound` when the client has none of this id.
pub(crate) fn find_for_member(
    connection: &mut PgConnection,
    client: &ClientId,
    session_id: Uuid,
) -> QueryResult<Session> {
    sessions::table
        .filter(sessions::client_id.eq(client.as_str()).and(sessions::session_id.eq(session_id)))
        .select(Session::as_select())
        .first(connection)
}

/// Where a list that is ordered by time goes on: at this session, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sequence: i64,
}

/// In which direction a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    /// From the newest, or from a position on, to older ones.
    Older(Option<Position>),
    /// From a position on to newer ones.
    Newer(Position),
}

/// Up to `limit` sessions of a client, the newest `createdAt` first.
pub(crate) fn newest_first(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &Filter,
    towards: Towards,
    limit: i64,
) -> QueryResult<Vec<Session>> {
    let mut query = filtered(client, filter).limit(limit);
    let at = |position: Position| (position.created_at, position.sequence);
    query = match towards {
        Towards::Older(None) => query,
        Towards::Older(Some(position)) => {
            let (time, sequence) = at(position);
            query
                .filter(sessions::created_at.le(time))
                .filter(sessions::created_at.lt(time).or(sessions::sequence.lt(sequence)))
        }
        Towards::Newer(position) => {
            let (time, sequence) = at(position);
            query
                .filter(sessions::created_at.ge(time))
                .filter(sessions::created_at.gt(time).or(sessions::sequence.gt(sequence)))
        }
    };
    let query = query.select(Session::as_select());
    if let Towards::Newer(_) = towards {
        let mut found =
            query.order((sessions::created_at.asc(), sessions::sequence.asc())).load(connection)?;
        found.reverse();
        return Ok(found);
    }
    query.order((sessions::created_at.desc(), sessions::sequence.desc())).load(connection)
}
