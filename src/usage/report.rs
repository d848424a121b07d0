//! What was counted, in the words and pictures of a page.

use std::collections::HashMap;

use chrono::{DateTime, Days, DurationRound as _, NaiveTime, TimeDelta, Utc};

use super::queries::{EndpointUsage, HourTotals, KeyUsage, RecentError, UsageTotals};
use crate::web::{
    chart::{Chart, Point, Series},
    format::grouped,
    time::{RelativeTime, rfc3339},
};

/// Bars of the picture by day.
const DAYS: u32 = 30;
/// Bars of the picture by hour.
const HOURS: u32 = 48;
const SERIES: [Series; 2] =
    [Series { name: "Succeeded", class: "chart-main" }, Series { name: "Errors", class: "chart-bad" }];

/// How far back a page looks, and what a bar of its picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportPeriod {
    /// The last 30 days, this one included.
    Days,
    /// The last 48 hours, this one included.
    Hours,
}

impl ReportPeriod {
    /// What the query string asks for: `per=hour`, or else days.
    pub(crate) fn of(query: &str) -> Self {
        let is_per_hour = |(name, value): (_, _)| name == "per" && value == "hour";
        if url::form_urlencoded::parse(query.as_bytes()).any(is_per_hour) { Self::Hours } else { Self::Days }
    }

    /// When the first bar begins.
    pub(crate) fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.begins(now).first().copied().unwrap_or(now)
    }

    /// When each bar begins, the oldest first.
    fn begins(self, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
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

    /// Which bar an hour belongs to.
    fn bar_of(self, hour: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Days => hour.with_time(NaiveTime::MIN).single().unwrap_or(hour),
            Self::Hours => hour,
        }
    }

    fn label(self, begin: DateTime<Utc>) -> (String, String) {
        match self {
            Self::Days => (begin.format("%-d %b").to_string(), begin.format("%Y-%m-%d").to_string()),
            Self::Hours => (begin.format("%a %H:%M").to_string(), rfc3339(begin)),
        }
    }
}

/// What a page of usage shows.
pub(crate) struct UsageReport {
    /// Where the page is.
    pub(crate) address: String,
    pub(crate) is_per_hour: bool,
    pub(crate) chart: Chart,
    pub(crate) requests: String,
    pub(crate) errors: String,
    /// `1.2 %`.
    pub(crate) share: String,
    pub(crate) is_empty: bool,
    pub(crate) endpoints: Vec<EndpointLine>,
    pub(crate) keys: Vec<KeyLine>,
    pub(crate) last_errors: Vec<ErrorLine>,
}

/// Requests of one kind.
pub(crate) struct EndpointLine {
    pub(crate) name: String,
    pub(crate) requests: String,
    pub(crate) errors: String,
}

/// Requests of one key.
pub(crate) struct KeyLine {
    pub(crate) public_key: String,
    pub(crate) is_deleted: bool,
    pub(crate) line: EndpointLine,
    pub(crate) last: Option<RelativeTime>,
}

/// An answer with an error.
pub(crate) struct ErrorLine {
    pub(crate) at: RelativeTime,
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) endpoint: String,
    pub(crate) status: i16,
    pub(crate) code: String,
    pub(crate) request_id: String,
}

impl UsageReport {
    /// The figures as they are read at `now`, on the page at `address`.
    pub(crate) fn new(figures: UsageTotals, span: ReportPeriod, now: DateTime<Utc>, address: &str) -> Self {
        let errors: i64 = figures.hours.iter().map(|hour| hour.errors).sum();
        let requests: i64 = figures.hours.iter().map(|hour| hour.good).sum::<i64>() + errors;
        Self {
            address: address.to_owned(),
            is_per_hour: span == ReportPeriod::Hours,
            chart: chart(&figures.hours, span, now),
            requests: grouped(requests),
            errors: grouped(errors),
            share: share(errors, requests),
            is_empty: requests == 0,
            endpoints: figures.endpoints.into_iter().map(EndpointLine::from).collect(),
            keys: figures.keys.into_iter().map(|key| KeyLine::at(now, key)).collect(),
            last_errors: figures.errors.into_iter().map(|error| ErrorLine::at(now, error)).collect(),
        }
    }
}

fn chart(hours: &[HourTotals], span: ReportPeriod, now: DateTime<Utc>) -> Chart {
    let mut bars: HashMap<DateTime<Utc>, [i64; 2]> = HashMap::new();
    for hour in hours {
        let [good, errors] = bars.entry(span.bar_of(hour.begin)).or_default();
        *good += hour.good;
        *errors += hour.errors;
    }
    let points: Vec<Point> = span
        .begins(now)
        .into_iter()
        .map(|begin| {
            let (label, iso) = span.label(begin);
            Point { label, iso, values: bars.get(&begin).copied().unwrap_or_default() }
        })
        .collect();
    let (caption, per) = match span {
        ReportPeriod::Days => ("Requests per day", "Day"),
        ReportPeriod::Hours => ("Requests per hour", "Hour"),
    };
    Chart::bars(caption, per, "requests", SERIES, &points)
}

