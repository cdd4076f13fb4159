//! The body of an answer in pieces that are counted until the client's system has them.
//!
//! hyper takes one piece at a time from a body and waits for the stream's window before it takes the next, but what it
//! has taken is out of our sight. So each piece itself holds on to the answer that it belongs to.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};

use crate::limits::H2_PIECE_BYTES;

use super::streams::HeldAnswer;

/// What of an answer's body was not asked for yet.
pub(super) struct Pieces {
    bytes: Bytes,
    held: Rc<HeldAnswer>,
}

impl Pieces {
    pub(super) fn new(bytes: Bytes, held: HeldAnswer) -> Self {
        Self { bytes, held: Rc::new(held) }
    }
}

impl Body for Pieces {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.bytes.len().min(H2_PIECE_BYTES);
        let piece = Piece { bytes: self.bytes.split_to(length), held: Rc::clone(&self.held) };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
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
