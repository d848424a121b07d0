//! Large batches wait for each other. While one is stored it takes about ten times the memory of its body, and batches of
//! one client wait for the same lock, each with a database connection.

use std::time::Duration;

use actix_web::HttpRequest;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{api_keys::PresentedKey, error::AppError, web::body};

/// Size of a body, in bytes, above which the batch is large.
const LARGE_BODY: usize = 64 * 1024;
/// Maximum number of large bodies in memory, of up to 1 MiB each.
const BODIES_MAX: usize = 24;
/// Maximum number of large batches that are parsed and stored at a time.
const BATCHES_MAX: usize = 2;
/// How long a batch waits for each of the two. Longer than for a connection: the batches ahead of it take a while.
const WAIT: Duration = Duration::from_secs(30);

/// The queue of one process.
pub struct BatchQueue {
    bodies: Semaphore,
    batches: Semaphore,
}

/// Room for a large body. Must live until the batch is stored.
pub(super) struct LargeBody<'a> {
    queue: &'a BatchQueue,
    _permit: SemaphorePermit<'a>,
}

impl BatchQueue {
    /// Leaves half of the `connections` to other requests.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        let half = usize::try_from(connections / 2).unwrap_or(BATCHES_MAX);
        let batches = half.clamp(1, BATCHES_MAX);
        Self { bodies: Semaphore::new(BODIES_MAX), batches: Semaphore::new(batches) }
    }

    /// Waits for room for the body if it may be large. Only the holder of an active key gets any, so that nobody else can
    /// fill the memory.
    ///
    /// # Errors
    /// Why the key is denied; [`AppError::Busy`].
    pub(super) async fn admit_body(
        &self,
        request: &HttpRequest,
        key: &PresentedKey,
    ) -> Result<Option<LargeBody<'_>>, AppError> {
        if !body::may_exceed(request, LARGE_BODY) {
            return Ok(None);
        }
        key.authorize_before_body().await?;
        Ok(Some(LargeBody { queue: self, _permit: acquire(&self.bodies).await? }))
    }
}

impl LargeBody<'_> {
    /// Waits until the batch may be parsed and stored, for as long as the permit lives.
    ///
    /// # Errors
    /// [`AppError::Busy`].
    pub(super) async fn wait_to_store(&self) -> Result<SemaphorePermit<'_>, AppError> {
        acquire(&self.queue.batches).await
    }
}

async fn acquire(permits: &Semaphore) -> Result<SemaphorePermit<'_>, AppError> {
    let permit = tokio::time::timeout(WAIT, permits.acquire()).await;
    permit.map_err(|_elapsed| AppError::Busy)?.map_err(AppError::broken)
}
