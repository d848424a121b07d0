//! Which keys a list shows, as it stands in the address.

use url::form_urlencoded;

use super::key::KeyStatus;

/// The longest search, in characters: a name or a public key.
const SEARCH_MAX: usize = 64;
/// A public key is so long.
const PUBLIC_LENGTH: usize = 18;

/// Which keys of a client, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListQuery {
    /// Part of the name, in any case, or of the public key. Empty: all.
    pub search: String,
    /// Only those with this status. `None`: all but those that were replaced and are over.
    pub status: Option<KeyStatus>,
    /// In which order.
    pub sort: KeySort,
    /// Which page, from 1.
    pub page: u32,
    /// How many keys on a page.
    pub per_page: u32,
}

impl KeyListQuery {
    /// How many keys on a page when nothing is said.
    pub const PER_PAGE: u32 = 25;

    /// What the query string of a page asks for. What cannot be read is as if it were not there.
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match name.as_ref() {
                "q" => query.search = value.trim().chars().take(SEARCH_MAX).collect(),
                "status" => query.status = KeyStatus::named(&value),
                "sort" => query.sort = KeySort::named(&value).unwrap_or_default(),
                "page" => query.page = value.parse().ok().filter(|page| *page > 0).unwrap_or(1),
                _ => {}
            }
        }
        query
    }

    /// The query string that asks for this, without what needs not be said.
    pub(crate) fn text(&self) -> String {
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

    /// Whether only the keys with this status are asked for.
    pub(crate) fn is_of(&self, status: &str) -> bool {
        self.status.is_some_and(|asked| asked.as_str() == status)
    }

    /// Whether only some of the keys are asked for.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.search.is_empty() || self.status.is_some()
    }

    /// The same with the public part alone, when a whole key is searched for: it must not stay in an address.
    pub(crate) fn without_secret(&self) -> Option<Self> {
        let public = self.search.get(..PUBLIC_LENGTH)?;
        let is_key = self.search.len() > PUBLIC_LENGTH && public.parse::<crate::ids::PublicKey>().is_ok();
        is_key.then(|| Self { search: public.to_owned(), ..self.clone() })
    }
}

/// All, the newest first.
impl Default for KeyListQuery {
    fn default() -> Self {
        Self {
            search: String::new(),
            status: None,
            sort: KeySort::default(),
            page: 1,
            per_page: Self::PER_PAGE,
        }
    }
}

/// In which order keys are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    /// The last made first.
    #[default]
    Newest,
    /// The first made first.
    Oldest,
    /// By name, in any case.
    Name,
    /// What ends soonest first, what never ends last.
    Expiry,
}

impl KeySort {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Name, Self::Expiry];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Name => "name",
            Self::Expiry => "expiry",
        }
    }

    /// What the form calls it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Name => "By name",
            Self::Expiry => "Ends soonest",
        }
    }

    /// The order of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
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
        assert_eq!(KeyListQuery::parse(&query.text()), query);
        assert_eq!(KeyListQuery::default().text(), "");
        for junk in ["page=0", "page=-1", "status=dead&sort=x&page=x", "q=+++", "%00&=&&", "page=99999999999"]
        {
            assert_eq!(KeyListQuery::parse(junk), KeyListQuery::default(), "{junk}");
        }
    }

    #[test]
    fn a_whole_key_is_cut_to_its_public_part() {
        let query = |search: &str| KeyListQuery { search: search.to_owned(), ..KeyListQuery::default() };
        let public = "uptok_ABCDEFGHIJKL";
        for text in [format!("{public}_secret"), format!("{public}_••••")] {
            assert_eq!(query(&text).without_secret(), Some(query(public)));
        }
        for text in [public, "", "uptok_", "a name that is longer than a public key", "€€€€€€€€€€"]
        {
            assert_eq!(query(text).without_secret(), None, "{text}");
        }
    }
}
