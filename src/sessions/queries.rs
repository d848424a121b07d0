//! Queries that the list and the export share: the sessions that match a filter, and their number.
//!
//! The table `session_days` has the number of sessions for each whole day.

use chrono::{Days, NaiveDate};
use diesel::{
    dsl::sql,
    pg::Pg,
    prelude::*,
    sql_types::{BigInt, Bool, Text},
};
use uuid::Uuid;

use super::{erasure::shopper::ShopperIdentifier, filter::SessionFilter, session::Session};
use crate::{
    db::sql::{like_pattern, lower},
    ids::ClientId,
    schema::{session_counters, session_days, sessions},
    web::format::time::{is_midnight, midnight},
};

/// Maximum number of sequences that one statement searches for words or a shopper. It bounds the cost of the statement.
pub(crate) const SEARCHED_AT_ONCE: i64 = 100_000;
/// Maximum number of words. Further words are ignored.
const WORDS_MAX: usize = 8;
/// The searched columns. A word may begin anywhere in them.
const CONTAINS_SQL: &str = "concat_ws(' ', external_id, agent_name, agent_email, shopper_id, shopper_name, \
     shopper_email, shopper_phone, order_id, queue_name, notes) ilike ";

pub(crate) fn filtered<'a>(client: &'a ClientId, filter: &'a SessionFilter) -> sessions::BoxedQuery<'a, Pg> {
    let mut query = sessions::table.into_boxed().filter(sessions::client_id.eq(client));
    if let Some(from) = filter.from {
        query = query.filter(sessions::created_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(sessions::created_at.lt(to));
    }
    if let Some(status) = filter.status {
        query = query.filter(sessions::status.eq(status));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(sessions::channel.eq(channel));
    }
    match filter.agent_names.as_slice() {
        [] => {}
        // With a single name, the index by agent has the sessions in the order recorded.
        [agent_name] => query = query.filter(sessions::agent_name.eq(agent_name)),
        agent_names => query = query.filter(sessions::agent_name.eq_any(agent_names)),
    }
    if let Some(updated_since) = filter.updated_since {
        query = query.filter(sessions::updated_at.ge(updated_since));
    }
    match &filter.shopper {
        None => {}
        Some(ShopperIdentifier::Id(id)) => query = query.filter(sessions::shopper_id.eq(id)),
        Some(ShopperIdentifier::Email(email)) => {
            query = query.filter(lower(sessions::shopper_email).eq(lower(email)));
        }
    }
    match &filter.search {
        None => query,
        Some(text) => containing(query, text),
    }
}

fn containing<'a>(query: sessions::BoxedQuery<'a, Pg>, text: &str) -> sessions::BoxedQuery<'a, Pg> {
    let contains = |word: &str| sql::<Bool>(CONTAINS_SQL).bind::<Text, _>(like_pattern(word));
    if let Ok(session_id) = text.parse::<Uuid>() {
        return query.filter(sessions::session_id.eq(session_id).or(contains(text)));
    }
    text.split_whitespace().take(WORDS_MAX).fold(query, |query, word| query.filter(contains(word)))
}

/// A session of the client, for a member. Fails with `NotFound` if the client has no session with this id.
pub(crate) fn find_for_member(
    connection: &mut PgConnection,
    client: &ClientId,
    session_id: Uuid,
) -> QueryResult<Session> {
    sessions::table
        .filter(sessions::client_id.eq(client).and(sessions::session_id.eq(session_id)))
        .select(Session::as_select())
        .first(connection)
}

/// Number of sessions that match the filter. Without a filter it is read from the counter. With a filter on
/// time, status or channel, whole days are summed from `session_days`, and only the partial days at both ends
/// are counted. With a filter on the agent or the last change, sessions are counted by index; with a search or a
/// filter on the shopper, all are read.
///
/// Call it in the snapshot of the page that shows the total, so that the two agree.
pub(crate) fn count_matching(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
) -> QueryResult<i64> {
    if *filter == SessionFilter::default() {
        let counter = session_counters::table.find(client);
        return counter.select(session_counters::recorded).first(connection);
    }
    let Some(span) = WholeDaySpan::from_filter(filter) else {
        return filtered(client, filter).count().get_result(connection);
    };
    let mut total = whole_days(connection, client, filter, span)?;
    for part in span.cut(filter) {
        total += filtered(client, &part).count().get_result::<i64>(connection)?;
    }
    Ok(total)
}