/// `0 %`, `< 0.1 %`, `0.4 %`, `12.5 %`, `100 %`: what there is of it is never said to be nothing.
fn share(part: i64, whole: i64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let tenths = i128::from(part) * 1000 / i128::from(whole);
    if tenths == 0 {
        return "< 0.1 %".to_owned();
    }
    if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

/// Names in addresses as the API documentation writes them: `{sessionId}`, not `{session_id}`.
fn documented(endpoint: &str) -> String {
    let mut text = String::with_capacity(endpoint.len());
    let (mut is_name, mut is_next) = (false, false);
    for letter in endpoint.chars() {
        match letter {
            '_' if is_name => is_next = true,
            _ if is_next => {
                text.push(letter.to_ascii_uppercase());
                is_next = false;
            }
            _ => {
                is_name = letter == '{' || (is_name && letter != '}');
                text.push(letter);
            }
        }
    }
    text
}

impl From<EndpointUsage> for EndpointLine {
    fn from(row: EndpointUsage) -> Self {
        Self { name: documented(&row.endpoint), requests: grouped(row.requests), errors: grouped(row.errors) }
    }
}

impl KeyLine {
    fn at(now: DateTime<Utc>, row: KeyUsage) -> Self {
        let line =
            EndpointLine { name: row.name, requests: grouped(row.requests), errors: grouped(row.errors) };
        Self {
            public_key: row.public_key,
            is_deleted: row.is_deleted,
            line,
            last: row.used_at.map(|at| RelativeTime::of(at, now)),
        }
    }
}

impl ErrorLine {
    fn at(now: DateTime<Utc>, row: RecentError) -> Self {
        Self {
            at: RelativeTime::of(row.answered_at, now),
            name: row.name,
            public_key: row.public_key,
            endpoint: documented(&row.endpoint),
            status: row.status,
            code: row.code,
            request_id: row.request_id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_hours_end_with_this_one() {
        let now = at("2026-03-01T00:30:00Z");
        let days = ReportPeriod::Days.begins(now);
        let hours = ReportPeriod::Hours.begins(now);

        assert_eq!(
            (days.len(), days[0], days[29]),
            (30, at("2026-01-31T00:00:00Z"), at("2026-03-01T00:00:00Z"))
        );
        assert_eq!(
            (hours.len(), hours[0], hours[47]),
            (48, at("2026-02-27T01:00:00Z"), at("2026-03-01T00:00:00Z"))
        );
        assert_eq!(ReportPeriod::of("per=hour"), ReportPeriod::Hours);
        assert_eq!(ReportPeriod::of("per=day&x"), ReportPeriod::Days);
    }

    #[test]
    fn hours_add_up_to_their_day() {
        let now = at("2026-11-25T10:30:00Z");
        let hour = |text, good, errors| HourTotals { begin: at(text), good, errors };
        let hours = [
            hour("2026-11-24T23:00:00Z", 5, 1),
            hour("2026-11-25T00:00:00Z", 1, 0),
            hour("2026-11-25T10:00:00Z", 1000, 2),
        ];

        let days = chart(&hours, ReportPeriod::Days, now);
        let by_hour = chart(&hours, ReportPeriod::Hours, now);

        let of = |chart: &Chart, label| {
            chart.bars.iter().find(|bar| bar.label == label).map(|bar| bar.values.clone()).unwrap()
        };
        assert_eq!(of(&days, "25 Nov"), ["1,001", "2"]);
        assert_eq!(of(&days, "24 Nov"), ["5", "1"]);
        assert_eq!(of(&by_hour, "Wed 10:00"), ["1,000", "2"]);
        assert_eq!(of(&by_hour, "Wed 09:00"), ["0", "0"]);
    }

    #[test]
    fn calls_are_named_as_in_the_documentation() {
        let said = ["GET /api/sessions/{session_id}", "GET /a_b/{a_b}/{c_d_e}/f_g"].map(documented);
        assert_eq!(said, ["GET /api/sessions/{sessionId}", "GET /a_b/{aB}/{cDE}/f_g"]);
    }

    #[test]
    fn a_share_is_short_and_never_denies_an_error() {
        let said = [(0, 0), (0, 9), (1, 1_000_000), (1, 200), (1, 8), (5, 5)]
            .map(|(part, whole)| share(part, whole));
        assert_eq!(said, ["0 %", "0 %", "< 0.1 %", "0.5 %", "12.5 %", "100 %"]);
    }
}
