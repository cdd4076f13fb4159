//! The body of an answer in pieces that are counted until the client's system has them.
//!
//! hyper takes one piece at a time from a body and waits for the stream's window before it takes the next, but what it
//! has taken is out of our sight. So each piece itself holds on to the answer that it belongs to.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};

use crate::http::response::{self, Stream};
use crate::limits::H2_PIECE_BYTES;

use super::streams::{HeldAnswer, OpenStream, Streams};

/// What of an answer's body was not asked for yet.
pub(super) struct Pieces {
    bytes: Bytes,
    /// Absent while nothing of it waits here.
    held: Option<Rc<HeldAnswer>>,
    /// What comes behind the bytes, and that the stream is open until then.
    more: Option<(Stream, OpenStream)>,
    /// What comes behind all of it.
    trailers: Option<HeaderMap>,
}

/// The answer cannot be made whole: its maker failed, or there is no room for what comes next. The client sees that its
/// stream is reset.
#[derive(Debug)]
pub(super) struct Incomplete;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer cannot be made whole")
    }
}

impl std::error::Error for Incomplete {}

impl Pieces {
    pub(super) fn new(body: response::Body, trailers: Option<HeaderMap>, streams: &Rc<Streams>) -> Self {
        let (bytes, more) = match body {
            response::Body::Bytes(bytes) => (bytes, None),
            response::Body::Stream(stream) => (Bytes::new(), Some((stream, OpenStream::new(streams)))),
        };
        let held = more.is_none().then(|| Rc::new(streams.hold(bytes.len())));
        Self { bytes, held, more, trailers }
    }

    /// Takes the next bytes of a stream; nothing at its end.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(), Incomplete>>> {
        let Some((stream, open)) = &mut self.more else { return Poll::Ready(None) };
        match ready!(stream.poll_next(context)) {
            Some(Ok(bytes)) if open.streams().make_room(bytes.len()) => {
                self.held = Some(Rc::new(open.streams().hold(bytes.len())));
                self.bytes = bytes;
                Poll::Ready(Some(Ok(())))
            }
            Some(_) => {
                self.more = None;
                Poll::Ready(Some(Err(Incomplete)))
            }
            None => {
                self.trailers = stream.take_trailers();
                self.more = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Body for Pieces {
    type Data = Piece;
    type Error = Incomplete;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Incomplete>>> {
        if self.bytes.is_empty() {
            match ready!(self.poll_more(context)) {
                None => return Poll::Ready(self.trailers.take().map(|fields| Ok(Frame::trailers(fields)))),
                Some(Err(incomplete)) => return Poll::Ready(Some(Err(incomplete))),
                Some(Ok(())) => {}
            }
        }
        let length = self.bytes.len().min(H2_PIECE_BYTES);
        let bytes = self.bytes.split_to(length);
        // A client that has taken all that there was is not one that takes nothing.
        let held = if self.bytes.is_empty() { self.held.take() } else { self.held.clone() };
        let held = held.expect("bytes that wait are held");
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, held }))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.more.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.more {
            None => SizeHint::with_exact(self.bytes.len() as u64),
            Some(_) => SizeHint::default(),
        }
    }
}

/// A part of a body on its way into the socket.
pub(super) struct Piece {
    bytes: Bytes,
    held: Rc<HeldAnswer>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.held.take(count);
    }
}
