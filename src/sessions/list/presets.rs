//! Ranges of days that one click selects.

use chrono::{Datelike as _, Days, NaiveDate};

use crate::web::page::list::ListAddress;

/// The filters that limit the time.
pub(super) const DATE_FILTERS: [&str; 3] = ["from", "through", "to"];

/// A link to the list, limited to a range of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatePreset {
    pub(crate) label: &'static str,
    pub(crate) address: String,
    /// Whether the list shows exactly this range.
    pub(crate) is_current: bool,
}

/// The presets, keeping the other filters of `address`.
pub(crate) fn date_presets(address: &ListAddress, today: NaiveDate) -> Vec<DatePreset> {
    let current = DATE_FILTERS.map(|name| address.filter(name).unwrap_or_default().to_owned());
    let preset = |(label, first, last): (&'static str, NaiveDate, NaiveDate)| {
        let (first, last) = (first.to_string(), last.to_string());
        let is_current = current == [first.clone(), last.clone(), String::new()];
        let address = address.link_replacing(&DATE_FILTERS, &[("from", first), ("through", last)]);
        DatePreset { label, address, is_current }
    };
    preset_days(today).into_iter().map(preset).collect()
}

/// The first and the last day of each preset. Weeks begin on Monday (ISO 8601).
fn preset_days(today: NaiveDate) -> [(&'static str, NaiveDate, NaiveDate); 5] {
    let before = |day: NaiveDate, days: u64| day.checked_sub_days(Days::new(days)).unwrap_or(day);
    let monday = before(today, today.weekday().num_days_from_monday().into());
    [
        ("Today", today, today),
        ("Last 7 days", before(today, 6), today),
        ("Last week", before(monday, 7), before(monday, 1)),
        ("Last 30 days", before(today, 29), today),
        ("This month", today.with_day(1).unwrap_or(today), today),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn presets_end_today_but_last_week_ends_on_sunday() {
        let days = |today: &str| preset_days(day(today)).map(|(_, first, last)| format!("{first} {last}"));
        assert_eq!(
            days("2026-11-26"),
            [
                "2026-11-26 2026-11-26",
                "2026-11-20 2026-11-26",
                "2026-11-16 2026-11-22",
                "2026-10-28 2026-11-26",
                "2026-11-01 2026-11-26",
            ]
        );
        assert_eq!(days("2026-03-01")[2], "2026-02-16 2026-02-22", "a Sunday belongs to this week");
        assert_eq!(days("2026-03-02")[2], "2026-02-23 2026-03-01", "a Monday begins the next week");
    }

    #[test]
    fn a_preset_replaces_the_dates_and_keeps_the_other_filters() {
        let filters = ["q", "status", "from", "through", "to"];
        let presets =
            |query: &str| date_presets(&ListAddress::parse("/sessions", query, filters), day("2026-11-26"));
        let kept = presets("status=missed&from=2026-01-01&to=2026-02-01&before=x");
        assert_eq!(kept[0].address, "/sessions?status=missed&from=2026-11-26&through=2026-11-26");
        assert!(kept.iter().all(|preset| !preset.is_current));
        let current = presets("from=2026-11-20&through=2026-11-26");
        assert_eq!(
            current.iter().map(|it| it.is_current).collect::<Vec<_>>(),
            [false, true, false, false, false]
        );
        assert!(presets("from=2026-11-20&through=2026-11-26&to=2026-11-25").iter().all(|it| !it.is_current));
    }
}
