//! Reads pages for API keys: through the pipeline of the worker where it can, else through the pool.

use std::sync::Arc;

use super::{
    page_cache::{PageCache, PageCacheKey},
    pipelined_queries,
    query::ExportQuery,
    response::{self, EncodedPage},
    store,
};
use crate::{
    api_keys::{AuthorizedReply, KeyCredentials, PipelineReply, PresentedKey},
    db::{Db, pipeline::Pipeline},
    error::AppError,
};

/// Reads pages on the thread of one worker.
pub struct Exporter {
    pipeline: Pipeline,
    cache: Arc<PageCache>,
}

impl Exporter {
    /// The exporter of one worker, which must stay on its thread. All workers share the cache.
    #[must_use]
    pub fn new(db: &Db, cache: Arc<PageCache>) -> Self {
        Self { pipeline: db.pipeline(), cache }
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub(crate) async fn load_page(
        &self,
        key: &PresentedKey,
        query: &ExportQuery,
    ) -> Result<AuthorizedReply<Arc<EncodedPage>>, AppError> {
        if query.request.is_plain() {
            let credentials = key.credentials().await?;
            match self.load_plain_page(&credentials, query).await? {
                PipelineReply::Rows(page) => return key.finish(&credentials, Some(page)).await,
                PipelineReply::Denied => return key.finish(&credentials, None).await,
                PipelineReply::Unavailable => {}
            }
        }
        load_pooled_page(key, query).await
    }

    /// The cached page if its revision is still the current one, else a new page.
    async fn load_plain_page(
        &self,
        credentials: &KeyCredentials,
        query: &ExportQuery,
    ) -> Result<PipelineReply<Arc<EncodedPage>>, AppError> {
        let page_key = PageCacheKey::new(&credentials.client, query);
        if let Some(cached) = self.cache.get(&page_key) {
            let reply = pipelined_queries::load_revision(&self.pipeline, credentials).await?;
            match reply {
                PipelineReply::Rows(revision) if *revision.value() != cached.revision => {}
                reply => return Ok(reply.map(|_revision| Arc::clone(&cached.page))),
            }
        }
        let reply = pipelined_queries::load_page(&self.pipeline, credentials, query).await?;
        Ok(reply.map(|(page, revision)| self.cache.insert(page_key, page, revision)))
    }
}

async fn load_pooled_page(
    key: &PresentedKey,
    query: &ExportQuery,
) -> Result<AuthorizedReply<Arc<EncodedPage>>, AppError> {
    let (format, request) = (query.format, query.request.clone());
    let page = if request.is_plain() {
        let query = request.clone();
        key.run(move |connection, credentials| Ok(store::load_plain_page(connection, credentials, &query)?))
            .await?
    } else {
        let query = request.clone();
        key.read(move |connection, credentials| {
            Ok(store::load_filtered_page(connection, &credentials.client, &query)?)
        })
        .await?
    };
    page.map(|page| response::encode_page(format, &request, &page).map(Arc::new)).transpose()
}
