//! The query string of the list: filters, search and position.

use uuid::Uuid;

use super::{page_filter::PageFilter, store::SessionListCursor};
use crate::{
    error::{AppError, FieldError},
    sessions::{export::query::SessionPageRequest, filter::SessionFilter, session::Session},
    web::{
        body::form::FormState,
        format::{capitalized, time::rfc3339, time_parser::parse_instant},
        page::{
            date_range::{DATE_FILTERS, DAY_HINT, correction_heading, describe_day, parse_last_day},
            list::{AppliedFilter, KeysetPage, ListAddress, PageDirection, Pager},
        },
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

    /// The list without its limits of time. Returns `None` if it has none, or no other filters.
    pub(crate) fn any_date_link(&self) -> Option<String> {
        let is_date = |name: &str| DATE_FILTERS.contains(&name);
        let dates = self.address.filters().iter().filter(|(name, _)| is_date(name)).count();
        let is_one_of_several = dates > 0 && dates < self.address.filters().len();
        is_one_of_several.then(|| self.address.link_replacing(&DATE_FILTERS, &[]))
    }

    /// What to do if filters are wrong.
    pub(crate) fn correction_heading(&self) -> String {
        let is_wrong = |(name, _): &(&str, &str)| self.form.error(name).is_some();
        correction_heading(&FILTERS.into_iter().filter(is_wrong).collect::<Vec<_>>())
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
            text: match (*name, shopper) {
                ("shopper", Some(shopper)) => shopper.clone(),
                ("status" | "channel", _) => capitalized(text),
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

fn parse_session_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse()
        .map_err(|_malformed: uuid::Error| "Open a session and follow its link to the shopper’s sessions.")
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
                ("Status", "Missed".to_owned(), "/sessions?q=nora+l".to_owned()),
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
}
