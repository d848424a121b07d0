//! Which page of the sessions is asked for, in which order, with which filter.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::record::STATUSES;
use crate::error::FieldError;

/// Sessions per page when nothing is said.
pub const PER_PAGE_DEFAULT: i64 = 50;
/// Sessions per page at most; more is clamped to it.
pub const PER_PAGE_MAX: i64 = 1000;

/// In which order sessions come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As recorded, the oldest first. A page that is full never changes.
    Ascending,
    /// The last recorded first.
    Descending,
}

/// Which sessions are meant; times are of `createdAt`, `to` is exclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
    /// One of [`STATUSES`].
    pub status: Option<String>,
}

/// A page of `per_page` (1–1000) sessions, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: i64,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: i64,
    /// The order.
    pub order: Order,
    /// The filter.
    pub filter: Filter,
}

impl PageRequest {
    /// Parses the fields that `field` gives by name; `None` is absent.
    ///
    /// # Errors
    /// Every field that is wrong, with what to do about it.
    pub fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut note = |name: &'static str, message: String| errors.push(FieldError::new(name, message));
        let page = field("page").map_or(Ok(1), parse_page).map_err(|message| note("page", message));
        let per_page = field("perPage")
            .map_or(Ok(PER_PAGE_DEFAULT), parse_per_page)
            .map_err(|message| note("perPage", message));
        let order = field("order")
            .map_or(Ok(Order::Ascending), parse_order)
            .map_err(|message| note("order", message));
        let from = field("from").map(parse_time).transpose().map_err(|message| note("from", message));
        let to = field("to").map(parse_time).transpose().map_err(|message| note("to", message));
        let status = field("status").map(parse_status).transpose().map_err(|message| note("status", message));
        match (page, per_page, order, from, to, status) {
            (Ok(page), Ok(per_page), Ok(order), Ok(from), Ok(to), Ok(status)) => {
                Ok(Self { page, per_page, order, filter: Filter { from, to, status } })
            }
            _ => Err(errors),
        }
    }

    /// How many sessions come before this page.
    #[must_use]
    pub fn skipped(&self) -> i64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// Into how many pages `total` sessions fall; none into none.
    #[must_use]
    pub fn page_count(&self, total: i64) -> i64 {
        total / self.per_page + i64::from(total % self.per_page != 0)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_page(text: &str) -> Result<i64, String> {
    let page = text.parse().ok().filter(|page| *page >= 1 && is_digits(text));
    page.ok_or_else(|| format!("Use a whole number from 1 to {}, in digits only.", i64::MAX))
}

/// More than the maximum, however much, is the maximum.
fn parse_per_page(text: &str) -> Result<i64, String> {
    if !is_digits(text) || text.bytes().all(|byte| byte == b'0') {
        return Err(format!("Use a whole number from 1 to {PER_PAGE_MAX}, in digits only."));
    }
    Ok(text.parse().map_or(PER_PAGE_MAX, |number: i64| number.min(PER_PAGE_MAX)))
}

fn parse_order(text: &str) -> Result<Order, String> {
    match text {
        "asc" => Ok(Order::Ascending),
        "desc" => Ok(Order::Descending),
        _ => Err("Use asc or desc.".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .ok()
        .or_else(|| day().map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .ok_or_else(|| "Write it like 2026-11-23 or 2026-11-23T10:45:06Z (RFC 3339).".to_owned())
}

fn parse_status(text: &str) -> Result<String, String> {
    if STATUSES.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("Use one of {}.", STATUSES.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<PageRequest, Vec<FieldError>> {
        PageRequest::parse(|name| pairs.iter().find(|(field, _)| *field == name).map(|(_, value)| *value))
    }

    #[test]
    fn nothing_said_is_the_first_fifty_in_the_order_recorded() {
        let request = parse(&[]).unwrap();
        assert_eq!((request.page, request.per_page, request.order), (1, 50, Order::Ascending));
        assert_eq!(request.filter, Filter::default());
    }

    #[test]
    fn numbers_are_digits_only_from_one() {
        for text in ["0", "-1", "+1", " 1", "1.0", "1e3", "٣", "abc", "9223372036854775808"] {
            assert_eq!(parse(&[("page", text)]).unwrap_err()[0].field, "page", "{text}");
        }
        for text in ["0", "00", "-1", "+1", "ten"] {
            assert_eq!(parse(&[("perPage", text)]).unwrap_err()[0].field, "perPage", "{text}");
        }
    }

    #[test]
    fn too_many_per_page_are_clamped() {
        for text in ["1000", "1001", "99999999999999999999999999"] {
            assert_eq!(parse(&[("perPage", text)]).unwrap().per_page, 1000);
        }
    }

    #[test]
    fn a_day_is_its_midnight_in_utc() {
        let filter = parse(&[("from", "2026-11-23"), ("to", "2026-11-23T02:00:00+02:00")]).unwrap().filter;
        assert_eq!(filter.from, filter.to);
        assert!(parse(&[("from", "2026-13-01")]).is_err());
        assert!(parse(&[("to", "tomorrow")]).is_err());
    }

    #[test]
    fn the_last_page_number_does_not_overflow() {
        let request = parse(&[("page", "9223372036854775807"), ("perPage", "1000")]).unwrap();
        assert_eq!(request.skipped(), i64::MAX);
    }

    proptest! {
        #[test]
        fn pages_cover_every_session_once(total in 0_i64..5000, per_page in 1_i64..=1000) {
            let request = PageRequest { page: 1, per_page, order: Order::Ascending, filter: Filter::default() };
            let pages = request.page_count(total);
            prop_assert!((pages - 1).max(0) * per_page <= total && total <= pages * per_page);
        }
    }
}
