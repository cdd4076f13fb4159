//! The body of a request that is read while its answer is written.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

use crate::grpc::status_of;
use crate::problem::Problem;

/// A body whose next piece has to come in time, and that ends when the server stops. Time counts only while somebody waits for the
/// piece.
pub(super) struct Streamed {
    body: Incoming,
    timeout: Duration,
    /// Whether somebody waits since the last piece came.
    is_awaited: bool,
    awaited: Pin<Box<Sleep>>,
    /// Absent once the server stops.
    stopping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Streamed {
    /// `draining` turns true when the server stops.
    pub(super) fn new(body: Incoming, timeout: Duration, mut draining: watch::Receiver<bool>) -> Self {
        // A sender that is gone has stopped as well.
        let stopping = async move { drop(draining.wait_for(|is_draining| *is_draining).await) };
        let awaited = Box::pin(sleep(timeout));
        Self { body, timeout, is_awaited: false, awaited, stopping: Some(Box::pin(stopping)) }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Status;

    #[allow(clippy::disallowed_methods, reason = "the next piece is awaited from now on")]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.stopping.as_mut().is_none_or(|stopping| stopping.as_mut().poll(context).is_ready()) {
            self.stopping = None;
            return Poll::Ready(Some(Err(status_of(&Problem::draining()))));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.is_awaited = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(|_| cut_off())));
        }
        if !self.is_awaited {
            self.is_awaited = true;
            let end = Instant::now() + self.timeout;
            self.awaited.as_mut().reset(end);
        }
        self.awaited.as_mut().poll(context).map(|()| Some(Err(rested())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The client gave the stream up.
fn cut_off() -> Status {
    Status::cancelled("The request was cut off.")
}

/// The client sent nothing for too long.
fn rested() -> Status {
    Status::unavailable(
        "Nothing came for longer than server.body_timeout_ms. All that came before is answered. Open another stream.",
    )
}
