//! The body of a request that is read while its answer is written.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep, sleep};

/// A body whose next piece has to come in time.
pub(super) struct Streamed {
    body: Incoming,
    timeout: Duration,
    awaited: Pin<Box<Sleep>>,
}

/// Why a body came to no good end.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body was cut off, or nothing of it came for too long")
    }
}

impl std::error::Error for Broken {}

impl Streamed {
    pub(super) fn new(body: Incoming, timeout: Duration) -> Self {
        Self { body, timeout, awaited: Box::pin(sleep(timeout)) }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    #[allow(clippy::disallowed_methods, reason = "the next piece is awaited from now on")]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                let next = Instant::now() + self.timeout;
                self.awaited.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(|_| Broken)))
            }
            Poll::Pending => self.awaited.as_mut().poll(context).map(|()| Some(Err(Broken))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
