//! The report of a usage page: numbers as text, and the chart.

use std::collections::HashMap;

use chrono::{DateTime, Days, DurationRound as _, NaiveTime, TimeDelta, Utc};

use super::queries::{EndpointUsage, HourTotals, RecentError, TopKey, UsageStatistics};
use crate::web::{
    format::{
        grouped,
        time::{RelativeTime, rfc3339},
    },
    page::chart::{Chart, ChartSize, ChartStyle, Point, Series},
};

/// Number of bars in the chart by day.
const DAYS: u32 = 30;
/// Number of bars in the chart by hour.
const HOURS: u32 = 48;
const SERIES: [Series; 2] =
    [Series { name: "Succeeded", class: "chart-main" }, Series { name: "Errors", class: "chart-bad" }];
const UNIT: &str = "requests";

/// The time that a report covers, and the unit of a bar in its chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportPeriod {
    /// The last 30 days in UTC, including today.
    Days,
    /// The last 48 hours, including the current one.
    Hours,
}

impl ReportPeriod {
    /// Reads a query string: `per=hour` means hours, everything else days.
    pub(crate) fn parse(query: &str) -> Self {
        let is_per_hour = |(name, value): (_, _)| name == "per" && value == "hour";
        if url::form_urlencoded::parse(query.as_bytes()).any(is_per_hour) { Self::Hours } else { Self::Days }
    }

    /// Start of the first bar.
    pub(crate) fn start(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.bar_starts(now).first().copied().unwrap_or(now)
    }

    /// Oldest first.
    fn bar_starts(self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        match self {
            Self::Days => {
                let today = now.with_time(NaiveTime::MIN).single().unwrap_or(now);
                (0..DAYS).rev().filter_map(|days| today.checked_sub_days(Days::new(days.into()))).collect()
            }
            Self::Hours => {
                let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
                (0..HOURS).rev().map(|hours| hour - TimeDelta::hours(hours.into())).collect()
            }
        }
    }

    /// Start of the bar that contains `hour`.
    fn bar_start(self, hour: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Days => hour.with_time(NaiveTime::MIN).single().unwrap_or(hour),
            Self::Hours => hour,
        }
    }

    fn point(self, start: DateTime<Utc>, values: [i64; 2]) -> Point {
        let (label, iso) = match self {
            Self::Days => (start.format("%-d %b"), start.format("%Y-%m-%d").to_string()),
            Self::Hours => (start.format("%a %H:%M"), rfc3339(start)),
        };
        Point { label: label.to_string(), iso, values }
    }
}

pub(crate) struct UsageReport {
    /// Path of the page, for the links to the other period.
    pub(crate) path: String,
    pub(crate) is_per_hour: bool,
    pub(crate) chart: Chart,
    pub(crate) is_empty: bool,
    pub(crate) endpoints: Vec<EndpointLine>,
    pub(crate) top_keys: Vec<KeyUsageLine>,
    pub(crate) recent_errors: Vec<RecentErrorLine>,
}

pub(crate) struct EndpointLine {
    pub(crate) name: String,
    pub(crate) requests: String,
    pub(crate) errors: String,
}

pub(crate) struct KeyUsageLine {
    pub(crate) public_key: String,
    pub(crate) name: String,
    pub(crate) is_deleted: bool,
    pub(crate) last_used: Option<RelativeTime>,
    pub(crate) requests: String,
    pub(crate) errors: String,
}

pub(crate) struct RecentErrorLine {
    pub(crate) at: RelativeTime,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) endpoint: String,
    pub(crate) status: i16,
    pub(crate) code: String,
    pub(crate) request_id: String,
}

impl UsageReport {
    pub(crate) fn new(totals: UsageStatistics, period: ReportPeriod, now: DateTime<Utc>, path: &str) -> Self {
        let errors: i64 = totals.hours.iter().map(|hour| hour.errors).sum();
        let requests: i64 = totals.hours.iter().map(|hour| hour.succeeded).sum::<i64>() + errors;
        Self {
            path: path.to_owned(),
            is_per_hour: period == ReportPeriod::Hours,
            chart: draw_chart(&totals.hours, period, now).with_totals(vec![
                ("Requests".to_owned(), grouped(requests)),
                ("Errors".to_owned(), grouped(errors)),
                ("Error rate".to_owned(), percentage(errors, requests)),
            ]),
            is_empty: requests == 0,
            endpoints: totals.endpoints.into_iter().map(EndpointLine::from).collect(),
            top_keys: totals.top_keys.into_iter().map(|key| KeyUsageLine::new(key, now)).collect(),
            recent_errors: totals
                .recent_errors
                .into_iter()
                .map(|error| RecentErrorLine::new(error, now))
                .collect(),
        }
    }
}

fn draw_chart(hours: &[HourTotals], period: ReportPeriod, now: DateTime<Utc>) -> Chart {
    let mut bars: HashMap<DateTime<Utc>, [i64; 2]> = HashMap::new();
    for hour in hours {
        let [succeeded, errors] = bars.entry(period.bar_start(hour.hour)).or_default();
        *succeeded += hour.succeeded;
        *errors += hour.errors;
    }
    let points: Vec<Point> = period
        .bar_starts(now)
        .into_iter()
        .map(|start| period.point(start, bars.get(&start).copied().unwrap_or_default()))
        .collect();
    let (caption, per) = match period {
        ReportPeriod::Days => ("Requests per day", "Day"),
        ReportPeriod::Hours => ("Requests per hour", "Hour"),
    };
    let style = ChartStyle { per, unit: UNIT, series: SERIES, size: ChartSize::High };
    Chart::bars(caption, &style, &points)
}

