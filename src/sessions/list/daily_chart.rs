//! The picture above the list: sessions per day, and how many of them were answered.

use chrono::{DateTime, Days, NaiveDate, Utc};

use diesel::prelude::*;

use crate::{
    ids::ClientId,
    schema::session_days,
    sessions::{fields::SessionStatus, filter::SessionFilter},
    web::{
        chart::{Chart, Point, Series},
        format::{grouped, percent, plural},
        time::is_midnight,
    },
};

/// Days that are shown when no filter says from when.
const DAYS: u64 = 30;
/// Days that are shown at most: the last ones.
const DAYS_MAX: u64 = 92;

const SERIES: [Series; 2] =
    [Series { name: "Answered", class: "chart-main" }, Series { name: "Not answered", class: "chart-other" }];

/// The first day and how many there are, for a list that is filtered like this; `None`: what is kept by day does not
/// know this filter.
pub(crate) fn days_of(filter: &SessionFilter, now: DateTime<Utc>) -> Option<(NaiveDate, u64)> {
    if filter.agent_name.is_some() || filter.updated_since.is_some() {
        return None;
    }
    if !filter.from.into_iter().chain(filter.to).all(is_midnight) {
        return None;
    }
    let tomorrow = now.date_naive().checked_add_days(Days::new(1))?;
    let end = filter.to.map_or(tomorrow, |to| to.date_naive());
    let count = match filter.from {
        Some(from) => u64::try_from((end - from.date_naive()).num_days()).ok()?.min(DAYS_MAX),
        None => DAYS,
    };
    Some((end.checked_sub_days(Days::new(count))?, count)).filter(|_| count > 0)
}

/// The picture, and the share of what was answered in a sentence; `None`: nothing happened on these days.
pub(crate) fn drawn(
    filter: &SessionFilter,
    days: &[(NaiveDate, DayCount)],
) -> Option<(Chart, Option<String>)> {
    let answered: i64 = days.iter().map(|(_, of)| of.answered).sum();
    let all: i64 = answered + days.iter().map(|(_, of)| of.others).sum::<i64>();
    if all == 0 {
        return None;
    }
    let points: Vec<Point> = days.iter().map(point).collect();
    let chart = Chart::bars("Sessions per day", "Day", "sessions", SERIES, &points);
    // Where only one status is shown, all or nothing was answered.
    let share = percent(answered, all).filter(|_| filter.status.is_none()).map(|share| {
        let sessions = plural(all, "session");
        format!("{share} % of {} {sessions} in these {} days were answered.", grouped(all), days.len())
    });
    Some((chart, share))
}

fn point((day, of): &(NaiveDate, DayCount)) -> Point {
    Point { label: day.format("%-d %b").to_string(), iso: day.to_string(), values: [of.answered, of.others] }
}

/// How many sessions began on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DayCount {
    /// Agent and shopper talked.
    pub(crate) answered: i64,
    /// They did not.
    pub(crate) others: i64,
}

/// `count` days from `first` on, of this status and channel if there are any.
pub(crate) fn by_day(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    (first, count): (NaiveDate, u64),
) -> QueryResult<Vec<(NaiveDate, DayCount)>> {
    let mut query = session_days::table
        .into_boxed()
        .filter(session_days::client_id.eq(client.as_str()))
        .filter(session_days::day.ge(first));
    if let Some(status) = filter.status {
        query = query.filter(session_days::status.eq(status));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(session_days::channel.eq(channel));
    }
    if let Some(end) = first.checked_add_days(Days::new(count)) {
        query = query.filter(session_days::day.lt(end));
    }
    let rows: Vec<(NaiveDate, SessionStatus, i64)> =
        query.select((session_days::day, session_days::status, session_days::sessions)).load(connection)?;
    let mut days: Vec<_> = first
        .iter_days()
        .take(usize::try_from(count).unwrap_or(0))
        .map(|day| (day, DayCount::default()))
        .collect();
    for (day, status, sessions) in rows {
        let place = usize::try_from((day - first).num_days()).unwrap_or(0);
        if let Some((_, of_day)) = days.get_mut(place) {
            if status == SessionStatus::Completed {
                of_day.answered += sessions
            } else {
                of_day.others += sessions
            }
        }
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: &str, to: &str) -> Option<(String, u64)> {
        let time = |text: &str| text.parse::<DateTime<Utc>>().ok();
        let filter = SessionFilter { from: time(from), to: time(to), ..SessionFilter::default() };
        days_of(&filter, time("2026-11-25T10:00:00Z").unwrap())
            .map(|(first, count)| (first.to_string(), count))
    }

    #[test]
    fn the_last_thirty_days_or_those_of_the_filter_are_shown() {
        assert_eq!(days("", ""), Some(("2026-10-27".to_owned(), 30)));
        assert_eq!(days("2026-11-20T00:00:00Z", ""), Some(("2026-11-20".to_owned(), 6)));
        assert_eq!(days("2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"), Some(("2026-01-01".to_owned(), 59)));
        assert_eq!(days("2020-01-01T00:00:00Z", "2026-03-01T00:00:00Z"), Some(("2025-11-29".to_owned(), 92)));
        for (from, to) in [
            ("2026-11-20T01:00:00Z", ""),
            ("2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
            ("2026-11-20T00:00:00Z", "2026-11-10T00:00:00Z"),
        ] {
            assert_eq!(days(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn the_share_is_said_unless_a_status_is_chosen() {
        let days = [(NaiveDate::MIN, DayCount { answered: 2, others: 1 })];
        let (_, share) = drawn(&SessionFilter::default(), &days).unwrap();
        assert_eq!(share.unwrap(), "67 % of 3 sessions in these 1 days were answered.");
        let missed = SessionFilter { status: Some(SessionStatus::Missed), ..SessionFilter::default() };
        assert_eq!(drawn(&missed, &days).unwrap().1, None);
        assert!(drawn(&SessionFilter::default(), &[]).is_none());
    }
}
