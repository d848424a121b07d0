//! The query of a list of keys.

use url::form_urlencoded;
use uuid::Uuid;

use super::{client_key::trim_pasted_key, key::KeyStatus};
use crate::{ids::PublicKey, web::format::number::trim_zero_fraction};

/// The longest search, in characters.
const SEARCH_MAX: usize = 64;
/// Length of a public key, in characters.
const PUBLIC_LENGTH: usize = 18;

/// What the list shows as the creator of a key that neither a user nor a key created.
pub(crate) const COMMAND_LINE: &str = "the command line";

/// Filter, order and page of a list of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListQuery {
    /// Part of the name (in any case), of the public key, or of the name or email of the creator. Empty matches all.
    pub search: String,
    /// Only keys that this user created, directly or with such a key.
    pub created_by: Option<Uuid>,
    /// `None` is all but the replaced keys whose grace period has ended.
    pub status: Option<KeyStatus>,
    pub sort: KeySort,
    /// From 1.
    pub page: u32,
    pub per_page: u32,
}

impl KeyListQuery {
    /// Default of `per_page`.
    pub const PER_PAGE: u32 = 25;

    /// Parses the query string of a page. Ignores parameters that it cannot read.
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "q" => query.search = search_text(&value),
                "status" => query.status = KeyStatus::from_name(&value),
                "sort" => query.sort = KeySort::from_name(&value).unwrap_or_default(),
                "page" => {
                    let page = trim_zero_fraction(&value).parse().ok();
                    query.page = page.filter(|page| *page > 0).unwrap_or(1);
                }
                _ => {}
            }
        }
        query
    }

    /// The query string, without defaults.
    pub(crate) fn to_query_string(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        if !self.search.is_empty() {
            text.append_pair("q", &self.search);
        }
        if let Some(status) = self.status {
            text.append_pair("status", status.as_str());
        }
        if self.sort != KeySort::default() {
            text.append_pair("sort", self.sort.as_str());
        }
        if self.page > 1 {
            text.append_pair("page", &self.page.to_string());
        }
        text.finish()
    }

    pub(crate) fn has_status(&self, status: &str) -> bool {
        self.status.is_some_and(|chosen| chosen.as_str() == status)
    }

    pub(crate) fn is_narrowed(&self) -> bool {
        !self.search.is_empty() || self.status.is_some()
    }

    /// Whether the search is for keys that the command line created.
    pub(crate) fn names_command_line(&self) -> bool {
        let search = self.search.to_lowercase();
        search == COMMAND_LINE || COMMAND_LINE.strip_prefix("the ") == Some(&search)
    }

    /// Returns the query with only the public part if a whole key is searched for, because a secret must not stay in an
    /// address.
    pub(crate) fn without_secret(&self) -> Option<Self> {
        let pasted = trim_pasted_key(&self.search);
        let public = pasted.get(..PUBLIC_LENGTH)?;
        let is_key = pasted.len() > PUBLIC_LENGTH && public.parse::<PublicKey>().is_ok();
        is_key.then(|| Self { search: public.to_owned(), ..self.clone() })
    }
}

/// Drops control characters: no name has any, and PostgreSQL refuses NUL.
fn search_text(text: &str) -> String {
    text.trim().chars().filter(|it| !it.is_control()).take(SEARCH_MAX).collect()
}

impl Default for KeyListQuery {
    fn default() -> Self {
        Self {
            search: String::new(),
            created_by: None,
            status: None,
            sort: KeySort::default(),
            page: 1,
            per_page: Self::PER_PAGE,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    #[default]
    Newest,
    Oldest,
    /// Ignores case.
    Name,
    /// Soonest first; keys that do not expire last.
    Expiry,
}

impl KeySort {
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Name, Self::Expiry];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Name => "name",
            Self::Expiry => "expiry",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Name => "Name",
            Self::Expiry => "Expires soonest",
        }
    }

    /// Returns `None` if there is no such order.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_is_written() {
        let text = "q=a%26b+%E2%82%AC&status=expiring&sort=name&page=3";
        let query = KeyListQuery::parse(text);
        assert_eq!(
            (query.search.as_str(), query.status, query.page),
            ("a&b €", Some(KeyStatus::Expiring), 3)
        );
        assert_eq!(KeyListQuery::parse(&query.to_query_string()), query);
        assert_eq!(KeyListQuery::default().to_query_string(), "");
        for junk in [
            "page=0",
            "page=-1",
            "status=dead&sort=x&page=x",
            "q=+++",
            "q=%00",
            "%00&=&&",
            "page=99999999999",
        ] {
            assert_eq!(KeyListQuery::parse(junk), KeyListQuery::default(), "{junk}");
        }
    }

    #[test]
    fn a_whole_key_is_cut_to_its_public_part() {
        let query = |search: &str| KeyListQuery { search: search.to_owned(), ..KeyListQuery::default() };
        let public = "uptok_ABCDEFGHIJKL";
        for text in [format!("{public}_secret"), format!("{public}_••••"), format!("“{public}_secret”")]
        {
            assert_eq!(query(&text).without_secret(), Some(query(public)));
        }
        for text in [public, "", "uptok_", "a name that is longer than a public key", "€€€€€€€€€€"]
        {
            assert_eq!(query(text).without_secret(), None, "{text}");
        }
    }
}
