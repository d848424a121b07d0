//! The sessions before and after one in its list.

use diesel::prelude::*;
use uuid::Uuid;

use super::{
    page_filter::{ResolvedFilter, resolve_filter},
    search,
    store::{self, SessionListCriteria, SessionListCursor},
};
use crate::{
    ids::ClientId,
    sessions::{
        queries::{filtered, find_for_member},
        session::Session,
    },
};

/// The neighbours of a session in a list. `None` at the ends of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionNeighbours {
    pub(crate) newer: Option<Uuid>,
    pub(crate) older: Option<Uuid>,
}

/// A session, and its neighbours in the list that `list` selects. Fails with `NotFound` if the client has no such session.
pub(crate) fn load_with_neighbours(
    connection: &mut PgConnection,
    client: &ClientId,
    session_id: Uuid,
    list: &SessionListCriteria,
) -> QueryResult<(Session, SessionNeighbours)> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let session = find_for_member(connection, client, session_id)?;
        // The shopper of the list may have been erased since.
        let Some(ResolvedFilter { filter, .. }) =
            resolve_filter(connection, client, &list.chosen).optional()?
        else {
            return Ok((session, SessionNeighbours::default()));
        };
        if filter.needs_scan() {
            let found = search::search(connection, client, &filter, list.search_from)?;
            let neighbours = find_neighbours(&found.sessions, &session);
            return Ok((session, neighbours));
        }
        let cursor = SessionListCursor { created_at: session.created_at, sequence: session.sequence };
        let query = || filtered(client, &filter).limit(1);
        let newer = store::load_newer(connection, query(), cursor)?.pop();
        let older = store::load_older(connection, query(), Some(cursor))?.pop();
        let id = |session: Session| session.session_id;
        Ok((session, SessionNeighbours { newer: newer.map(id), older: older.map(id) }))
    })
}

/// The neighbours in these sessions, newest first.
fn find_neighbours(sessions: &[Session], session: &Session) -> SessionNeighbours {
    let Some(index) = sessions.iter().position(|it| it.sequence == session.sequence) else {
        return SessionNeighbours::default();
    };
    let id_at = |index: usize| sessions.get(index).map(|it| it.session_id);
    SessionNeighbours { newer: index.checked_sub(1).and_then(id_at), older: id_at(index + 1) }
}
