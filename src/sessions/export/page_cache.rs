//! Pages that are asked for again and again, as they were sent: a dashboard that polls, a program that starts over.
//!
//! A page that is kept proves nothing. With every request PostgreSQL is asked whether the key is let in and at which
//! revision the client's sessions are; only then, and at the same revision, the page is sent again.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync::Cache};

use super::{
    query::{ExportFormat, ExportQuery, PageRequest},
    response::EncodedPage,
};
use crate::ids::ClientId;

/// About so many bytes a page has; only the first size of a table depends on it.
const PAGE_BYTES: usize = 64 * 1024;
/// So many of the last requests are recognised when they come again.
const RECOGNISED: usize = 1024;

/// The pages of one process.
pub struct PageCache {
    pages: Option<Cache<PageKey, Arc<CachedPage>, WeightInBytes>>,
    hasher: RandomState,
    asked: Vec<AtomicU64>,
}

/// What was asked, and whose sessions were meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageKey {
    client: ClientId,
    format: ExportFormat,
    request: PageRequest,
}

impl PageKey {
    pub(crate) fn of(client: &ClientId, asked: &ExportQuery) -> Self {
        Self { client: client.clone(), format: asked.format, request: asked.request.clone() }
    }
}

/// A page, and the revision it was made at.
pub(crate) struct CachedPage {
    pub(crate) page: Arc<EncodedPage>,
    pub(crate) revision: i64,
}

/// Pages weigh what they take.
#[derive(Clone)]
struct WeightInBytes;

impl Weighter<PageKey, Arc<CachedPage>> for WeightInBytes {
    fn weight(&self, _place: &PageKey, kept: &Arc<CachedPage>) -> u64 {
        let rest = size_of::<PageKey>() + size_of::<CachedPage>() + size_of::<EncodedPage>();
        u64::try_from(kept.page.body.len() + rest).unwrap_or(u64::MAX)
    }
}

impl PageCache {
    /// Keeps up to so many bytes; 0: nothing.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes).unwrap_or(usize::MAX) / PAGE_BYTES;
        Self {
            pages: (bytes > 0).then(|| Cache::with_weighter(items, bytes, WeightInBytes)),
            hasher: RandomState::new(),
            asked: (0..RECOGNISED).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The page that was sent last time, if it is kept.
    pub(crate) fn get(&self, place: &PageKey) -> Option<Arc<CachedPage>> {
        self.pages.as_ref()?.get(place)
    }

    /// Keeps the page, unless it is asked for the first time in a while: walking through all pages once keeps none.
    pub(crate) fn keep(&self, place: PageKey, page: EncodedPage, revision: i64) -> Arc<EncodedPage> {
        match &self.pages {
            Some(pages) if self.comes_again(&place) => {
                let page = Arc::new(page.compact());
                pages.insert(place, Arc::new(CachedPage { page: Arc::clone(&page), revision }));
                page
            }
            _ => Arc::new(page),
        }
    }

    fn comes_again(&self, place: &PageKey) -> bool {
        let hash = self.hasher.hash_one(place);
        let slot = usize::try_from(hash % (1 << 32)).unwrap_or_default() % RECOGNISED;
        self.asked[slot].swap(hash, Ordering::Relaxed) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(client: &ClientId, page: i64) -> PageKey {
        let page = page.to_string();
        let asked = ExportQuery::parse(|name| (name == "page").then_some(page.as_str())).unwrap();
        PageKey::of(client, &asked)
    }

    fn written(text: &str) -> EncodedPage {
        EncodedPage::new(text.as_bytes().to_vec(), 1, None)
    }

    #[test]
    fn what_comes_again_is_kept_for_its_client_alone() {
        let (ours, theirs) = (ClientId::generate().unwrap(), ClientId::generate().unwrap());
        let kept = PageCache::new(1024 * 1024);

        kept.keep(place(&ours, 1), written("a"), 1);
        assert!(kept.get(&place(&ours, 1)).is_none());
        kept.keep(place(&ours, 1), written("b"), 2);

        let found = kept.get(&place(&ours, 1)).unwrap();
        assert_eq!((found.revision, found.page.body.as_ref()), (2, b"b".as_slice()));
        assert!(kept.get(&place(&ours, 2)).is_none() && kept.get(&place(&theirs, 1)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_none_is_none() {
        let client = ClientId::generate().unwrap();
        let (kept, none) = (PageCache::new(1024 * 1024), PageCache::new(0));
        let large = "x".repeat(10_000);
        for page in 1..=1000 {
            for _ in 0..2 {
                kept.keep(place(&client, page), written(&large), 1);
                none.keep(place(&client, page), written(&large), 1);
            }
        }
        let in_all: usize =
            (1..=1000).filter_map(|page| kept.get(&place(&client, page))).map(|it| it.page.body.len()).sum();
        assert!((500_000..=1024 * 1024).contains(&in_all), "{in_all}");
        assert!((1..=1000).all(|page| none.get(&place(&client, page)).is_none()));
    }
}
