//! Which page of the sessions is asked for, in which order, with which filter.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::record::{CHANNELS, STATUSES};
use crate::error::FieldError;

/// Sessions per page when nothing is said.
pub const PER_PAGE_DEFAULT: i64 = 50;
/// Sessions per page at most; more is clamped to it.
pub const PER_PAGE_MAX: i64 = 1000;

/// In which order sessions come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// As recorded, the oldest first. A page that is full never changes.
    Ascending,
    /// The last recorded first.
    Descending,
}

/// Which sessions are meant. Times are of `createdAt` but for the last; an empty filter lets all through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
    /// One of [`STATUSES`].
    pub status: Option<String>,
    /// One of [`CHANNELS`].
    pub channel: Option<String>,
    /// The agent's name, exactly.
    pub agent_name: Option<String>,
    /// Changed at this time or later, by our clock.
    pub updated_since: Option<DateTime<Utc>>,
}

/// A page of `per_page` (1–1000) sessions, counted from 1; or those after a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// From 1.
    pub page: i64,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: i64,
    /// The order.
    pub order: Order,
    /// The filter.
    pub filter: Filter,
    /// The sequence of the last session that was read: those beyond it are wanted, whatever the page.
    pub cursor: Option<i64>,
}

impl PageRequest {
    /// Parses the fields that `field` gives by name; `None` is absent.
    ///
    /// # Errors
    /// Every field that is wrong, with what to do about it.
    pub fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Vec<FieldError>> {
        let mut reader = Reader { field, errors: Vec::new() };
        let request = Self {
            page: reader.read("page", parse_page).unwrap_or(1),
            per_page: reader.read("perPage", parse_per_page).unwrap_or(PER_PAGE_DEFAULT),
            order: reader.read("order", parse_order).unwrap_or(Order::Ascending),
            cursor: reader.read("cursor", parse_cursor),
            filter: Filter {
                from: reader.read("from", parse_time),
                to: reader.read("to", parse_time),
                status: reader.read("status", |text| one_of(text, &STATUSES)),
                channel: reader.read("channel", |text| one_of(text, &CHANNELS)),
                agent_name: reader.read("agentName", |text| Ok(text.to_owned())),
                updated_since: reader.read("updatedSince", parse_time),
            },
        };
        if request.cursor.is_some() && (reader.field)("page").is_some() {
            reader.errors.push(FieldError::new("cursor", "Send page or cursor, not both."));
        }
        if reader.errors.is_empty() { Ok(request) } else { Err(reader.errors) }
    }

    /// Whether pages can be found by their sequences alone.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.filter == Filter::default() && self.cursor.is_none()
    }

    /// The cursor that goes on after this session.
    #[must_use]
    pub fn cursor_after(sequence: i64) -> String {
        format!("s{sequence}")
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

/// Reads fields and collects what is wrong with them.
struct Reader<F> {
    field: F,
    errors: Vec<FieldError>,
}

impl<'a, F: Fn(&str) -> Option<&'a str>> Reader<F> {
    fn read<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = (self.field)(name)?;
        parse(text).map_err(|message| self.errors.push(FieldError::new(name, message))).ok()
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
        .ok_or_else(|| {
            let hint = "Write it like 2026-11-23 or 2026-11-23T10:45:06Z (RFC 3339).";
            // Where a + stood in an address, a blank comes.
            if text.contains(' ') {
                format!("{hint} In an address a + is written %2B.")
            } else {
                hint.to_owned()
            }
        })
}

fn parse_cursor(text: &str) -> Result<i64, String> {
    let sequence = text.strip_prefix('s').filter(|digits| is_digits(digits)).and_then(|it| it.parse().ok());
    sequence.ok_or_else(|| "Send the nextCursor of the answer before, unchanged.".to_owned())
}

fn one_of(text: &str, allowed: &[&str]) -> Result<String, String> {
    if allowed.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("Use one of {}.", allowed.join(", ")))
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

    #[test]
    fn a_cursor_comes_back_unchanged_and_alone() {
        assert_eq!(parse(&[("cursor", &PageRequest::cursor_after(17))]).unwrap().cursor, Some(17));
        for text in ["17", "s", "s-1", "s+1", "sx", "s99999999999999999999"] {
            assert_eq!(parse(&[("cursor", text)]).unwrap_err()[0].field, "cursor", "{text}");
        }
        assert_eq!(parse(&[("cursor", "s1"), ("page", "1")]).unwrap_err()[0].field, "cursor");
    }

    proptest! {
        #[test]
        fn pages_cover_every_session_once(total in 0_i64..5000, per_page in 1_i64..=1000) {
            let request = PageRequest { per_page, ..parse(&[]).unwrap() };
            let pages = request.page_count(total);
            prop_assert!((pages - 1).max(0) * per_page <= total && total <= pages * per_page);
        }
    }
}
