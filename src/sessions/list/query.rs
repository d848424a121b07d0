//! What the address of the list asks for.

use chrono::DateTime;

use super::store::{SessionCursor, Towards};
use crate::{
    error::{AppError, FieldError},
    sessions::{export::query::PageRequest, filter::SessionFilter, session::Session},
    web::{form::FormState, time::rfc3339},
};

/// What the list can be narrowed by, in the order of the form, and how it is called there. The names are those of the API;
/// `q` is the search.
const FILTERS: [(&str, &str); 6] = [
    ("q", "Search"),
    ("status", "Status"),
    ("channel", "Channel"),
    ("agentName", "Agent"),
    ("from", "From"),
    ("to", "Before"),
];
/// The longest search, in characters.
const SEARCH_MAX: usize = 200;

/// What the address asks for. What is wrong with it is told in the form.
pub(crate) struct ListQuery {
    pub(crate) request: PageRequest,
    pub(crate) form: FormState,
    /// The filter as pairs, for links.
    pairs: Vec<(&'static str, String)>,
    pub(crate) towards: Towards,
    /// Where a search goes on: at this sequence, from there back.
    pub(crate) back: Option<i64>,
    /// What is wrong with the filter: then nothing is shown, rather than everything.
    pub(crate) errors: Vec<FieldError>,
}

/// A filter that is in force, and the address without it.
pub(crate) struct AppliedFilter {
    pub(crate) label: &'static str,
    pub(crate) text: String,
    pub(crate) without: String,
}

impl ListQuery {
    pub(crate) fn parse(query: &str) -> Result<Self, AppError> {
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let text =
            |name: &str| given.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim());
        let names = || FILTERS.iter().map(|(name, _)| *name);
        let form = names().fold(FormState::default(), |form, name| form.keep(name, text(name)));
        let filter = |name: &str| {
            Some(text(name)).filter(|value| names().any(|known| known == name) && !value.is_empty())
        };
        let mut errors: Vec<_> = names()
            .filter(|name| text(name).chars().any(char::is_control))
            .map(|name| FieldError::new(name, "Remove the control characters."))
            .collect();
        if text("q").chars().count() > SEARCH_MAX {
            errors.push(FieldError::new("q", format!("Use at most {SEARCH_MAX} characters.")));
        }
        let request = PageRequest::parse(filter).map_err(|wrong| errors.extend(wrong)).ok();
        let request = match request.filter(|_| errors.is_empty()) {
            Some(request) => request,
            None => PageRequest::parse(|_| None).map_err(AppError::Invalid)?,
        };
        let form = errors.iter().cloned().fold(form, told);
        let pairs = names().filter_map(|name| Some((name, filter(name)?.to_owned()))).collect();
        let towards = match (position(text("after")), position(text("before"))) {
            (Some(after), _) => Towards::Newer(after),
            (None, before) => Towards::Older(before),
        };
        let back = text("back").parse().ok().filter(|back| *back >= 1);
        Ok(Self { request, form, pairs, towards, back, errors })
    }

    /// What is looked for; `None`: the list is only filtered.
    pub(crate) fn search(&self) -> Option<&str> {
        Some(self.form.value("q")).filter(|text| !text.is_empty() && self.errors.is_empty())
    }

    /// Whether anything narrows the list.
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.pairs.is_empty()
    }

    pub(crate) fn filter(&self) -> &SessionFilter {
        &self.request.filter
    }

    /// The filter as a query string, empty or with its `?`.
    pub(crate) fn query(&self) -> String {
        address("", &self.pairs, None)
    }

    /// The address of the list beyond this session.
    pub(crate) fn beyond(&self, name: &str, session: &Session) -> String {
        let position = format!("{}~{}", rfc3339(session.created_at), session.sequence);
        address("/sessions", &self.pairs, Some((name, &position)))
    }

    /// The address of the same search further back.
    pub(crate) fn further_back(&self, looked_to: i64) -> String {
        address("/sessions", &self.pairs, Some(("back", &looked_to.to_string())))
    }

    /// The filters in force, each with the address without it.
    pub(crate) fn applied(&self) -> Vec<AppliedFilter> {
        let label =
            |name: &str| FILTERS.iter().find(|(known, _)| *known == name).map_or("", |(_, label)| label);
        let without = |name: &str| {
            let others: Vec<_> = self.pairs.iter().filter(|(known, _)| *known != name).cloned().collect();
            address("/sessions", &others, None)
        };
        let applied = |(name, text): &(&'static str, String)| AppliedFilter {
            label: label(name),
            text: text.clone(),
            without: without(name),
        };
        self.pairs.iter().map(applied).collect()
    }
}

fn address(path: &str, pairs: &[(&'static str, String)], more: Option<(&str, &str)>) -> String {
    if pairs.is_empty() && more.is_none() {
        return path.to_owned();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).extend_pairs(more);
    format!("{path}?{}", query.finish())
}

fn told(form: FormState, error: FieldError) -> FormState {
    match FILTERS.iter().find(|(name, _)| *name == error.field) {
        Some((name, _)) => form.refuse(name, error.message),
        None => form,
    }
}

/// `2026-11-23T10:45:06Z~17`: a time and a sequence.
fn position(text: &str) -> Option<SessionCursor> {
    let (time, sequence) = text.split_once('~')?;
    let created_at = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
    Some(SessionCursor { created_at, sequence: sequence.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_link_and_junk_is_none() {
        assert_eq!(position("2026-11-23T10:45:06Z~17").unwrap().sequence, 17);
        assert!(["", "~", "x~1", "2026-11-23T10:45:06Z~x"].iter().all(|text| position(text).is_none()));
    }

    #[test]
    fn each_filter_can_be_taken_away_alone() {
        let asked = ListQuery::parse("q=nora+l&status=missed&from=&other=x").unwrap();
        let applied: Vec<_> = asked.applied().into_iter().map(|it| (it.label, it.text, it.without)).collect();
        assert_eq!(
            applied,
            [
                ("Search", "nora l".to_owned(), "/sessions?status=missed".to_owned()),
                ("Status", "missed".to_owned(), "/sessions?q=nora+l".to_owned()),
            ]
        );
        assert_eq!(asked.query(), "?q=nora+l&status=missed");
        assert_eq!(asked.further_back(7), "/sessions?q=nora+l&status=missed&back=7");
    }
}
