//! Where one worker answers programs that read pages: through its pipeline where it can, else through the pool.

use std::sync::Arc;

use super::{
    page_cache::{PageCache, PageKey},
    pipeline_store::{self, PipelineReply},
    query::ExportQuery,
    response::{self, EncodedPage},
    store,
};
use crate::{
    api_keys::{Credentials, PresentedKey},
    db::{Db, pipeline::Pipeline},
    error::AppError,
};

/// What a worker reads with.
pub struct Exporter {
    pipeline: Pipeline,
    kept: Arc<PageCache>,
}

impl Exporter {
    /// The desk of a worker, to be used on its thread; the pages that are kept are those of all workers.
    #[must_use]
    pub fn new(db: &Db, kept: Arc<PageCache>) -> Self {
        Self { pipeline: db.pipeline(), kept }
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The page that is asked for.
    pub(crate) async fn page_of(
        &self,
        key: &PresentedKey,
        asked: &ExportQuery,
    ) -> Result<Arc<EncodedPage>, AppError> {
        if asked.request.is_plain() {
            let credentials = key.credentials().await?;
            match self.plain_page_of(&credentials, asked).await? {
                PipelineReply::Found(page) => return key.settle(&credentials, Ok(Some(page))).await,
                PipelineReply::Refused => return key.settle(&credentials, Ok(None)).await,
                PipelineReply::Unanswered => {}
            }
        }
        pooled_page_of(key, asked).await.map(Arc::new)
    }

    /// The page that was kept if nothing has changed since, else a new one.
    async fn plain_page_of(
        &self,
        credentials: &Credentials,
        asked: &ExportQuery,
    ) -> Result<PipelineReply<Arc<EncodedPage>>, AppError> {
        let place = PageKey::of(&credentials.client, asked);
        if let Some(kept) = self.kept.get(&place) {
            match pipeline_store::revision_of(&self.pipeline, credentials).await? {
                PipelineReply::Found(revision) if revision == kept.revision => {
                    return Ok(PipelineReply::Found(Arc::clone(&kept.page)));
                }
                PipelineReply::Found(_newer) => {}
                PipelineReply::Refused => return Ok(PipelineReply::Refused),
                PipelineReply::Unanswered => return Ok(PipelineReply::Unanswered),
            }
        }
        Ok(match pipeline_store::page_of(&self.pipeline, credentials, asked).await? {
            PipelineReply::Found((page, revision)) => {
                PipelineReply::Found(self.kept.keep(place, page, revision))
            }
            PipelineReply::Refused => PipelineReply::Refused,
            PipelineReply::Unanswered => PipelineReply::Unanswered,
        })
    }
}

async fn pooled_page_of(key: &PresentedKey, asked: &ExportQuery) -> Result<EncodedPage, AppError> {
    let request = asked.request.clone();
    let page = key.run(move |connection, credentials| {
        let page = if request.is_plain() {
            store::load_plain_page(connection, credentials, &request)
        } else {
            store::load_filtered_page(connection, credentials, &request)
        };
        page.map_err(AppError::from)
    });
    response::written(asked.format, &asked.request, &page.await?)
}
