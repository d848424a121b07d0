//! Lists with more rows than fit on a page, newest first and paged by keyset: a link names the row next to which
//! the neighbouring page begins. So the last page costs as little as the first, and new rows shift nothing.
//!
//! Filters and position are all in the address: `?status=missed&before=…`.

use std::collections::HashMap;

use crate::web::body::form::FormState;

/// Rows on a page.
const ROWS: usize = 50;
/// Rows to load for a page: the extra one shows whether there is another page.
pub const LOAD_LIMIT: i64 = 51;

/// Which rows of a list a page contains. The row of the cursor is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageDirection<C> {
    /// Those before the cursor, or the newest if there is none.
    Older(Option<C>),
    /// Those after the cursor.
    Newer(C),
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct KeysetPage<T> {
    /// Newest first.
    pub rows: Vec<T>,
    has_newer: bool,
    has_older: bool,
}

impl<T> KeysetPage<T> {
    /// A page of up to [`LOAD_LIMIT`] loaded rows, of which those nearest to the cursor come first.
    #[must_use]
    pub fn new<C>(mut rows: Vec<T>, direction: &PageDirection<C>) -> Self {
        let has_more = rows.len() > ROWS;
        rows.truncate(ROWS);
        match direction {
            PageDirection::Older(cursor) => Self { rows, has_newer: cursor.is_some(), has_older: has_more },
            PageDirection::Newer(_) => {
                rows.reverse();
                Self { rows, has_newer: has_more, has_older: true }
            }
        }
    }

    /// A single page with all rows.
    #[must_use]
    pub fn single(rows: Vec<T>) -> Self {
        Self { rows, has_newer: false, has_older: false }
    }
}

/// The address of a list: its path, its filters, and where the page begins.
#[derive(Clone, Debug)]
pub struct ListAddress {
    path: &'static str,
    parameters: HashMap<String, String>,
    /// Those that are not empty, in the order of the form.
    filters: Vec<(&'static str, String)>,
}

impl ListAddress {
    /// Parses a query string. Of a repeated parameter the first value counts; white space around values is removed.
    #[must_use]
    pub fn parse(path: &'static str, query: &str, filters: impl IntoIterator<Item = &'static str>) -> Self {
        let mut parameters = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            parameters.entry(name.into_owned()).or_insert_with(|| value.trim().to_owned());
        }
        let text = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
        let filters = filters.into_iter().filter_map(|name| Some((name, text(name)?))).collect();
        Self { path, parameters, filters }
    }