/// The whole days of a filter, from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WholeDaySpan {
    first: Option<NaiveDate>,
    end: Option<NaiveDate>,
}

impl WholeDaySpan {
    /// Returns `None` if `session_days` cannot answer this filter, or the filter contains no midnight.
    fn from_filter(filter: &SessionFilter) -> Option<Self> {
        if !filter.agent_names.is_empty() || filter.updated_since.is_some() || filter.needs_scan() {
            return None;
        }
        let first = match filter.from {
            Some(from) if is_midnight(from) => Some(from.date_naive()),
            Some(from) => Some(from.date_naive().checked_add_days(Days::new(1))?),
            None => None,
        };
        let end = filter.to.map(|to| to.date_naive());
        let has_days = first.zip(end).is_none_or(|(first, end)| first <= end);
        has_days.then_some(Self { first, end })
    }

    /// The parts of the filter before and after its whole days.
    fn cut(self, filter: &SessionFilter) -> impl Iterator<Item = SessionFilter> {
        let before = filter
            .from
            .filter(|from| !is_midnight(*from))
            .map(|_| SessionFilter { to: self.first.map(midnight), ..filter.clone() });
        let after = filter
            .to
            .filter(|to| !is_midnight(*to))
            .map(|_| SessionFilter { from: self.end.map(midnight), ..filter.clone() });
        before.into_iter().chain(after)
    }
}

fn whole_days(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    span: WholeDaySpan,
) -> QueryResult<i64> {
    let mut query = session_days::table.into_boxed().filter(session_days::client_id.eq(client));
    if let Some(first) = span.first {
        query = query.filter(session_days::day.ge(first));
    }
    if let Some(end) = span.end {
        query = query.filter(session_days::day.lt(end));
    }
    if let Some(status) = filter.status {
        query = query.filter(session_days::status.eq(status));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(session_days::channel.eq(channel));
    }
    query.select(sql::<BigInt>("coalesce(sum(sessions), 0)::bigint")).first(connection)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn filter(from: &str, to: &str) -> SessionFilter {
        let time = |text: &str| text.parse::<DateTime<Utc>>().ok();
        SessionFilter { from: time(from), to: time(to), ..SessionFilter::default() }
    }

    fn parts(from: &str, to: &str) -> Option<Vec<String>> {
        let filter = filter(from, to);
        let span = WholeDaySpan::from_filter(&filter)?;
        let day = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
        let time =
            |time: Option<DateTime<Utc>>| time.map(|it| it.format("%dT%H").to_string()).unwrap_or_default();
        let whole = format!("{}..{}", day(span.first), day(span.end));
        let cut = span.cut(&filter).map(|part| format!("{}..{}", time(part.from), time(part.to)));
        Some([whole].into_iter().chain(cut).collect())
    }

    #[test]
    fn whole_days_are_added_and_cut_days_counted() {
        for (from, to, expected) in [
            ("2026-11-03T00:00:00Z", "2026-11-05T00:00:00Z", vec!["2026-11-03..2026-11-05"]),
            ("2026-11-03T10:00:00Z", "2026-11-05T00:00:00Z", vec!["2026-11-04..2026-11-05", "03T10..04T00"]),
            ("2026-11-03T00:00:00Z", "2026-11-05T09:00:00Z", vec!["2026-11-03..2026-11-05", "05T00..05T09"]),
            (
                "2026-11-03T10:00:00Z",
                "2026-11-04T09:00:00Z",
                vec!["2026-11-04..2026-11-04", "03T10..04T00", "04T00..04T09"],
            ),
            ("", "2026-11-05T09:00:00Z", vec!["..2026-11-05", "05T00..05T09"]),
            ("2026-11-03T10:00:00Z", "", vec!["2026-11-04..", "03T10..04T00"]),
        ] {
            assert_eq!(parts(from, to).unwrap(), expected, "{from} {to}");
        }
    }

    #[test]
    fn what_has_no_midnight_inside_is_counted() {
        assert_eq!(parts("2026-11-03T10:00:00Z", "2026-11-03T12:00:00Z"), None);
        assert_eq!(
            parts("2026-11-05T00:00:00Z", "2026-11-03T00:00:00Z"),
            None,
            "nothing is less than nothing"
        );
        assert_eq!(
            WholeDaySpan::from_filter(&SessionFilter {
                agent_names: vec!["Ada".to_owned()],
                ..SessionFilter::default()
            }),
            None
        );
    }
}
