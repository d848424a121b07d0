//! Large pages take turns, so that few exist at a time however many are requested.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::query::SessionPageRequest;

/// Sessions per page above which a page is large, about 100 kB.
const LARGE_PAGE: i64 = 100;
/// Maximum number of large pages that are written or sent.
const LARGE_PAGES_MAX: usize = 10;
/// How long a page waits for its turn. Then it is served anyway: clients that read slowly must not stop others.
const WAIT: Duration = Duration::from_secs(1);

/// Shared by all workers of the process.
static LARGE_PAGES: Semaphore = Semaphore::const_new(LARGE_PAGES_MAX);

/// The turn of a page, until it is sent. Small pages need none.
pub(super) struct PageSlot(Option<SemaphorePermit<'static>>);

impl PageSlot {
    pub(super) async fn wait(request: &SessionPageRequest) -> Self {
        if request.per_page <= LARGE_PAGE {
            return Self(None);
        }
        let permit = tokio::time::timeout(WAIT, LARGE_PAGES.acquire()).await;
        Self(permit.ok().and_then(Result::ok))
    }

    /// Ends the turn once the body is sent or given up.
    pub(super) fn hold(self, response: HttpResponse) -> HttpResponse {
        let Some(permit) = self.0 else { return response };
        response.map_body(|_head, body| BoxBody::new(SlottedBody { body, _permit: permit }))
    }
}

struct SlottedBody {
    body: BoxBody,
    _permit: SemaphorePermit<'static>,
}

impl MessageBody for SlottedBody {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(per_page: &str) -> SessionPageRequest {
        SessionPageRequest::parse(|name| (name == "perPage").then_some(per_page)).unwrap()
    }

    #[actix_web::test]
    async fn large_pages_wait_until_one_is_sent_and_small_ones_do_not() {
        let mut bodies = Vec::new();
        for _ in 0..LARGE_PAGES_MAX {
            bodies.push(PageSlot::wait(&request("1000")).await.hold(HttpResponse::Ok().body("page")));
        }
        assert_eq!(LARGE_PAGES.available_permits(), 0);
        assert!(PageSlot::wait(&request("50")).await.0.is_none());
        assert!(PageSlot::wait(&request("1000")).await.0.is_none(), "it is served without a turn");
        bodies.pop();
        assert!(PageSlot::wait(&request("1000")).await.0.is_some());
    }
}