    /// A parameter that is no filter, parsed. Returns `None` if it is absent or wrong.
    pub fn parameter<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        parse(self.parameters.get(name)?)
    }

    /// The direction that the parameters `after` and `before` ask for. A wrong cursor counts as absent.
    pub fn direction<C>(&self, parse_cursor: impl Fn(&str) -> Option<C>) -> PageDirection<C> {
        match self.parameter("after", &parse_cursor) {
            Some(after) => PageDirection::Newer(after),
            None => PageDirection::Older(self.parameter("before", &parse_cursor)),
        }
    }

    /// The value of a filter. Returns `None` if it is not set.
    #[must_use]
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// The filters that are set, in the order of the form.
    #[must_use]
    pub fn filters(&self) -> &[(&'static str, String)] {
        &self.filters
    }

    /// The form that shows the filters.
    #[must_use]
    pub fn form(&self) -> FormState {
        self.filters.iter().fold(FormState::default(), |form, (name, text)| form.keep(name, text))
    }

    /// The filters as a query string, empty or with its `?`.
    #[must_use]
    pub fn query(&self) -> String {
        address("", &self.filters, None)
    }

    /// The list with its filters and this parameter.
    #[must_use]
    pub fn link_with(&self, name: &str, value: &str) -> String {
        address(self.path, &self.filters, Some((name, value)))
    }

    /// The list with its filters but this one.
    #[must_use]
    pub fn link_without(&self, name: &str) -> String {
        let others: Vec<_> = self.filters.iter().filter(|(known, _)| *known != name).cloned().collect();
        address(self.path, &others, None)
    }

    /// The list with its filters, but with `values` in place of those named in `names`.
    #[must_use]
    pub fn link_replacing(&self, names: &[&str], values: &[(&'static str, String)]) -> String {
        let kept = self.filters.iter().filter(|(known, _)| !names.contains(known));
        let filters: Vec<_> = kept.chain(values).cloned().collect();
        address(self.path, &filters, None)
    }

    /// The links to the pages around this one; `cursor` is how an address names a row.
    pub fn pager<T>(&self, page: &KeysetPage<T>, cursor: impl Fn(&T) -> String) -> Pager {
        let link = |name: &str, row: &T| self.link_with(name, &cursor(row));
        Pager {
            newest: address(self.path, &self.filters, None),
            newer: page.rows.first().filter(|_| page.has_newer).map(|row| link("after", row)),
            older: page.rows.last().filter(|_| page.has_older).map(|row| link("before", row)),
        }
    }
}

/// A filter that is set, and the address without it.
#[derive(Clone, Debug)]
pub struct AppliedFilter {
    pub label: &'static str,
    pub text: String,
    pub without: String,
}

/// Links to the pages around one, for `shared/_pager.html`.
#[derive(Clone, Debug)]
pub struct Pager {
    /// The first page.
    pub newest: String,
    /// `None` on the first page.
    pub newer: Option<String>,
    /// `None` on the last page.
    pub older: Option<String>,
}

fn address(path: &str, filters: &[(&'static str, String)], parameter: Option<(&str, &str)>) -> String {
    if filters.is_empty() && parameter.is_none() {
        return path.to_owned();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(filters).extend_pairs(parameter);
    format!("{path}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(rows: impl Iterator<Item = i32>, direction: PageDirection<i32>) -> (Vec<i32>, [bool; 2]) {
        let page = KeysetPage::new(rows.collect(), &direction);
        let pager = ListAddress::parse("/list", "", []).pager(&page, i32::to_string);
        (page.rows, [pager.newer.is_some(), pager.older.is_some()])
    }

    #[test]
    fn the_extra_row_is_not_shown_but_leads_to_the_next_page() {
        let newest_first: Vec<i32> = (51..=100).rev().collect();
        assert_eq!(pager((50..=100).rev(), PageDirection::Older(None)), (newest_first, [false, true]));
        assert_eq!(pager([2, 1].into_iter(), PageDirection::Older(Some(3))), (vec![2, 1], [true, false]));
        assert_eq!(pager([4, 5].into_iter(), PageDirection::Newer(3)), (vec![5, 4], [false, true]));
        let (rows, links) = pager(4..=54, PageDirection::Newer(3));
        assert_eq!((rows[0], rows[49], links), (53, 4, [true, true]));
    }

    #[test]
    fn links_keep_the_filters_and_drop_other_parameters() {
        let list = ListAddress::parse("/list", "b=2&a=+x+y&a=z&c=&before=7&d=1", ["a", "b", "c"]);
        assert_eq!(list.query(), "?a=x+y&b=2");
        assert_eq!(list.link_with("before", "3"), "/list?a=x+y&b=2&before=3");
        assert_eq!(list.link_without("a"), "/list?b=2");
        assert_eq!(list.link_replacing(&["a", "c"], &[("c", "5".to_owned())]), "/list?b=2&c=5");
        assert_eq!(list.direction(|text| text.parse().ok()), PageDirection::Older(Some(7)));
        let bare = ListAddress::parse("/list", "after=x", ["a"]);
        assert_eq!((bare.query(), bare.link_without("a")), (String::new(), "/list".to_owned()));
        assert_eq!(bare.direction(|text| text.parse::<i64>().ok()), PageDirection::Older(None));
    }
}
