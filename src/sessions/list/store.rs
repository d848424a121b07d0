//! The rows of the list and the counts above it, from one snapshot.

use chrono::{DateTime, Utc};
use diesel::{pg::Pg, prelude::*};

use super::{
    agents,
    daily_chart::{self, ChartDays, DayCount},
    no_results_reason::{self, EmptyListFacts},
    page_filter::{PageFilter, resolve_filter},
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
    web::page::list::{KeysetPage, LOAD_LIMIT, PageDirection},
};

/// The position of a session in the list, which is ordered by `createdAt` and then by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionListCursor {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sequence: i64,
}

pub(crate) struct SessionListCriteria {
    pub(crate) chosen: PageFilter,
    pub(crate) direction: PageDirection<SessionListCursor>,
    /// The sequence at which a search starts, going back; without one, the last recorded.
    pub(crate) search_from: Option<i64>,
    /// `None` if there is no chart.
    pub(crate) days: Option<ChartDays>,
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
    /// Names to suggest for the filter by agent.
    pub(crate) agent_names: Vec<String>,
    /// Name, ID or email of the shopper, if the list is limited to one.
    pub(crate) shopper: Option<String>,
    /// `None` unless no session matches the filter.
    pub(crate) empty_facts: Option<EmptyListFacts>,
}

impl SessionListResult {
    fn new(sessions: KeysetPage<Session>, matching: i64) -> Self {
        Self {
            sessions,
            matching,
            total: 0,
            is_truncated: false,
            searched_to: 0,
            days: Vec::new(),
            agent_names: Vec::new(),
            shopper: None,
            empty_facts: None,
        }
    }
}

pub(crate) fn load_list(
    connection: &mut PgConnection,
    client: &ClientId,
    request: &SessionListCriteria,
) -> QueryResult<SessionListResult> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let resolved = resolve_filter(connection, client, &request.chosen)?;
        let filter = &resolved.filter;
        let mut page = if filter.needs_scan() {
            search_page(connection, client, filter, request.search_from)?
        } else {
            load_page(connection, client, filter, request.direction)?
        };
        page.total = count_matching(connection, client, &SessionFilter::default())?;
        page.agent_names = agents::suggest_names(connection, client)?;
        page.shopper = resolved.shopper;
        if page.matching == 0 && *filter != SessionFilter::default() {
            page.empty_facts = Some(no_results_reason::load_facts(connection, client, filter)?);
        }
        if let Some(days) = request.days {
            page.days = daily_chart::load_days(connection, client, filter, days)?;
        }
        Ok(page)
    })
}

fn load_page(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    direction: PageDirection<SessionListCursor>,
) -> QueryResult<SessionListResult> {
    let query = filtered(client, filter).limit(LOAD_LIMIT);
    let rows = match direction {
        PageDirection::Older(cursor) => load_older(connection, query, cursor)?,
        PageDirection::Newer(cursor) => load_newer(connection, query, cursor)?,
    };
    let matching = count_matching(connection, client, filter)?;
    Ok(SessionListResult::new(KeysetPage::new(rows, &direction), matching))
}

/// Newest first.
pub(super) fn load_older(
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
pub(super) fn load_newer(
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
    search_from: Option<i64>,
) -> QueryResult<SessionListResult> {
    let result = search::search(connection, client, filter, search_from)?;
    let found = i64::try_from(result.sessions.len()).unwrap_or(i64::MAX);
    let page = SessionListResult::new(KeysetPage::single(result.sessions), found);
    Ok(SessionListResult { is_truncated: result.is_truncated, searched_to: result.searched_to, ..page })
}
