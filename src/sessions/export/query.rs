//! The query of an export: page or stream, order, filter and format.

use crate::{
    error::{AppError, FieldError},
    sessions::filter::SessionFilter,
    web::{body::form::FieldReader, format::number::trim_zero_fraction},
};

/// Default number of sessions per page.
pub const PER_PAGE_DEFAULT: i64 = 50;
/// Maximum sessions per page; a larger number is reduced to it.
pub const PER_PAGE_MAX: i64 = 1000;

/// The order of sessions by their sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// Oldest first, as recorded. A full page never changes.
    Ascending,
    /// Newest first.
    Descending,
}

/// A page by its number, or the sessions after a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionPageRequest {
    /// From 1.
    pub page: i64,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: i64,
    /// Order by sequence.
    pub order: SortOrder,
    /// Which sessions match.
    pub filter: SessionFilter,
    /// The sequence of the last session that was read; replaces the page number.
    pub cursor: Option<i64>,
}

impl SessionPageRequest {
    /// Parses the fields by their API names.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn parse<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Vec<FieldError>> {
        let mut reader = FieldReader::new(field);
        let request = Self {
            page: reader.read("page", parse_page).unwrap_or(1),
            per_page: reader.read("perPage", parse_per_page).unwrap_or(PER_PAGE_DEFAULT),
            order: reader.read("order", parse_order).unwrap_or(SortOrder::Ascending),
            cursor: reader.read("cursor", parse_cursor),
            filter: SessionFilter::read(&mut reader),
        };
        if request.cursor.is_some() && reader.has("page") {
            reader.refuse("cursor", "Send page or cursor, not both.");
        }
        reader.finish(request)
    }

    /// Whether the sequences alone determine the page, without a filter or cursor.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.filter == SessionFilter::default() && self.cursor.is_none()
    }

    /// The cursor that continues after `sequence`.
    #[must_use]
    pub fn cursor_after(sequence: i64) -> String {
        format!("s{sequence}")
    }

    /// Number of sessions before this page.
    #[must_use]
    pub fn skipped(&self) -> i64 {
        (self.page - 1).saturating_mul(self.per_page)
    }

    /// Number of pages that `total` sessions fill.
    #[must_use]
    pub fn page_count(&self, total: i64) -> i64 {
        total / self.per_page + i64::from(total % self.per_page != 0)
    }
}

pub(crate) struct ExportQuery {
    pub(crate) format: ExportFormat,
    pub(crate) request: SessionPageRequest,
    /// All sessions instead of a page.
    pub(crate) is_stream: bool,
}

