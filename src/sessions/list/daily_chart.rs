//! The chart above the list: sessions per day, answered and not.

use chrono::{DateTime, Days, NaiveDate, Utc};

use diesel::prelude::*;

use crate::{
    ids::ClientId,
    schema::session_days,
    sessions::{fields::SessionStatus, filter::SessionFilter},
    web::{
        format::{grouped, percent, plural, time::is_midnight},
        page::chart::{Chart, ChartSize, ChartStyle, Point, Series},
    },
};

/// Days shown without a filter `from`.
const DAYS_DEFAULT: u64 = 30;
/// Maximum number of days shown: the last ones of the filter.
const DAYS_MAX: u64 = 92;

const STYLE: ChartStyle = ChartStyle {
    per: "Day",
    unit: "sessions",
    series: [
        Series { name: "Answered", class: "chart-main" },
        Series { name: "Not answered", class: "chart-other" },
    ],
    size: ChartSize::Low,
};

/// Consecutive days in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChartDays {
    pub(crate) first: NaiveDate,
    pub(crate) count: u64,
}

/// The days to show for a filtered list. Returns `None` if the daily counts cannot answer this filter.
pub(crate) fn days_to_show(filter: &SessionFilter, now: DateTime<Utc>) -> Option<ChartDays> {
    if !filter.agent_names.is_empty() || filter.updated_since.is_some() || filter.needs_scan() {
        return None;
    }
    if !filter.from.into_iter().chain(filter.to).all(is_midnight) {
        return None;
    }
    let tomorrow = now.date_naive().checked_add_days(Days::new(1))?;
    let end = filter.to.map_or(tomorrow, |to| to.date_naive());
    let count = match filter.from {
        Some(from) => u64::try_from((end - from.date_naive()).num_days()).ok()?.min(DAYS_MAX),
        None => DAYS_DEFAULT,
    };
    let first = end.checked_sub_days(Days::new(count))?;
    (count > 0).then_some(ChartDays { first, count })
}

/// The chart with the number of sessions and the share that was answered. Of a filtered list, the line above the rows has
/// the number. Returns `None` if there were no sessions.
pub(crate) fn chart(filter: &SessionFilter, days: &[DayCount]) -> Option<Chart> {
    let answered: i64 = days.iter().map(|count| count.answered).sum();
    let all: i64 = answered + days.iter().map(|count| count.others).sum::<i64>();
    if all == 0 {
        return None;
    }
    let points: Vec<Point> = days.iter().map(point).collect();
    let count = i64::try_from(days.len()).unwrap_or(i64::MAX);
    let sum = (format!("Sessions in {count} {}", plural(count, "day")), grouped(all));
    let mut totals: Vec<_> = (*filter == SessionFilter::default()).then_some(sum).into_iter().collect();
    // With a filter for one status the share would be 0 or 100.
    let share = percent(answered, all).filter(|_| filter.status.is_none());
    totals.extend(share.map(|share| ("Answered".to_owned(), format!("{share}%"))));
    Some(Chart::bars("Sessions per day", &STYLE, &points).with_totals(totals))
}

fn point(count: &DayCount) -> Point {
    Point {
        label: count.day.format("%-d %b").to_string(),
        iso: count.day.to_string(),
        values: [count.answered, count.others],
    }
}

/// Sessions created on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayCount {
    pub(crate) day: NaiveDate,
    pub(crate) answered: i64,
    pub(crate) others: i64,
}

/// The counts of every day in the range, for the status and the channel of the filter.
pub(crate) fn load_days(
    connection: &mut PgConnection,
    client: &ClientId,
    filter: &SessionFilter,
    ChartDays { first, count }: ChartDays,
) -> QueryResult<Vec<DayCount>> {
    let mut query = session_days::table
        .into_boxed()
        .filter(session_days::client_id.eq(client))
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
        .map(|day| DayCount { day, answered: 0, others: 0 })
        .collect();
    for (day, status, sessions) in rows {
        let index = usize::try_from((day - first).num_days()).unwrap_or(0);
        if let Some(count) = days.get_mut(index) {
            if status == SessionStatus::Completed {
                count.answered += sessions;
            } else {
                count.others += sessions;
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
        days_to_show(&filter, time("2026-11-25T10:00:00Z").unwrap())
            .map(|range| (range.first.to_string(), range.count))
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
    fn the_chart_repeats_neither_the_filter_nor_the_number_of_matches() {
        let days = [DayCount { day: NaiveDate::MIN, answered: 2, others: 1 }];
        let totals = |filter: &SessionFilter| chart(filter, &days).unwrap().totals;
        let sessions = ("Sessions in 1 day".to_owned(), "3".to_owned());
        let share = ("Answered".to_owned(), "67%".to_owned());
        assert_eq!(totals(&SessionFilter::default()), [sessions, share]);
        let missed = SessionFilter { status: Some(SessionStatus::Missed), ..SessionFilter::default() };
        assert!(totals(&missed).is_empty());
        assert!(chart(&SessionFilter::default(), &[]).is_none());
    }
}
