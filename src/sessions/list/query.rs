//! The query string of the list: filters, search and position.

use chrono::{DateTime, Days, Utc};
use uuid::Uuid;

use super::{page_filter::PageFilter, presets::DATE_FILTERS, store::SessionListCursor};
use crate::{
    error::{AppError, FieldError},
    sessions::{export::query::SessionPageRequest, filter::SessionFilter, session::Session},
    web::{
        body::form::FormState,
        format::{
            time::{midnight, rfc3339},
            time_parser::{parse_day, parse_instant},
        },
        page::list::{KeysetPage, ListAddress, PageDirection, Pager},
    },
};

const PATH: &str = "/sessions";
/// The filters with their labels, in the order of the form. The names are those of the API, except `q` (the search),
/// `shopper` (a session of the shopper) and `through` (the last day, inclusive; `to` is exclusive, as in the API).
const FILTERS: [(&str, &str); 8] = [
    ("q", "Search"),
    ("status", "Status"),
    ("channel", "Channel"),
    ("agentName", "Agent"),
    ("shopper", "Shopper"),
    ("from", "From"),
    ("through", "To"),
    ("to", "Before"),
];
/// What to write into a field for a day. Its hyphens do not break, because the field is narrow.
const DAY_HINT: &str = "Enter a date, such as 2026\u{2011}11\u{2011}23.";
/// Maximum length of a search, in characters.
const SEARCH_MAX: usize = 200;

pub(crate) struct SessionListQuery {
    pub(crate) address: ListAddress,
    /// Without filters if one of them is wrong.
    pub(crate) request: SessionPageRequest,
    /// Selects the sessions of the same shopper as this session.
    shopper_of: Option<Uuid>,
    /// The filters as they were typed. If one is wrong, nothing is shown rather than everything.
    pub(crate) form: FormState,
    pub(crate) direction: PageDirection<SessionListCursor>,
    /// The sequence at which a search continues, towards older sessions.
    pub(crate) search_from: Option<i64>,
}

/// A filter that is set, and the address without it.
pub(crate) struct AppliedFilter {
    pub(crate) label: &'static str,
    pub(crate) text: String,
    pub(crate) without: String,
}

impl SessionListQuery {
    pub(crate) fn parse(query: &str) -> Result<Self, AppError> {
        let address = ListAddress::parse(PATH, query, FILTERS.map(|(name, _)| name));
        let mut form = address.form();
        form.extend(text_errors(&address));
        let request = SessionPageRequest::parse(|name| address.filter(name));
        let request = request.map_err(|errors| form.extend(errors.into_iter().map(shorten_date_error))).ok();
        let end = address.filter("through").and_then(|text| form.check("through", parse_last_day(text)));
        let shopper_of =
            address.filter("shopper").and_then(|text| form.check("shopper", parse_session_id(text)));
        let request = match request.filter(|_| !form.is_wrong()) {
            Some(mut request) => {
                request.filter.search = address.filter("q").map(str::to_owned);
                request.filter.to = request.filter.to.into_iter().chain(end).min();
                request
            }
            None => SessionPageRequest::parse(|_| None).map_err(AppError::Invalid)?,
        };
        let direction = address.direction(parse_cursor);
        let search_from = address.parameter("back", |text| text.parse().ok()).filter(|back| *back >= 1);
        let shopper_of = shopper_of.filter(|_| !form.is_wrong());
        Ok(Self { address, request, shopper_of, form, direction, search_from })
    }

    /// Whether sessions are searched in pieces, by words or by their shopper.
    pub(crate) fn is_search(&self) -> bool {
        self.request.filter.needs_scan() || self.shopper_of.is_some()
    }

    pub(crate) fn is_filtered(&self) -> bool {
        !self.address.filters().is_empty()
    }

    pub(crate) fn filter(&self) -> &SessionFilter {
        &self.request.filter
    }

    /// The filters before the agent and the shopper are looked up.
    pub(crate) fn chosen_filter(&self) -> PageFilter {
        PageFilter { filter: self.filter().clone(), shopper_of: self.shopper_of }
    }

    /// The filters as a query string, for the page of a session in this list.
    pub(crate) fn session_query(&self) -> String {
        let Some(search_from) = self.search_from else { return self.address.query() };
        self.older_search_link(search_from).split_off(PATH.len())
    }

    /// The list without its limits of time. Returns `None` if it has none.
    pub(crate) fn any_date_link(&self) -> Option<String> {
        let is_limited = DATE_FILTERS.iter().any(|name| self.address.filter(name).is_some());
        is_limited.then(|| self.address.link_replacing(&DATE_FILTERS, &[]))
    }

    pub(crate) fn pager(&self, page: &KeysetPage<Session>) -> Pager {
        let cursor = |session: &Session| format!("{}~{}", rfc3339(session.created_at), session.sequence);
        self.address.pager(page, cursor)
    }

    /// The same search, continued before this sequence.
    pub(crate) fn older_search_link(&self, sequence: i64) -> String {
        self.address.link_with("back", &sequence.to_string())
    }

