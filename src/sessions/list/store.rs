//! The rows of the list and the counts above it, from one snapshot.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};

use super::{
    daily_chart::{self, ChartDays, DayCount},
    search,
};
use crate::{
    ids::ClientId,
    schema::sessions,
    sessions::{
        filter::SessionFilter,
        queries::{count_matching, filtered},
        session::Session,
    },
    web::list::{KeysetPage, LOAD_LIMIT, PageDirection},
};

/// The position of a session in the list, which is ordered by `createdAt` and then by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionListCursor {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sequence: i64,
}

pub(crate) struct SessionListCriteria {
    pub(crate) filter: SessionFilter,
    pub(crate) direction: PageDirection<SessionListCursor>,
    pub(crate) search: Option<SearchRequest>,
    /// `None` if there is no chart.
    pub(crate) days: Option<ChartDays>,
}

pub(crate) struct SearchRequest {
    /// One or more words.
    pub(crate) text: String,
    /// The sequence at which the search starts, going back; without one, the last recorded.
    pub(crate) newest: Option<i64>,
}

pub(crate) struct SessionListResult {
    pub(crate) sessions: KeysetPage<Session>,
    /// Sessions of the client.
    pub(crate) total: i64,
    /// Sessions that match the filter, or those of them that the search found.
    pub(crate) matching: i64,
    /// Whether the search found more sessions than are shown.
    pub(crate) is_truncated: bool,
    /// The search has not covered this sequence and those before it; 0 if it covered all.
    pub(crate) searched_to: i64,
    pub(crate) days: Vec<DayCount>,
}

pub(crate) fn load_list(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &SessionListCriteria,
) -> QueryResult<SessionListResult> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let mut page = match &request.search {
            Some(search) => search_page(connection, client, &request.filter, search)?,
            None => load_page(connection, client, request)?,
        };
        page.total = count_matching(connection, client, &SessionFilter::default())?;
        if let Some(days) = request.days {
            page.days = daily_chart::load_days(connection, client, &request.filter, days)?;
        }
        Ok(page)
    })
}

fn load_page(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &SessionListCriteria,
) -> QueryResult<SessionListResult> {
    let query = filtered(client, &request.filter).limit(LOAD_LIMIT);
    let rows = match request.direction {
        PageDirection::Older(cursor) => load_older(connection, query, cursor)?,
        PageDirection::Newer(cursor) => load_newer(connection, query, cursor)?,
    };
    Ok(SessionListResult {
        sessions: KeysetPage::new(rows, &request.direction),
        total: 0,
        matching: count_matching(connection, client, &request.filter)?,
        is_truncated: false,
        searched_to: 0,
        days: Vec::new(),
    })
}

/// Newest first.
fn load_older(
    connection: &mut PgConnection,
    mut query: sessions::BoxedQuery<'_, Pg>,
    cursor: Option<SessionListCursor>,
) -> QueryResult<Vec<Session>> {
    if let Some(SessionListCursor { created_at, sequence }) = cursor {
        query = query
            .filter(sessions::created_at.le(created_at))
            .filter(sessions::created_at.lt(created_at).or(sessions::sequence.lt(sequence)));
    }
    query
        .order((sessions::created_at.desc(), sessions::sequence.desc()))
        .select(Session::as_select())
        .load(connection)
}

/// Oldest first.
fn load_newer(
    connection: &mut PgConnection,
    query: sessions::BoxedQuery<'_, Pg>,
    SessionListCursor { created_at, sequence }: SessionListCursor,
) -> QueryResult<Vec<Session>> {
    query
        .filter(sessions::created_at.ge(created_at))
        .filter(sessions::created_at.gt(created_at).or(sessions::sequence.gt(sequence)))
        .order((sessions::created_at.asc(), sessions::sequence.asc()))
        .select(Session::as_select())
        .load(connection)
}

fn search_page(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    request: &SearchRequest,
) -> QueryResult<SessionListResult> {
    let result = search::search(connection, client, filter, &request.text, request.newest)?;
    Ok(SessionListResult {
        matching: i64::try_from(result.sessions.len()).unwrap_or(i64::MAX),
        sessions: KeysetPage::single(result.sessions),
        total: 0,
        is_truncated: result.is_truncated,
        searched_to: result.searched_to,
        days: Vec::new(),
    })
}
