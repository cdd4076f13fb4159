//! The body of a request that is read while its answer is written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;

use crate::grpc::status_of;
use crate::net::deadlines::TICK;
use crate::problem::Problem;

/// A body whose next piece has to come in time, and that ends when the server stops. Time counts only while somebody waits for the
/// piece: not while the answer is not taken.
pub(super) struct Streamed {
    body: Incoming,
    timeout: Duration,
    /// Until when somebody waits for the next piece; nothing while nobody has begun to.
    until: Option<Instant>,
    awaited: Pin<Box<Sleep>>,
    /// Absent once the server stops.
    stopping: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Of the streams of its connection. Whoever answers has the body until the answer is whole.
    _place: OwnedSemaphorePermit,
}

impl Streamed {
    /// `draining` turns true when the server stops.
    pub(super) fn new(
        body: Incoming,
        timeout: Duration,
        mut draining: watch::Receiver<bool>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        // A sender that is gone has stopped as well.
        let stopping = async move { drop(draining.wait_for(|is_draining| *is_draining).await) };
        let awaited = Box::pin(sleep(timeout));
        Self { body, timeout, until: None, awaited, stopping: Some(Box::pin(stopping)), _place: place }
    }

    /// Ready when the next piece was awaited for too long.
    #[allow(clippy::disallowed_methods, reason = "the next piece is awaited from now on")]
    fn poll_rested(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let until = *self.until.get_or_insert_with(|| {
                let until = Instant::now() + self.timeout;
                self.awaited.as_mut().reset(until);
                until
            });
            ready!(self.awaited.as_mut().poll(context));
            // Whoever waits is woken at the end. Whoever comes much later did not wait, and begins to.
            if Instant::now() < until + TICK {
                return Poll::Ready(());
            }
            self.until = None;
        }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.stopping.as_mut().is_none_or(|stopping| stopping.as_mut().poll(context).is_ready()) {
            self.stopping = None;
            return Poll::Ready(Some(Err(status_of(&Problem::draining()))));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.until = None;
                Poll::Ready(frame.map(|frame| frame.map_err(|_| cut_off())))
            }
            Poll::Pending => self.poll_rested(context).map(|()| Some(Err(rested()))),
        }
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
