//! Why no session matches the filters.

use chrono::{DateTime, Utc};
use diesel::{
    dsl::{max, min},
    prelude::*,
};

use crate::{
    ids::ClientId,
    schema::sessions,
    sessions::{
        filter::SessionFilter,
        queries::{count_matching, filtered},
    },
    web::{
        format::{grouped, plural},
        page::date_range::explain_empty_range,
    },
};

/// What the explanation of an empty list needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EmptyListFacts {
    /// `createdAt` of the first and of the last session of the client.
    oldest: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    /// Sessions in the range of time, whatever the other filters.
    in_range: i64,
    /// Whether any session has the agent of the filter.
    is_known_agent: bool,
}

pub(super) fn load_facts(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
) -> QueryResult<EmptyListFacts> {
    let of_client = sessions::table.filter(sessions::client_id.eq(client));
    let (oldest, newest) =
        of_client.select((min(sessions::created_at), max(sessions::created_at))).first(connection)?;
    let range = SessionFilter { from: filter.from, to: filter.to, ..SessionFilter::default() };
    let agent = SessionFilter { agent_names: filter.agent_names.clone(), ..SessionFilter::default() };
    let of_agent = filtered(client, &agent).select(sessions::sequence).limit(1);
    let is_known_agent = of_agent.first::<i64>(connection).optional()?.is_some();
    Ok(EmptyListFacts {
        oldest,
        newest,
        in_range: count_matching(connection, client, &range)?,
        is_known_agent,
    })
}

/// A sentence or two with the reason and what to do. Returns `None` if there is nothing to add to "No matching sessions".
pub(crate) fn explain(filter: &SessionFilter, facts: &EmptyListFacts, now: DateTime<Utc>) -> Option<String> {
    let EmptyListFacts { oldest, newest, in_range, is_known_agent } = *facts;
    if let Some(fault) = explain_empty_range(filter.from, filter.to, now) {
        return Some(fault.to_owned());
    }
    if let (Some(to), Some(oldest)) = (filter.to, oldest)
        && to <= oldest
    {
        return Some(format!("Your first session was on {}, after this range.", day(oldest)));
    }
    if let (Some(from), Some(newest)) = (filter.from, newest)
        && from > newest
    {
        return Some(format!("Your latest session was on {}, before this range.", day(newest)));
    }
    if !filter.agent_names.is_empty() && !is_known_agent {
        return Some("No session has an agent of this name. Choose a name from the suggestions.".to_owned());
    }
    let has_range = filter.from.is_some() || filter.to.is_some();
    match in_range {
        _ if !has_range => None,
        0 => Some("No session was created in this range.".to_owned()),
        1 => Some("1 session is in this range, but does not match the other filters.".to_owned()),
        _ => Some(format!(
            "{} {} are in this range, but none matches the other filters.",
            grouped(in_range),
            plural(in_range, "session")
        )),
    }
}

fn day(instant: DateTime<Utc>) -> String {
    instant.format("%-d %b %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Option<DateTime<Utc>> {
        text.parse().ok()
    }

    fn reason(from: &str, to: &str, in_range: i64) -> Option<String> {
        let filter = SessionFilter { from: time(from), to: time(to), ..SessionFilter::default() };
        let facts = EmptyListFacts {
            oldest: time("2026-10-01T10:00:00Z"),
            newest: time("2026-10-31T23:59:00Z"),
            in_range,
            is_known_agent: false,
        };
        explain(&filter, &facts, time("2026-11-26T12:00:00Z").unwrap())
    }

    #[test]
    fn a_range_is_explained_by_its_first_fault() {
        let (october, november, december) =
            ("2026-10-10T00:00:00Z", "2026-11-10T00:00:00Z", "2026-12-01T00:00:00Z");
        for (from, to, in_range, expected) in [
            (november, october, 0, "ends before it starts"),
            (october, october, 0, "ends before it starts"),
            (december, "", 0, "starts in the future"),
            ("", "2026-10-01T10:00:00Z", 0, "Your first session was on 1 Oct 2026, after this range."),
            (november, "", 0, "Your latest session was on 31 Oct 2026, before this range."),
            (october, november, 0, "No session was created in this range."),
            (october, november, 1, "1 session is in this range, but does not match"),
            (october, november, 1200, "1,200 sessions are in this range, but none matches"),
        ] {
            let reason = reason(from, to, in_range).unwrap();
            assert!(reason.contains(expected), "{from} {to}: {reason}");
        }
        assert_eq!(reason("", "", 7), None);
    }

    #[test]
    fn an_unknown_agent_is_the_reason() {
        let filter = SessionFilter { agent_names: vec!["Bo".to_owned()], ..SessionFilter::default() };
        let facts = EmptyListFacts { in_range: 9, ..EmptyListFacts::default() };
        let now = time("2026-11-26T12:00:00Z").unwrap();
        assert!(explain(&filter, &facts, now).unwrap().contains("agent of this name"));
        assert_eq!(explain(&filter, &EmptyListFacts { is_known_agent: true, ..facts }, now), None);
    }
}
