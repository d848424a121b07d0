//! A path of this installation, for redirects to an address that a visitor sent.

use std::{fmt, str::FromStr};

use url::Url;

/// Maximum length, in bytes.
const LENGTH_MAX: usize = 2048;
/// The origin that paths are resolved against. A path that leads elsewhere is not local.
const ORIGIN: &str = "http://local.invalid";

/// A path with its query string: `/sessions?status=missed`. It cannot lead to another site, however browsers read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalPath(String);

impl LocalPath {
    /// The path and the query string.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of a URL, such as a `Referer`, whatever its host.
    pub(crate) fn from_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        url[url::Position::BeforePath..url::Position::AfterQuery].parse().ok()
    }

    /// The path of a URL of `origin`, such as a `Referer`.
    pub(crate) fn of_url(url: &str, origin: &str) -> Option<Self> {
        url.strip_prefix(origin)?.parse().ok()
    }

    /// The path as the value of a query parameter.
    pub(crate) fn encoded(&self) -> String {
        url::form_urlencoded::byte_serialize(self.0.as_bytes()).collect()
    }
}

impl fmt::Display for LocalPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text is not a path of this installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotLocal;

impl FromStr for LocalPath {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain =
            text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !is_plain || text.len() > LENGTH_MAX {
            return Err(NotLocal);
        }
        let base = Url::parse(ORIGIN).map_err(|_never| NotLocal)?;
        let url = base.join(text).map_err(|_unreadable| NotLocal)?;
        if url.origin() != base.origin() || url.path().starts_with("//") {
            return Err(NotLocal);
        }
        Ok(Self(url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_kept_with_their_query() {
        for text in ["/", "/sessions?status=missed&q=%C3%A9", "/settings/api-keys/uptok_000000000000"] {
            assert_eq!(text.parse::<LocalPath>().unwrap().as_str(), text);
        }
        assert_eq!("/a?b=1".parse::<LocalPath>().unwrap().encoded(), "%2Fa%3Fb%3D1");
    }

    #[test]
    fn other_sites_are_refused() {
        for text in [
            "",
            "sessions",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/..//evil.example",
            "/./\t/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: a=b",
            " /sessions",
            "/é",
        ] {
            assert_eq!(text.parse::<LocalPath>(), Err(NotLocal), "{text:?}");
        }
        assert_eq!(format!("/{}", "a".repeat(3000)).parse::<LocalPath>(), Err(NotLocal));
    }

    #[test]
    fn the_path_of_any_url_is_local() {
        for (url, path) in [
            (
                "http://localhost:8080/settings/api-keys?q=a%20b&page=2#x",
                Some("/settings/api-keys?q=a%20b&page=2"),
            ),
            ("https://evil.example/login", Some("/login")),
            ("http://localhost:8080", Some("/")),
            ("http://localhost:8080//evil.example/x", None),
            ("http://localhost:8080/\\evil.example", None),
            ("http://localhost:8080/./\\evil.example", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//evil.example", None),
            ("/settings", None),
            ("", None),
        ] {
            assert_eq!(LocalPath::from_url(url).as_ref().map(LocalPath::as_str), path, "{url}");
        }
    }

    #[test]
    fn only_a_url_of_our_origin_has_a_local_path() {
        let path = |url: &str| LocalPath::of_url(url, "http://localhost:8080").map(|path| path.to_string());
        assert_eq!(path("http://localhost:8080/sessions?q=a"), Some("/sessions?q=a".to_owned()));
        assert_eq!(path("http://localhost:80801/sessions"), None);
        assert_eq!(path("http://localhost:8080.evil.example/"), None);
        assert_eq!(path("http://localhost:8080"), None);
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_stays_on_the_site(text in "[/\\\\.:@?#%a-z0-9\\t ]{0,12}") {
            if let Ok(path) = text.parse::<LocalPath>() {
                let base = Url::parse("https://keys.example.org").unwrap();
                prop_assert_eq!(base.join(path.as_str()).unwrap().origin(), base.origin());
                prop_assert!(path.as_str().starts_with('/') && !path.as_str().starts_with("//"));
            }
        }
    }
}
