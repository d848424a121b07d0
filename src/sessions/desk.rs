//! Where one worker answers programs that read pages: through its pipeline where it can, else through the pool.

use super::{
    answer::{self, Written},
    export::Asked,
    filtered,
    pipelined::{self, Asking},
    store,
};
use crate::{
    api_keys::{Credentials, Presented},
    db::Db,
    error::AppError,
    pipeline::Pipeline,
};

/// What a worker reads with.
pub struct Desk {
    pipeline: Pipeline,
}

impl Desk {
    /// The desk of a worker, to be used on its thread.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        Self { pipeline: db.pipeline() }
    }

    /// The page that is asked for.
    pub(super) async fn page_of(&self, key: &Presented, asked: &Asked) -> Result<Written, AppError> {
        if asked.request.is_plain() {
            let credentials = key.credentials().await?;
            match self.pipelined_page_of(&credentials, asked).await? {
                Asking::Found(page) => return key.settle(&credentials, Ok(Some(page))).await,
                Asking::Refused => return key.settle(&credentials, Ok(None)).await,
                Asking::Unanswered => {}
            }
        }
        pooled_page_of(key, asked).await
    }

    async fn pipelined_page_of(
        &self,
        credentials: &Credentials,
        asked: &Asked,
    ) -> Result<Asking<Written>, AppError> {
        Ok(match pipelined::page_of(&self.pipeline, credentials, asked).await? {
            Asking::Found((page, _revision)) => Asking::Found(page),
            Asking::Refused => Asking::Refused,
            Asking::Unanswered => Asking::Unanswered,
        })
    }
}

async fn pooled_page_of(key: &Presented, asked: &Asked) -> Result<Written, AppError> {
    let request = asked.request.clone();
    let page = key.run(move |connection, credentials| {
        let page = if request.is_plain() {
            store::page_of(connection, credentials, &request)
        } else {
            filtered::page_of(connection, credentials, &request)
        };
        page.map_err(AppError::from)
    });
    answer::written(asked.format, &asked.request, &page.await?)
}
