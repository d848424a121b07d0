//! How the bodies of responses reach the connection.
//!
//! actix copies each piece that a body yields into the buffer of its connection. Without a limit a large page exists
//! twice while it is sent, and each connection keeps a buffer of that size.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, Version},
    middleware::Next,
    web::Bytes,
};

use super::ResetOnClose;
use crate::error::AppError;

/// Maximum number of bytes that a connection takes of a body at a time. Each piece costs a system call.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Yields a body in pieces of bounded size.
pub struct PiecewiseBody {
    body: BoxBody,
    /// The part of the last chunk that is not yielded yet.
    rest: Bytes,
    /// Set if the body breaks off and the client could not tell.
    reset_on_close: Option<ResetOnClose>,
}

/// Sends bodies in pieces, and streams to HTTP/1.0 clients without chunks, which that version does not know (RFC 9112,
/// section 6.1): the connection closes at the end of the body, or is reset if the body breaks off.
///
/// # Errors
/// Passes errors on.
pub async fn send_piecewise(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<PiecewiseBody>, Error> {
    let mut response = next.call(request).await?;
    let is_chunked = response.response().body().size() == BodySize::Stream;
    let reset_on_close = if is_chunked && response.request().version() < Version::HTTP_11 {
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
        response.request().conn_data().cloned()
    } else {
        None
    };
    Ok(response.map_body(|_head, body| PiecewiseBody {
        body: body.boxed(),
        rest: Bytes::new(),
        reset_on_close,
    }))
}

impl MessageBody for PiecewiseBody {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(context)) {
                Some(Ok(chunk)) => this.rest = chunk,
                Some(Err(error)) => {
                    if let Some(reset_on_close) = &this.reset_on_close {
                        reset_on_close.set();
                    }
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(None),
            }
        }
        let length = this.rest.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(this.rest.split_to(length))))
    }
}

/// Logs why a stream broke off. A key or user that lost its access is no failure.
pub(crate) fn log_broken_stream(error: &AppError) {
    match error {
        AppError::Broken(cause) => tracing::error!(%cause, "A stream broke off"),
        error => tracing::info!(reason = %error, "A stream broke off"),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::BodyStream;
    use futures_util::{StreamExt as _, future::poll_fn, stream};

    use super::*;

    async fn lengths(body: BoxBody) -> Vec<usize> {
        let mut body = PiecewiseBody { body, rest: Bytes::new(), reset_on_close: None };
        let mut lengths = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            lengths.push(piece.unwrap().len());
        }
        lengths
    }

    #[actix_web::test]
    async fn large_chunks_are_cut_and_small_ones_are_not() {
        let half = PIECE_BYTES_MAX / 2;
        let whole = BoxBody::new(Bytes::from(vec![0; 2 * PIECE_BYTES_MAX + half]));
        assert_eq!(lengths(whole).await, [PIECE_BYTES_MAX, PIECE_BYTES_MAX, half]);

        let chunks = stream::iter([half, 3 * half, 0, 1])
            .map(|length| Ok::<_, AppError>(Bytes::from(vec![0; length])));
        let stream = BoxBody::new(BodyStream::new(chunks));
        assert_eq!(lengths(stream).await, [half, PIECE_BYTES_MAX, half, 1]);
    }
}
