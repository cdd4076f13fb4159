//! Sending answers at once, and what of them the socket did not take.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::net::thread::EdgeThread;

/// Writes as much of both parts, in order, as the socket takes.
pub(super) fn poll_write(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    [head, body]: [&[u8]; 2],
) -> Poll<io::Result<usize>> {
    let stream = Pin::new(stream);
    match (head, body) {
        (head, []) => stream.poll_write(context, head),
        ([], body) => stream.poll_write(context, body),
        (head, body) => stream.poll_write_vectored(context, &[IoSlice::new(head), IoSlice::new(body)]),
    }
}

/// Writes down answers in the thread's buffer and sends them with `body` behind them, as far as the socket takes them: what
/// it did not take.
pub(super) fn send_at_once(
    stream: &mut TcpStream,
    thread: &EdgeThread,
    context: &mut Context<'_>,
    body: &Bytes,
    write: impl FnOnce(&mut Vec<u8>, &EdgeThread),
) -> io::Result<Option<Rest>> {
    let mut out = thread.outbound.borrow_mut();
    out.clear();
    write(&mut out, thread);
    let sent = match poll_write(stream, context, [&out, body]) {
        Poll::Ready(sent) => sent?,
        Poll::Pending => 0,
    };
    Ok((sent < out.len() + body.len()).then(|| Rest::new(&out, body.clone(), sent)))
}

/// Bytes that are still to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    head: Bytes,
    /// Shared with whoever made the answer.
    body: Bytes,
    memory_bytes: usize,
}

impl Rest {
    /// What is left of `head` and `body` when `sent` bytes of them are gone.
    pub(super) fn new(head: &[u8], mut body: Bytes, sent: usize) -> Self {
        let of_head = sent.min(head.len());
        let memory_bytes = head.len() - of_head + body.len();
        body.advance(sent - of_head);
        Self { head: Bytes::copy_from_slice(&head[of_head..]), body, memory_bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    /// Bytes that are kept until the last of them is sent: those of the body that are gone as well.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }

    /// Forgets bytes that were sent.
    pub(super) fn advance(&mut self, sent: usize) {
        let of_head = sent.min(self.head.len());
        self.head.advance(of_head);
        self.body.advance(sent - of_head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_left_out_wherever_the_cut_is() {
        for first in 0..=5 {
            for second in 0..=5 - first {
                let mut rest = Rest::new(b"ab", Bytes::from_static(b"cde"), first);
                assert_eq!(rest.parts().concat(), b"abcde"[first..]);
                rest.advance(second);
                assert_eq!(rest.parts().concat(), b"abcde"[first + second..]);
                assert_eq!(rest.is_empty(), first + second == 5);
                assert_eq!(
                    rest.memory_bytes(),
                    5 - first.min(2),
                    "the whole body, and what is left of the head"
                );
            }
        }
    }
}