impl ExportQuery {
    /// Parses the fields. `default` is the format without the field `format`.
    pub(crate) fn parse<'a>(
        field: impl Fn(&str) -> Option<&'a str>,
        default: ExportFormat,
    ) -> Result<Self, AppError> {
        let format = field("format").map_or(Ok(default), ExportFormat::parse);
        Self::new(field, format)
    }

    /// Parses the fields of an address that names the format.
    pub(crate) fn parse_file<'a>(
        field: impl Fn(&str) -> Option<&'a str>,
        format: ExportFormat,
    ) -> Result<Self, AppError> {
        let is_other = field("format").is_some_and(|text| ExportFormat::parse(text) != Ok(format));
        let refusal = || FieldError::new("format", "The URL sets the format. Remove this field.");
        Self::new(field, if is_other { Err(refusal()) } else { Ok(format) })
    }

    fn new<'a>(
        field: impl Fn(&str) -> Option<&'a str>,
        format: Result<ExportFormat, FieldError>,
    ) -> Result<Self, AppError> {
        let request = SessionPageRequest::parse(&field);
        match (format, request) {
            (Ok(format), Ok(request)) => {
                let is_stream =
                    format != ExportFormat::Json && field("page").is_none() && request.cursor.is_none();
                Ok(Self { format, request, is_stream })
            }
            (format, request) => {
                let mut errors = request.err().unwrap_or_default();
                errors.extend(format.err());
                Err(AppError::Invalid(errors))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ExportFormat {
    Json,
    Csv,
    Ndjson,
}

impl ExportFormat {
    pub(crate) fn parse(text: &str) -> Result<Self, FieldError> {
        match text {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            _ => Err(FieldError::new("format", "Use json, csv or ndjson.")),
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_page(text: &str) -> Result<i64, String> {
    let text = trim_zero_fraction(text);
    let page = text.parse().ok().filter(|page| *page >= 1 && is_digits(text));
    page.ok_or_else(|| format!("Use a whole number from 1 to {}, in digits only.", i64::MAX))
}

/// Numbers above the maximum become the maximum, even if they overflow.
fn parse_per_page(text: &str) -> Result<i64, String> {
    let text = trim_zero_fraction(text);
    if !is_digits(text) || text.bytes().all(|byte| byte == b'0') {
        return Err(format!("Use a whole number from 1 to {PER_PAGE_MAX}, in digits only."));
    }
    Ok(text.parse().map_or(PER_PAGE_MAX, |number: i64| number.min(PER_PAGE_MAX)))
}

fn parse_order(text: &str) -> Result<SortOrder, String> {
    match text {
        "asc" => Ok(SortOrder::Ascending),
        "desc" => Ok(SortOrder::Descending),
        _ => Err("Use asc or desc.".to_owned()),
    }
}

fn parse_cursor(text: &str) -> Result<i64, String> {
    let sequence = text.strip_prefix('s').filter(|digits| is_digits(digits)).and_then(|it| it.parse().ok());
    sequence.ok_or_else(|| "Send the nextCursor of the previous response, unchanged.".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<SessionPageRequest, Vec<FieldError>> {
        SessionPageRequest::parse(|name| {
            pairs.iter().find(|(field, _)| *field == name).map(|(_, value)| *value)
        })
    }

    #[test]
    fn defaults_are_the_first_fifty_in_the_order_recorded() {
        let request = parse(&[]).unwrap();
        assert_eq!((request.page, request.per_page, request.order), (1, 50, SortOrder::Ascending));
        assert_eq!(request.filter, SessionFilter::default());
    }

    #[test]
    fn numbers_are_digits_only_from_one() {
        for text in ["0", "0.0", "-1", "+1", " 1", "1.5", "1e3", "٣", "abc", "9223372036854775808"] {
            assert_eq!(parse(&[("page", text)]).unwrap_err()[0].field, "page", "{text}");
        }
        for text in ["0", "00", "-1", "+1", "ten"] {
            assert_eq!(parse(&[("perPage", text)]).unwrap_err()[0].field, "perPage", "{text}");
        }
    }

    #[test]
    fn a_number_may_have_a_fraction_of_zeros() {
        let request = parse(&[("page", "2.0"), ("perPage", "10.00")]).unwrap();
        assert_eq!((request.page, request.per_page), (2, 10));
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
        for text in ["-9999-1-01", "+2026-1-01", "12345-1-01", "-262143-01-01", "-9999-01-01T00:00:00Z"] {
            assert_eq!(parse(&[("from", text)]).unwrap_err()[0].field, "from", "{text}");
        }
    }

    #[test]
    fn the_last_page_number_does_not_overflow() {
        let request = parse(&[("page", "9223372036854775807"), ("perPage", "1000")]).unwrap();
        assert_eq!(request.skipped(), i64::MAX);
    }

    #[test]
    fn a_cursor_comes_back_unchanged_and_alone() {
        assert_eq!(parse(&[("cursor", &SessionPageRequest::cursor_after(17))]).unwrap().cursor, Some(17));
        for text in ["17", "s", "s-1", "s+1", "sx", "s99999999999999999999"] {
            assert_eq!(parse(&[("cursor", text)]).unwrap_err()[0].field, "cursor", "{text}");
        }
        assert_eq!(parse(&[("cursor", "s1"), ("page", "1")]).unwrap_err()[0].field, "cursor");
    }

    proptest! {
        #[test]
        fn pages_cover_every_session_once(total in 0_i64..5000, per_page in 1_i64..=1000) {
            let request = SessionPageRequest { per_page, ..parse(&[]).unwrap() };
            let pages = request.page_count(total);
            prop_assert!((pages - 1).max(0) * per_page <= total && total <= pages * per_page);
        }
    }
}
