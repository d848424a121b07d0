//! The sentence above the rows of the list.

use super::{query::SessionListQuery, search::SHOWN_MAX, store::SessionListResult};
use crate::{
    sessions::queries::SEARCHED_AT_ONCE,
    web::format::{grouped, plural},
};

pub(crate) fn summary(query: &SessionListQuery, list: &SessionListResult) -> String {
    if query.form.is_wrong() {
        return String::new();
    }
    if query.is_search() {
        return search_summary(list, query.search_from.is_some());
    }
    match list.matching {
        // The empty list says so itself.
        0 => String::new(),
        _ if !query.is_filtered() => String::new(),
        1 => "1 session matches.".to_owned(),
        matching => format!("{} sessions match.", grouped(matching)),
    }
}

fn search_summary(list: &SessionListResult, is_continued: bool) -> String {
    let searched = match (is_continued, list.searched_to > 0) {
        (false, false) => "all sessions".to_owned(),
        (false, true) => format!("the latest {} sessions", grouped(SEARCHED_AT_ONCE)),
        (true, true) => format!("the {} sessions before", grouped(SEARCHED_AT_ONCE)),
        (true, false) => "the oldest sessions".to_owned(),
    };
    if list.is_truncated {
        return format!(
            "Showing the latest {SHOWN_MAX} matches in {searched}. Refine your search to see others."
        );
    }
    if list.matching == 0 && list.searched_to == 0 {
        return String::new();
    }
    format!("{} {} in {searched}.", grouped(list.matching), plural(list.matching, "result"))
}