    /// `shopper` is the name shown for the filter by shopper.
    pub(crate) fn applied_filters(&self, shopper: Option<&String>) -> Vec<AppliedFilter> {
        let label =
            |name: &str| FILTERS.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| label);
        let applied = |(name, text): &(&'static str, String)| AppliedFilter {
            label: label(name),
            text: match shopper {
                Some(shopper) if *name == "shopper" => shopper.clone(),
                _ => describe_day(name, text).unwrap_or_else(|| text.clone()),
            },
            without: self.address.link_without(name),
        };
        self.address.filters().iter().map(applied).collect()
    }
}

/// The API explains times to programs; a visitor only needs a day.
fn shorten_date_error(error: FieldError) -> FieldError {
    let is_date = DATE_FILTERS.contains(&error.field.as_ref());
    if is_date { FieldError { message: DAY_HINT.into(), ..error } } else { error }
}

/// The day of a filter of time, as pages write it. Returns `None` for other filters and for instants.
fn describe_day(filter: &str, text: &str) -> Option<String> {
    let day = parse_day(text).filter(|_| DATE_FILTERS.contains(&filter))?;
    Some(day.format("%-d %b %Y").to_string())
}

/// Control characters in any filter, and a search that is too long.
fn text_errors(address: &ListAddress) -> Vec<FieldError> {
    let filters = address.filters().iter();
    let mut errors: Vec<_> = filters
        .filter(|(_, text)| text.chars().any(char::is_control))
        .map(|(name, _)| FieldError::new(*name, "Remove the control characters."))
        .collect();
    if address.filter("q").is_some_and(|text| text.chars().count() > SEARCH_MAX) {
        errors.push(FieldError::new("q", format!("Use at most {SEARCH_MAX} characters.")));
    }
    errors
}

/// The end of the day, exclusive.
fn parse_last_day(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let next_day = parse_day(text).and_then(|day| day.checked_add_days(Days::new(1)));
    next_day.map(midnight).ok_or(DAY_HINT)
}

fn parse_session_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse()
        .map_err(|_malformed: uuid::Error| "Open a session and follow its link to the shopper’s sessions.")
}

/// The type of the input for a limit of time: a link may contain an instant, which an input for dates cannot show.
pub(crate) fn date_input_type(value: &str) -> &'static str {
    if value.is_empty() || parse_day(value).is_some() { "date" } else { "text" }
}

/// `2026-11-23T10:45:06Z~17`: a time and a sequence.
fn parse_cursor(text: &str) -> Option<SessionListCursor> {
    let (time, sequence) = text.split_once('~')?;
    Some(SessionListCursor { created_at: parse_instant(time)?, sequence: sequence.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_link_and_junk_is_none() {
        assert_eq!(parse_cursor("2026-11-23T10:45:06Z~17").unwrap().sequence, 17);
        assert!(
            ["", "~", "x~1", "2026-11-23T10:45:06Z~x", "-9999-01-01T00:00:00Z~1"]
                .iter()
                .all(|text| parse_cursor(text).is_none())
        );
    }

    #[test]
    fn each_filter_can_be_taken_away_alone() {
        let query = SessionListQuery::parse("q=nora+l&status=missed&from=&other=x").unwrap();
        let applied: Vec<_> =
            query.applied_filters(None).into_iter().map(|it| (it.label, it.text, it.without)).collect();
        assert_eq!(
            applied,
            [
                ("Search", "nora l".to_owned(), "/sessions?status=missed".to_owned()),
                ("Status", "missed".to_owned(), "/sessions?q=nora+l".to_owned()),
            ]
        );
        assert_eq!(query.address.query(), "?q=nora+l&status=missed");
        assert_eq!(query.older_search_link(7), "/sessions?q=nora+l&status=missed&back=7");
        assert_eq!(query.session_query(), "?q=nora+l&status=missed");
        let continued = SessionListQuery::parse("q=nora&back=7").unwrap();
        assert_eq!(continued.session_query(), "?q=nora&back=7");
    }

    #[test]
    fn the_last_day_is_included_and_to_keeps_its_meaning() {
        let end = |query: &str| {
            let query = SessionListQuery::parse(query).unwrap();
            (query.filter().to.map(rfc3339).unwrap_or_default(), query.form.is_wrong())
        };
        let midnight = |day: &str| (format!("{day}T00:00:00Z"), false);
        assert_eq!(end("through=2026-11-30"), midnight("2026-12-01"));
        assert_eq!(end("to=2026-11-30"), midnight("2026-11-30"));
        assert_eq!(end("to=2026-11-30&through=2026-11-30"), midnight("2026-11-30"), "both limits apply");
        assert_eq!(end("to=2026-12-24&through=2026-11-30"), midnight("2026-12-01"));
        for wrong in ["2026-11-31", "2026-11-30T10:00:00Z", "-9999-01-01", "tomorrow"] {
            assert_eq!(end(&format!("through={wrong}")), (String::new(), true), "{wrong}");
        }
    }

    #[test]
    fn an_instant_is_shown_as_text() {
        let types = ["", "2026-11-23", "2026-11-23T10:45:06Z", "x"].map(date_input_type);
        assert_eq!(types, ["date", "date", "text", "text"]);
    }
}
