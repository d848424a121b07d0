//! The query string of the audit log: filters and position.

use super::{list::AuditFilter, log::event::RecordKind};
use crate::web::{
    body::form::FormState,
    format::{time::midnight, time_parser},
    page::{
        date_range::{DAY_HINT, correction_heading, describe_day, parse_last_day},
        list::{AppliedFilter, ListAddress, PageDirection},
    },
};

/// The filters with their labels, in the order of the form. `through` is the last day, inclusive; `to` is exclusive.
const FILTERS: [(&str, &str); 6] = [
    ("key", "Public key"),
    ("act", "Event"),
    ("actor", "By"),
    ("from", "From"),
    ("through", "To"),
    ("to", "Before"),
];

pub(crate) struct AuditQuery {
    pub(crate) address: ListAddress,
    pub(crate) filter: AuditFilter,
    /// The filters as they were typed. If one is wrong, no record is shown.
    pub(crate) form: FormState,
    /// The cursor is a sequence.
    pub(crate) direction: PageDirection<i64>,
}

impl AuditQuery {
    pub(crate) fn parse(path: &'static str, query: &str) -> Self {
        let address = ListAddress::parse(path, query, FILTERS.map(|(name, _)| name));
        let mut form = address.form();
        let mut parse_day = |name: &'static str| {
            let day = time_parser::parse_day(address.filter(name)?);
            form.check(name, day.ok_or(DAY_HINT)).map(midnight)
        };
        let (from, to) = (parse_day("from"), parse_day("to"));
        let end = address.filter("through").and_then(|text| form.check("through", parse_last_day(text)));
        // No record has a control character, and PostgreSQL rejects NUL.
        let text = |name: &str| address.filter(name).map(|text| text.replace(char::is_control, ""));
        let filter = AuditFilter {
            act: text("act"),
            actor: text("actor"),
            key: text("key"),
            from,
            to: to.into_iter().chain(end).min(),
        };
        let direction = address.direction(|cursor| cursor.parse().ok());
        Self { address, filter, form, direction }
    }

    /// The filters that are set. `actors` are the values and labels of the filter by actor.
    pub(crate) fn applied_filters(&self, actors: &[(String, String)]) -> Vec<AppliedFilter> {
        let actor =
            |value: &str| actors.iter().find(|(known, _)| known == value).map(|(_, name)| name.clone());
        let event = |value: &str| RecordKind::from_name(value).map(|kind| kind.label().to_owned());
        let describe = |name: &str, value: &str| match name {
            "act" => event(value),
            "actor" => actor(value),
            _ => describe_day(name, value),
        };
        let label = |name: &str| FILTERS.iter().find(|(known, _)| *known == name).map_or("", |(_, it)| *it);
        let applied = |(name, value): &(&'static str, String)| AppliedFilter {
            label: label(name),
            text: describe(name, value).unwrap_or_else(|| value.clone()),
            without: self.address.link_without(name),
        };
        self.address.filters().iter().map(applied).collect()
    }

    /// What to do if filters are wrong.
    pub(crate) fn correction_heading(&self) -> String {
        let is_wrong = |(name, _): &(&str, &str)| self.form.error(name).is_some();
        correction_heading(&FILTERS.into_iter().filter(is_wrong).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_is_included_and_to_keeps_its_meaning() {
        let end = |query: &str| AuditQuery::parse("/settings/audit", query).filter.to;
        let day = |text: &str| time_parser::parse_day(text).map(midnight);
        assert_eq!(end("through=2026-11-30"), day("2026-12-01"));
        assert_eq!(end("to=2026-11-30"), day("2026-11-30"));
        assert_eq!(end("to=2026-11-30&through=2026-11-30"), day("2026-11-30"));
        assert!(AuditQuery::parse("/settings/audit", "through=2026-11-31").form.is_wrong());
    }

    #[test]
    fn filters_are_named_for_people() {
        let query = "act=key.created&actor=system&key=uptok_000000000000&through=2026-11-30";
        let query = AuditQuery::parse("/settings/audit", query);
        let actors = [("system".to_owned(), "Uptok".to_owned())];
        let applied = query.applied_filters(&actors);
        let texts: Vec<_> = applied.iter().map(|it| format!("{}: {}", it.label, it.text)).collect();
        let expected =
            ["Public key: uptok_000000000000", "Event: Key created", "By: Uptok", "To: 30 Nov 2026"];
        assert_eq!(texts, expected);
        assert!(!applied[1].without.contains("act="));
    }
}
