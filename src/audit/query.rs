//! The query string of the audit log: filters and position.

use super::list::AuditFilter;
use crate::web::{
    body::form::FormState,
    format::{time::midnight, time_parser},
    page::list::{ListAddress, PageDirection},
};

/// The filters, in the order of the form.
const FILTERS: [&str; 5] = ["act", "actor", "key", "from", "to"];

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
        let address = ListAddress::parse(path, query, FILTERS);
        let mut form = address.form();
        let mut parse_day = |name: &'static str| {
            let day = time_parser::parse_day(address.filter(name)?);
            form.check(name, day.ok_or("Enter the date as YYYY-MM-DD.")).map(midnight)
        };
        let (from, to) = (parse_day("from"), parse_day("to"));
        // No record has a control character, and PostgreSQL rejects NUL.
        let text = |name: &str| address.filter(name).map(|text| text.replace(char::is_control, ""));
        let filter = AuditFilter { act: text("act"), actor: text("actor"), key: text("key"), from, to };
        let direction = address.direction(|cursor| cursor.parse().ok());
        Self { address, filter, form, direction }
    }
}
