//! The paths that a browser can be sent to: those that answer GET.

use actix_web::dev::ResourceDef;

use super::local_path::LocalPath;

/// The paths of all pages and forms. A refused form is shown at the path that it was sent to, and some of these answer
/// only POST: a visitor who is sent back to one would see an error.
pub struct PagePaths {
    /// In the order in which they match. The flag is whether the path answers GET.
    paths: Vec<(ResourceDef, bool)>,
}

impl PagePaths {
    /// From patterns such as `/sessions/{session_id}`, each with whether it answers GET. The first one that matches counts.
    pub fn new(patterns: impl IntoIterator<Item = (&'static str, bool)>) -> Self {
        let path = |(pattern, answers_get)| (ResourceDef::new(pattern), answers_get);
        Self { paths: patterns.into_iter().map(path).collect() }
    }

    /// The path itself or, if it answers only POST, the nearest one above it that answers GET. An unknown path stays: it
    /// has an error page of its own.
    #[must_use]
    pub(crate) fn nearest_page(&self, wanted: &LocalPath) -> String {
        let path = wanted.as_str().split('?').next().unwrap_or_default();
        if self.answers_get(path) != Some(false) {
            return wanted.to_string();
        }
        let mut parents = std::iter::successors(Some(path), |path| Some(path.rsplit_once('/')?.0)).skip(1);
        parents.find(|parent| self.answers_get(parent) == Some(true)).unwrap_or("/").to_owned()
    }

    /// The page of ours to go to when a visitor sent this text as the one to return to. Returns `None` if it is none.
    pub(crate) fn find_page(&self, wanted: &str) -> Option<LocalPath> {
        let page: LocalPath = self.nearest_page(&wanted.parse().ok()?).parse().ok()?;
        let path = page.as_str().split('?').next().unwrap_or_default();
        (self.answers_get(path) == Some(true)).then_some(page)
    }

    /// Returns `None` for an unknown path.
    fn answers_get(&self, path: &str) -> Option<bool> {
        self.paths.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, answers_get)| *answers_get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_answers_only_post_leads_to_the_page_above_it() {
        let paths = PagePaths::new([
            ("/", true),
            ("/calls/search", false),
            ("/calls/{call}", true),
            ("/calls/{call}/tags/add", false),
            ("/logout", false),
        ]);
        for (wanted, page) in [
            ("/calls/7?tab=2", "/calls/7?tab=2"),
            ("/calls/7/tags/add?tab=2", "/calls/7"),
            ("/calls/search", "/"),
            ("/logout", "/"),
            ("/nothing/here", "/nothing/here"),
        ] {
            assert_eq!(paths.nearest_page(&wanted.parse().unwrap()), page, "{wanted}");
        }
    }

    #[test]
    fn a_visitor_returns_only_to_a_page_that_answers_get() {
        let paths = PagePaths::new([("/calls", true), ("/calls/{call}/delete", false), ("/logout", false)]);
        for (wanted, page) in [
            ("/calls?page=2", Some("/calls?page=2")),
            ("/calls/7/delete", Some("/calls")),
            ("/logout", None),
            ("/api/keys/revoke", None),
            ("/nothing", None),
            ("//evil.example/calls", None),
        ] {
            assert_eq!(paths.find_page(wanted).as_ref().map(LocalPath::as_str), page, "{wanted}");
        }
    }
}
