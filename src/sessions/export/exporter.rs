//! Where one worker answers programs that read pages: through its pipeline where it can, else through the pool.

use std::sync::Arc;

use super::{
    page_cache::{KeptPages, Place},
    pipeline_store::{self, Asking},
    query::Asked,
    response::{self, Written},
    store,
};
use crate::{
    api_keys::{Credentials, Presented},
    db::{Db, pipeline::Pipeline},
    error::AppError,
};

/// What a worker reads with.
pub struct Desk {
    pipeline: Pipeline,
    kept: Arc<KeptPages>,
}

impl Desk {
    /// The desk of a worker, to be used on its thread; the pages that are kept are those of all workers.
    #[must_use]
    pub fn new(db: &Db, kept: Arc<KeptPages>) -> Self {
        Self { pipeline: db.pipeline(), kept }
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The page that is asked for.
    pub(crate) async fn page_of(&self, key: &Presented, asked: &Asked) -> Result<Arc<Written>, AppError> {
        if asked.request.is_plain() {
            let credentials = key.credentials().await?;
            match self.plain_page_of(&credentials, asked).await? {
                Asking::Found(page) => return key.settle(&credentials, Ok(Some(page))).await,
                Asking::Refused => return key.settle(&credentials, Ok(None)).await,
                Asking::Unanswered => {}
            }
        }
        pooled_page_of(key, asked).await.map(Arc::new)
    }

    /// The page that was kept if nothing has changed since, else a new one.
    async fn plain_page_of(
        &self,
        credentials: &Credentials,
        asked: &Asked,
    ) -> Result<Asking<Arc<Written>>, AppError> {
        let place = Place::of(&credentials.client, asked);
        if let Some(kept) = self.kept.get(&place) {
            match pipeline_store::revision_of(&self.pipeline, credentials).await? {
                Asking::Found(revision) if revision == kept.revision => {
                    return Ok(Asking::Found(Arc::clone(&kept.page)));
                }
                Asking::Found(_newer) => {}
                Asking::Refused => return Ok(Asking::Refused),
                Asking::Unanswered => return Ok(Asking::Unanswered),
            }
        }
        Ok(match pipeline_store::page_of(&self.pipeline, credentials, asked).await? {
            Asking::Found((page, revision)) => Asking::Found(self.kept.keep(place, page, revision)),
            Asking::Refused => Asking::Refused,
            Asking::Unanswered => Asking::Unanswered,
        })
    }
}

async fn pooled_page_of(key: &Presented, asked: &Asked) -> Result<Written, AppError> {
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
