//! The filter of a list by days: links to common ranges, and the chosen range in words. `templates/shared/_filters.html`
//! shows it.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};

use super::list::ListAddress;
use crate::web::format::{time::midnight, time_parser::parse_day};

/// The filters that limit the time: the first day, the last day, and an end that is exclusive, as in the API.
pub const DATE_FILTERS: [&str; 3] = ["from", "through", "to"];

/// The error of a field for a day. Only a link can set such a field to something else.
pub const DAY_HINT: &str = "Choose a date.";

/// The menu in which a range of days is chosen.
#[derive(Clone, Debug)]
pub struct DateRangeMenu {
    /// The chosen range: `Last 7 days`, `20 Nov – 26 Nov 2026`.
    pub label: String,
    pub presets: Vec<DatePreset>,
}

/// A link to the list, limited to a range of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatePreset {
    pub label: &'static str,
    pub address: String,
    /// Whether the list shows exactly this range.
    pub is_current: bool,
}

impl DateRangeMenu {
    /// The menu of a list whose filters have the names of [`DATE_FILTERS`].
    #[must_use]
    pub fn new(address: &ListAddress, today: NaiveDate) -> Self {
        let presets = date_presets(address, today);
        let current = presets.iter().find(|preset| preset.is_current);
        Self { label: current.map_or_else(|| range_text(address), |it| it.label.to_owned()), presets }
    }
}

/// The day of a filter by days, as pages write it: `23 Nov 2026`. Returns `None` for other filters and for instants.
#[must_use]
pub fn describe_day(filter: &str, text: &str) -> Option<String> {
    let day = parse_day(text).filter(|_| DATE_FILTERS.contains(&filter))?;
    Some(day_text(day))
}

/// The end of the day, exclusive.
///
/// # Errors
/// [`DAY_HINT`] if the text is no day.
pub fn parse_last_day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let next_day = parse_day(text).and_then(|day| day.checked_add_days(Days::new(1)));
    next_day.map(midnight).ok_or(DAY_HINT)
}

/// What to do if some of a list's filters are wrong: `Check the dates`. `wrong` are their names and labels.
#[must_use]
pub fn correction_heading(wrong: &[(&str, &str)]) -> String {
    match wrong {
        [(name, label)] if !DATE_FILTERS.contains(name) => format!("Check the {}", label.to_lowercase()),
        _ if wrong.iter().all(|(name, _)| DATE_FILTERS.contains(name)) => "Check the dates".to_owned(),
        _ => "Check the filters".to_owned(),
    }
}

/// Why nothing can be in the range from `from` to `to` (exclusive), if that is so.
#[must_use]
pub fn explain_empty_range(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<&'static str> {
    match (from, to) {
        (Some(from), Some(to)) if from >= to => {
            Some("The range ends before it starts. Choose an end date on or after the start.")
        }
        (Some(from), _) if from > now => {
            Some("The range starts in the future. Choose an earlier start date.")
        }
        _ => None,
    }
}

/// The type of the input for a limit of time: a link may contain an instant, which an input for dates cannot show.
#[must_use]
pub fn date_input_type(value: &str) -> &'static str {
    if value.is_empty() || parse_day(value).is_some() { "date" } else { "text" }
}

fn range_text(address: &ListAddress) -> String {
    let [from, through, to] = DATE_FILTERS.map(|name| address.filter(name));
    let last_day = match (through, to) {
        (through, None) => through.map(parse_day),
        (None, Some(to)) => Some(parse_day(to).and_then(|end| end.checked_sub_days(Days::new(1)))),
        (Some(_), Some(_)) => Some(None),
    };
    match (from.map(parse_day), last_day) {
        (None, None) => "Any date".to_owned(),
        (Some(Some(from)), None) => format!("From {}", day_text(from)),
        (None, Some(Some(last))) => format!("To {}", day_text(last)),
        (Some(Some(from)), Some(Some(last))) if from == last => day_text(from),
        (Some(Some(from)), Some(Some(last))) => join_days(&day_text(from), &day_text(last)),
        _ => "Custom dates".to_owned(),
    }
}

fn day_text(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

/// `20 Nov – 26 Nov 2026`, with two years if they differ.
fn join_days(from: &str, through: &str) -> String {
    let year = |day: &str| day.rsplit(' ').next().map(str::to_owned);
    let is_same_year = year(from) == year(through);
    let from = from.rsplit_once(' ').filter(|_| is_same_year).map_or(from, |(day, _year)| day);
    format!("{from} – {through}")
}

/// The presets, keeping the other filters of `address`.
fn date_presets(address: &ListAddress, today: NaiveDate) -> Vec<DatePreset> {
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

    #[test]
    fn the_menu_names_the_chosen_range() {
        let label = |query: &str| {
            let address = ListAddress::parse("/sessions", query, DATE_FILTERS);
            DateRangeMenu::new(&address, day("2026-11-26")).label
        };
        for (query, expected) in [
            ("", "Any date"),
            ("from=2026-11-20&through=2026-11-26", "Last 7 days"),
            ("from=2026-11-20&through=2026-11-25", "20 Nov – 25 Nov 2026"),
            ("from=2025-12-20&through=2026-01-02", "20 Dec 2025 – 2 Jan 2026"),
            ("from=2026-11-20", "From 20 Nov 2026"),
            ("through=2026-11-20", "To 20 Nov 2026"),
            ("from=2026-11-20&through=2026-11-20", "20 Nov 2026"),
            ("to=2026-11-20", "To 19 Nov 2026"),
            ("from=2026-11-18&to=2026-11-20", "18 Nov – 19 Nov 2026"),
            ("through=2026-11-18&to=2026-11-20", "Custom dates"),
            ("from=yesterday", "Custom dates"),
            ("from=2026-11-20T10:00:00Z&through=2026-11-25", "Custom dates"),
        ] {
            assert_eq!(label(query), expected, "{query}");
        }
    }

    #[test]
    fn the_heading_says_which_filters_to_check() {
        let (from, to, search) = (("from", "From"), ("to", "Before"), ("q", "Search"));
        assert_eq!(correction_heading(&[from]), "Check the dates");
        assert_eq!(correction_heading(&[from, to]), "Check the dates");
        assert_eq!(correction_heading(&[search]), "Check the search");
        assert_eq!(correction_heading(&[search, from]), "Check the filters");
    }

    #[test]
    fn an_instant_is_shown_as_text() {
        let types = ["", "2026-11-23", "2026-11-23T10:45:06Z", "x"].map(date_input_type);
        assert_eq!(types, ["date", "date", "text", "text"]);
    }
}
