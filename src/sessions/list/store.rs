//! What the list shows: a page of sessions, or what a search found, with what is said above them.

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;

use super::{
    daily_chart::{self, DayCount},
    search,
};
use crate::{
    ids::ClientId,
    schema::sessions,
    sessions::{
        filter::SessionFilter,
        queries::{filtered, total_of},
        session::Session,
    },
};

/// Where a list that is ordered by time goes on: at this session, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionCursor {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sequence: i64,
}

/// In which direction a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Towards {
    /// From the newest, or from a position on, to older ones.
    Older(Option<SessionCursor>),
    /// From a position on to newer ones.
    Newer(SessionCursor),
}

/// Up to `limit` sessions of a client, the newest `createdAt` first.
pub(crate) fn newest_first(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    towards: Towards,
    limit: i64,
) -> QueryResult<Vec<Session>> {
    let mut query = filtered(client, filter).limit(limit);
    let at = |position: SessionCursor| (position.created_at, position.sequence);
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

/// Sessions on one page.
pub(crate) const ROWS: usize = 50;

/// What is to be seen.
pub(crate) struct ListRequest {
    pub(crate) filter: SessionFilter,
    pub(crate) towards: Towards,
    /// Words to look for, and where to go on.
    pub(crate) search: Option<(String, Option<i64>)>,
    /// The first day of the picture, and how many there are.
    pub(crate) days: Option<(NaiveDate, u64)>,
}

/// What there is to see.
pub(crate) struct ListPage {
    pub(crate) sessions: Vec<Session>,
    pub(crate) has_newer: bool,
    pub(crate) has_older: bool,
    /// How many there are in all.
    pub(crate) total: i64,
    /// How many the filter lets through, or how many of them the search found.
    pub(crate) matching: i64,
    /// More match the search than are shown.
    pub(crate) is_cut: bool,
    /// The search has not looked before this sequence; 0: it has looked everywhere.
    pub(crate) looked_to: i64,
    pub(crate) days: Vec<(NaiveDate, DayCount)>,
}

/// Everything from one snapshot.
pub(crate) fn seen(
    connection: &mut PgConnection,
    client: &ClientId,
    view: &ListRequest,
) -> QueryResult<ListPage> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let total = total_of(connection, client, &SessionFilter::default())?;
        let mut seen = match &view.search {
            Some((text, newest)) => found(connection, client, (&view.filter, text, *newest))?,
            None => page(connection, client, view)?,
        };
        seen.total = total;
        if let Some(days) = view.days {
            seen.days = daily_chart::by_day(connection, client, &view.filter, days)?;
        }
        Ok(seen)
    })
}

fn page(connection: &mut PgConnection, client: &ClientId, view: &ListRequest) -> QueryResult<ListPage> {
    let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
    let mut sessions = newest_first(connection, client, &view.filter, view.towards, limit)?;
    let (has_newer, has_older) = trim(&mut sessions, view.towards);
    Ok(ListPage {
        sessions,
        has_newer,
        has_older,
        total: 0,
        matching: total_of(connection, client, &view.filter)?,
        is_cut: false,
        looked_to: 0,
        days: Vec::new(),
    })
}

fn found(
    connection: &mut PgConnection,
    client: &ClientId,
    (filter, text, newest): (&SessionFilter, &str, Option<i64>),
) -> QueryResult<ListPage> {
    let found = search::find(connection, client, filter, text, newest)?;
    Ok(ListPage {
        matching: i64::try_from(found.sessions.len()).unwrap_or(i64::MAX),
        sessions: found.sessions,
        has_newer: false,
        has_older: false,
        total: 0,
        is_cut: found.is_cut,
        looked_to: found.looked_to,
        days: Vec::new(),
    })
}

/// Takes away the one row too many, which says that there is more in the direction of the walk; in the other there is
/// more unless the walk began at the top.
fn trim(found: &mut Vec<Session>, towards: Towards) -> (bool, bool) {
    let has_more = found.len() > ROWS;
    match towards {
        Towards::Older(from) => {
            found.truncate(ROWS);
            (from.is_some(), has_more)
        }
        Towards::Newer(_) => {
            if has_more {
                found.remove(0);
            }
            (has_more, true)
        }
    }
}
