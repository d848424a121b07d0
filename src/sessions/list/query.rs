//! The query string of the list: filters, search and position.

use super::store::SessionListCursor;
use crate::{
    error::{AppError, FieldError},
    sessions::{export::query::SessionPageRequest, filter::SessionFilter, session::Session},
    web::{
        form::FormState,
        list::{KeysetPage, ListAddress, PageDirection, Pager},
        time::rfc3339,
        time_parser::parse_instant,
    },
};

const PATH: &str = "/sessions";
/// The filters with their labels, in the order of the form. The names are those of the API; `q` is the search.
const FILTERS: [(&str, &str); 6] = [
    ("q", "Search"),
    ("status", "Status"),
    ("channel", "Channel"),
    ("agentName", "Agent"),
    ("from", "From"),
    ("to", "Before"),
];
/// Maximum length of a search, in characters.
const SEARCH_MAX: usize = 200;

pub(crate) struct SessionListQuery {
    pub(crate) address: ListAddress,
    /// Without filters if one of them is wrong.
    pub(crate) request: SessionPageRequest,
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
        let request = request.map_err(|errors| form.extend(errors)).ok().filter(|_| !form.is_wrong());
        let request = match request {
            Some(request) => request,
            None => SessionPageRequest::parse(|_| None).map_err(AppError::Invalid)?,
        };
        let direction = address.direction(parse_cursor);
        let search_from = address.parameter("back", |text| text.parse().ok()).filter(|back| *back >= 1);
        Ok(Self { address, request, form, direction, search_from })
    }

    /// The words to search for. Returns `None` if the list is only filtered.
    pub(crate) fn search(&self) -> Option<&str> {
        self.address.filter("q").filter(|_| !self.form.is_wrong())
    }

    pub(crate) fn is_filtered(&self) -> bool {
        !self.address.filters().is_empty()
    }

    pub(crate) fn filter(&self) -> &SessionFilter {
        &self.request.filter
    }

    pub(crate) fn pager(&self, page: &KeysetPage<Session>) -> Pager {
        let cursor = |session: &Session| format!("{}~{}", rfc3339(session.created_at), session.sequence);
        self.address.pager(page, cursor)
    }

    /// The same search, continued before this sequence.
    pub(crate) fn older_search_link(&self, sequence: i64) -> String {
        self.address.link_with("back", &sequence.to_string())
    }

    pub(crate) fn applied_filters(&self) -> Vec<AppliedFilter> {
        let label =
            |name: &str| FILTERS.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| label);
        let applied = |(name, text): &(&'static str, String)| AppliedFilter {
            label: label(name),
            text: text.clone(),
            without: self.address.link_without(name),
        };
        self.address.filters().iter().map(applied).collect()
    }
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
            query.applied_filters().into_iter().map(|it| (it.label, it.text, it.without)).collect();
        assert_eq!(
            applied,
            [
                ("Search", "nora l".to_owned(), "/sessions?status=missed".to_owned()),
                ("Status", "missed".to_owned(), "/sessions?q=nora+l".to_owned()),
            ]
        );
        assert_eq!(query.address.query(), "?q=nora+l&status=missed");
        assert_eq!(query.older_search_link(7), "/sessions?q=nora+l&status=missed&back=7");
    }
}