/// Such as `0 %`, `< 0.1 %`, `0.4 %`, `12.5 %` or `100 %`. Rounds down, but returns `0 %` only if `part` is 0.
fn percentage(part: i64, whole: i64) -> String {
    if part == 0 || whole == 0 {
        return "0%".to_owned();
    }
    let tenths = i128::from(part) * 1000 / i128::from(whole);
    if tenths == 0 {
        return "< 0.1%".to_owned();
    }
    if tenths % 10 == 0 { format!("{}%", tenths / 10) } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

/// Writes the parameters in a route pattern as the API documentation does: `{sessionId}` instead of `{session_id}`.
fn camel_case_parameters(endpoint: &str) -> String {
    let mut text = String::with_capacity(endpoint.len());
    let (mut is_parameter, mut is_after_underscore) = (false, false);
    for character in endpoint.chars() {
        match character {
            '_' if is_parameter => is_after_underscore = true,
            _ if is_after_underscore => {
                text.push(character.to_ascii_uppercase());
                is_after_underscore = false;
            }
            _ => {
                is_parameter = character == '{' || (is_parameter && character != '}');
                text.push(character);
            }
        }
    }
    text
}

impl From<EndpointUsage> for EndpointLine {
    fn from(row: EndpointUsage) -> Self {
        Self {
            name: camel_case_parameters(&row.endpoint),
            requests: grouped(row.requests),
            errors: grouped(row.errors),
        }
    }
}

impl KeyUsageLine {
    fn new(key: TopKey, now: DateTime<Utc>) -> Self {
        Self {
            public_key: key.public_key,
            name: key.name,
            is_deleted: key.is_deleted,
            last_used: key.used_at.map(|at| RelativeTime::new(at, now)),
            requests: grouped(key.requests),
            errors: grouped(key.errors),
        }
    }
}

impl RecentErrorLine {
    fn new(error: RecentError, now: DateTime<Utc>) -> Self {
        Self {
            at: RelativeTime::new(error.answered_at, now),
            name: error.name,
            public_key: error.public_key,
            endpoint: camel_case_parameters(&error.endpoint),
            status: error.status,
            code: error.code,
            request_id: error.request_id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_hours_end_with_the_current_one() {
        let now = time("2026-03-01T00:30:00Z");
        let days = ReportPeriod::Days.bar_starts(now);
        let hours = ReportPeriod::Hours.bar_starts(now);

        assert_eq!(
            (days.len(), days[0], days[29]),
            (30, time("2026-01-31T00:00:00Z"), time("2026-03-01T00:00:00Z"))
        );
        assert_eq!(
            (hours.len(), hours[0], hours[47]),
            (48, time("2026-02-27T01:00:00Z"), time("2026-03-01T00:00:00Z"))
        );
        assert_eq!(ReportPeriod::parse("per=hour"), ReportPeriod::Hours);
        assert_eq!(ReportPeriod::parse("per=day&x"), ReportPeriod::Days);
    }

    #[test]
    fn hours_add_up_to_their_day() {
        let now = time("2026-11-25T10:30:00Z");
        let hour = |text, succeeded, errors| HourTotals { hour: time(text), succeeded, errors };
        let hours = [
            hour("2026-11-24T23:00:00Z", 5, 1),
            hour("2026-11-25T00:00:00Z", 1, 0),
            hour("2026-11-25T10:00:00Z", 1000, 2),
        ];

        let by_day = draw_chart(&hours, ReportPeriod::Days, now);
        let by_hour = draw_chart(&hours, ReportPeriod::Hours, now);

        let values = |chart: &Chart, label| {
            chart.bars.iter().find(|bar| bar.label == label).map(|bar| bar.values.clone()).unwrap()
        };
        assert_eq!(values(&by_day, "25 Nov"), ["1,001", "2"]);
        assert_eq!(values(&by_day, "24 Nov"), ["5", "1"]);
        assert_eq!(values(&by_hour, "Wed 10:00"), ["1,000", "2"]);
        assert_eq!(values(&by_hour, "Wed 09:00"), ["0", "0"]);
    }

    #[test]
    fn parameters_are_named_as_in_the_documentation() {
        let endpoints =
            ["GET /api/sessions/{session_id}", "GET /a_b/{a_b}/{c_d_e}/f_g"].map(camel_case_parameters);
        assert_eq!(endpoints, ["GET /api/sessions/{sessionId}", "GET /a_b/{aB}/{cDE}/f_g"]);
    }

    #[test]
    fn a_percentage_is_short_and_only_0_if_there_are_no_errors() {
        let percentages = [(0, 0), (0, 9), (1, 1_000_000), (1, 200), (1, 8), (5, 5)]
            .map(|(part, whole)| percentage(part, whole));
        assert_eq!(percentages, ["0%", "0%", "< 0.1%", "0.5%", "12.5%", "100%"]);
    }
}
