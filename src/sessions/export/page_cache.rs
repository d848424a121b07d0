//! Encoded pages that are requested repeatedly, as by a polling dashboard or an export that starts over.
//!
//! A cached page authorizes nobody: PostgreSQL checks the key and the revision of the sessions on every request, and the
//! page is sent only at the same revision.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync::Cache};

use super::{
    query::{ExportFormat, ExportQuery, SessionPageRequest},
    response::EncodedPage,
};
use crate::ids::ClientId;

/// Estimated size of a page, in bytes, for the initial capacity.
const PAGE_BYTES: usize = 64 * 1024;
/// Number of slots that recognise a repeated request.
const RECENT_REQUESTS: usize = 1024;

/// The cache of one process.
pub struct PageCache {
    pages: Option<Cache<PageCacheKey, Arc<CachedPage>, WeightInBytes>>,
    hasher: RandomState,
    /// Hashes of recent requests.
    recent: Vec<AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PageCacheKey {
    client: ClientId,
    format: ExportFormat,
    request: SessionPageRequest,
}

impl PageCacheKey {
    pub(crate) fn new(client: &ClientId, query: &ExportQuery) -> Self {
        Self { client: client.clone(), format: query.format, request: query.request.clone() }
    }
}

/// A page and the revision that it shows.
pub(crate) struct CachedPage {
    pub(crate) page: Arc<EncodedPage>,
    pub(crate) revision: i64,
}

/// Cache weight is the size in bytes.
#[derive(Clone)]
struct WeightInBytes;

impl Weighter<PageCacheKey, Arc<CachedPage>> for WeightInBytes {
    fn weight(&self, _key: &PageCacheKey, cached: &Arc<CachedPage>) -> u64 {
        let rest = size_of::<PageCacheKey>() + size_of::<CachedPage>() + size_of::<EncodedPage>();
        u64::try_from(cached.page.body.len() + rest).unwrap_or(u64::MAX)
    }
}

impl PageCache {
    /// `bytes` is the capacity; 0 turns the cache off.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes).unwrap_or(usize::MAX) / PAGE_BYTES;
        Self {
            pages: (bytes > 0).then(|| Cache::with_weighter(items, bytes, WeightInBytes)),
            hasher: RandomState::new(),
            recent: (0..RECENT_REQUESTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub(crate) fn get(&self, key: &PageCacheKey) -> Option<Arc<CachedPage>> {
        self.pages.as_ref()?.get(key)
    }

    /// Caches the page if it was requested before, so that reading all pages once caches none.
    pub(crate) fn insert(&self, key: PageCacheKey, page: EncodedPage, revision: i64) -> Arc<EncodedPage> {
        match &self.pages {
            Some(pages) if self.is_repeated(&key) => {
                let page = Arc::new(page.compact());
                pages.insert(key, Arc::new(CachedPage { page: Arc::clone(&page), revision }));
                page
            }
            _ => Arc::new(page),
        }
    }

    fn is_repeated(&self, key: &PageCacheKey) -> bool {
        let hash = self.hasher.hash_one(key);
        let slot = usize::try_from(hash % (1 << 32)).unwrap_or_default() % RECENT_REQUESTS;
        self.recent[slot].swap(hash, Ordering::Relaxed) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_key(client: &ClientId, page: i64) -> PageCacheKey {
        let page = page.to_string();
        let query =
            ExportQuery::parse(|name| (name == "page").then_some(page.as_str()), ExportFormat::Json).unwrap();
        PageCacheKey::new(client, &query)
    }

    fn encoded(text: &str) -> EncodedPage {
        EncodedPage::new(text.as_bytes().to_vec(), 1, None)
    }

    #[test]
    fn a_repeated_page_is_cached_for_its_client_only() {
        let (ours, theirs) = (ClientId::generate(), ClientId::generate());
        let cache = PageCache::new(1024 * 1024);

        cache.insert(page_key(&ours, 1), encoded("a"), 1);
        assert!(cache.get(&page_key(&ours, 1)).is_none());
        cache.insert(page_key(&ours, 1), encoded("b"), 2);

        let found = cache.get(&page_key(&ours, 1)).unwrap();
        assert_eq!((found.revision, found.page.body.as_ref()), (2, b"b".as_slice()));
        assert!(cache.get(&page_key(&ours, 2)).is_none() && cache.get(&page_key(&theirs, 1)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_zero_turns_the_cache_off() {
        let client = ClientId::generate();
        let (cache, disabled) = (PageCache::new(1024 * 1024), PageCache::new(0));
        let large = "x".repeat(10_000);
        for page in 1..=1000 {
            for _ in 0..2 {
                cache.insert(page_key(&client, page), encoded(&large), 1);
                disabled.insert(page_key(&client, page), encoded(&large), 1);
            }
        }
        let in_all: usize = (1..=1000)
            .filter_map(|page| cache.get(&page_key(&client, page)))
            .map(|it| it.page.body.len())
            .sum();
        assert!((500_000..=1024 * 1024).contains(&in_all), "{in_all}");
        assert!((1..=1000).all(|page| disabled.get(&page_key(&client, page)).is_none()));
    }
}
