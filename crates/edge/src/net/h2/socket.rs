//! The bytes of an HTTP/2 connection on their way in and out.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::streams::{HeldAnswer, Streams};
use crate::limits::H2_GATHERED_BYTES_MAX;
use crate::net::thread::EdgeThread;

/// A socket of which the first bytes were read before, and whose frames are counted. What is written in one turn of the connection is
/// gathered: HTTP/2 flushes around each longer piece of a body, and a system call for the few bytes behind it costs more than
/// to copy all.
#[derive(Clone)]
pub(super) struct CountedSocket(Rc<RefCell<Inner>>);

struct Inner {
    bytes: Vec<u8>,
    at: usize,
    socket: TcpStream,
    streams: Rc<Streams>,
    thread: Rc<EdgeThread>,
    gathered: Vec<u8>,
    /// Of what was gathered.
    sent_bytes: usize,
    /// What the system would not take. Nothing more is gathered until it has.
    held: Option<HeldAnswer>,
}

impl CountedSocket {
    pub(super) fn new(
        socket: TcpStream,
        bytes: Vec<u8>,
        streams: Rc<Streams>,
        thread: Rc<EdgeThread>,
    ) -> Self {
        let (gathered, sent_bytes, held) = (Vec::new(), 0, None);
        Self(Rc::new(RefCell::new(Inner {
            bytes,
            at: 0,
            socket,
            streams,
            thread,
            gathered,
            sent_bytes,
            held,
        })))
    }

    /// Ends a turn: gives the system what was gathered. Whoever polls the connection does this afterwards, because a flush does not.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(context)
    }
}

impl Inner {
    fn poll_bytes(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.at == self.bytes.len() {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let length = buffer.remaining().min(self.bytes.len() - self.at);
        buffer.put_slice(&self.bytes[self.at..self.at + length]);
        self.at += length;
        if self.at == self.bytes.len() {
            self.bytes = Vec::new();
            self.at = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.held.is_some() || self.gathered.len() + length > H2_GATHERED_BYTES_MAX {
            ready!(self.poll_send(context))?;
        }
        if length > H2_GATHERED_BYTES_MAX {
            return Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        }
        if self.gathered.is_empty() {
            self.gathered = self.thread.outbound.take();
            self.gathered.clear();
        }
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        Poll::Ready(Ok(length))
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent_bytes < self.gathered.len() {
            let rest = &self.gathered[self.sent_bytes..];
            let Poll::Ready(sent) = Pin::new(&mut self.socket).poll_write(context, rest) else {
                self.hold_rest();
                return Poll::Pending;
            };
            let sent = sent?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent_bytes += sent;
            if let Some(held) = &self.held {
                held.take(sent);
            }
        }
        if !self.gathered.is_empty() {
            let gathered = mem::take(&mut self.gathered);
            self.sent_bytes = 0;
            if self.held.take().is_none() {
                // The next turn, of whichever connection, gathers there.
                self.thread.outbound.replace(gathered);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Counts what the system would not take, and moves it to memory of its size: the thread's buffer has room for the longest answers of all
    /// connections, and a connection that waits must not keep that.
    fn hold_rest(&mut self) {
        if self.held.is_some() {
            return;
        }
        let rest = self.gathered[self.sent_bytes..].to_vec();
        self.held = Some(self.streams.hold(rest.len()));
        self.sent_bytes = 0;
        self.thread.outbound.replace(mem::replace(&mut self.gathered, rest));
    }
}

impl AsyncRead for CountedSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        let before = buffer.filled().len();
        ready!(inner.poll_bytes(context, buffer))?;
        if inner.streams.count_frames(&buffer.filled()[before..]) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
        }
    }
}

impl AsyncWrite for CountedSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_send(context))?;
        Pin::new(&mut inner.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::Router;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::stream_tests::thread;

    /// A socket, its streams, and the other end of it.
    async fn connected() -> (CountedSocket, Rc<Streams>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let client =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a listener");
        let (socket, _) = listener.accept().await.expect("a connection");
        let thread = thread(Router::new());
        let task = tokio::spawn(std::future::pending::<()>());
        let streams = Streams::new(thread.deadlines.watch(task.abort_handle()));
        (CountedSocket::new(socket, Vec::new(), Rc::clone(&streams), thread), streams, client)
    }

    /// Writes all of it, or as much as is taken at once.
    async fn write(socket: &mut CountedSocket, mut bytes: &[u8]) -> usize {
        let all = bytes.len();
        while !bytes.is_empty() {
            let written = poll_fn(|context| match Pin::new(&mut *socket).poll_write(context, bytes) {
                Poll::Ready(written) => Poll::Ready(Some(written.expect("a connection"))),
                Poll::Pending => Poll::Ready(None),
            });
            let Some(written) = written.await else { break };
            bytes = &bytes[written..];
        }
        all - bytes.len()
    }

    async fn send(socket: &CountedSocket) {
        poll_fn(|context| socket.poll_send(context)).await.expect("a connection");
    }

    #[tokio::test]
    async fn what_a_turn_writes_leaves_at_its_end() {
        let (mut socket, _, mut client) = connected().await;
        for _ in 0..2 {
            for part in ["head ", "body ", "trailers"] {
                assert_eq!(write(&mut socket, part.as_bytes()).await, part.len());
                socket.flush().await.expect("a flush that does nothing");
            }
            let mut bytes = [0; 100];
            assert!(client.try_read(&mut bytes).is_err(), "nothing has left");
            send(&socket).await;
            let length = client.read(&mut bytes).await.expect("a connection");
            assert_eq!(&bytes[..length], b"head body trailers");
        }
        write(&mut socket, b"last").await;
        socket.shutdown().await.expect("a connection");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("a connection");
        assert_eq!(rest, b"last");
    }

    #[tokio::test]
    async fn what_the_system_does_not_take_is_counted_and_bounded() {
        let (mut socket, streams, mut client) = connected().await;
        let sent: Vec<u8> = (0..64 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let thread = Rc::clone(&socket.0.borrow().thread);
        // Long answers were written down before.
        thread.outbound.borrow_mut().reserve(1 << 20);
        // The parts are too long to be gathered, or short enough.
        let (mut at, mut parts) = (0, [H2_GATHERED_BYTES_MAX + 1, 100].into_iter().cycle());
        while streams.are_idle() {
            at += write(&mut socket, &sent[at..at + parts.next().expect("a cycle")]).await;
            let _ = poll_fn(|context| Poll::Ready(socket.poll_send(context))).await;
        }
        assert_eq!(write(&mut socket, &sent[at..=at]).await, 0, "it waits");
        let held = socket.0.borrow().gathered.capacity();
        assert!((1..=H2_GATHERED_BYTES_MAX).contains(&held), "{held}");
        let unsent_bytes = thread.counters.unsent_bytes();
        assert_eq!(unsent_bytes, held, "all of its memory is counted");
        assert!(thread.outbound.borrow().capacity() >= 1 << 20, "the thread keeps its buffer");
        let mut received = vec![0; at];
        let (read, ()) = tokio::join!(client.read_exact(&mut received), send(&socket));
        assert_eq!(read.expect("a connection"), at);
        assert!(received == sent[..at]);
        assert!(streams.are_idle());
    }
}
