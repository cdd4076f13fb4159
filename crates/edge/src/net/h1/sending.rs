//! How a connection sends answers: whole ones, long ones piece by piece, and what the socket did not take at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::http::response::{Body, Broken, Response, Stream};
use crate::limits::{COPIED_BODY_BYTES_MAX, HEAD_BYTES_MAX};
use crate::net::deadlines::Activity;
use crate::net::thread::EdgeThread;

use super::connection::Connection;
use super::rest::{Rest, poll_write, send_at_once};
use super::write::{Framing, Shape, write_chunk, write_head};

impl Connection<'_> {
    /// Sends an answer; whether the connection goes on.
    pub(super) async fn send_response(&mut self, response: Response, shape: Shape<'_>) -> io::Result<bool> {
        let framing = Framing::of(&response, shape.is_http_1_0);
        let shape = Shape { keep_alive: shape.keep_alive && framing != Framing::Close, ..shape };
        let Response { status, fields, body, .. } = response;
        let write = |out: &mut Vec<u8>, thread: &EdgeThread| {
            write_head(out, thread, shape, (status, &fields), framing);
        };
        match body {
            Body::Bytes(bytes) if bytes.len() <= COPIED_BODY_BYTES_MAX => {
                self.send(|out, thread| {
                    write(out, thread);
                    out.extend_from_slice(&bytes);
                })
                .await?;
            }
            Body::Bytes(bytes) => self.send_with(bytes, write).await?,
            Body::Stream(stream) => {
                self.send(write).await?;
                self.send_stream(stream, framing).await?;
            }
        }
        Ok(shape.keep_alive)
    }

    /// Sends the pieces of a stream as they come, each when the one before it is gone. An error, after which the client sees
    /// that the end is missing, if the maker fails or the client closes its side.
    async fn send_stream(&mut self, mut stream: Stream, framing: Framing) -> io::Result<()> {
        while let Some(piece) = self.next_piece(&mut stream).await? {
            for part in piece.chunks(COPIED_BODY_BYTES_MAX) {
                let write = |out: &mut Vec<u8>, _: &EdgeThread| match framing {
                    Framing::Chunked => write_chunk(out, part),
                    Framing::Nothing | Framing::Length(_) | Framing::Close => out.extend_from_slice(part),
                };
                self.send(write).await?;
            }
        }
        if framing == Framing::Chunked {
            self.send(|out, _| write_chunk(out, &[])).await?;
        }
        Ok(())
    }

    async fn next_piece(&mut self, stream: &mut Stream) -> io::Result<Option<Bytes>> {
        self.deadline.enter(Activity::Busy);
        // Further requests wait in the socket, and behind them the end of the connection cannot be seen.
        let mut may_end = true;
        poll_fn(|context| {
            if let Poll::Ready(next) = stream.poll_next(context) {
                return Poll::Ready(next.transpose().map_err(|Broken| io::ErrorKind::UnexpectedEof.into()));
            }
            let mut first = [0];
            if may_end {
                match ready!(self.stream.poll_peek(context, &mut ReadBuf::new(&mut first))) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                    Ok(_) => may_end = false,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Writes down answers in the thread's buffer and sends them.
    pub(super) async fn send(&mut self, write: impl FnOnce(&mut Vec<u8>, &EdgeThread)) -> io::Result<()> {
        self.send_with(Bytes::new(), write).await
    }

    /// The same with the body of the last answer behind them. Only what the socket does not take at once is copied, and
    /// the body is not.
    async fn send_with(
        &mut self,
        body: Bytes,
        write: impl FnOnce(&mut Vec<u8>, &EdgeThread),
    ) -> io::Result<()> {
        let mut write = Some(write);
        let unsent = poll_fn(|context| {
            let write = |out: &mut Vec<u8>, thread: &EdgeThread| {
                if let Some(write) = write.take() {
                    write(out, thread);
                }
            };
            Poll::Ready(send_at_once(self.stream, self.thread, context, &body, write))
        })
        .await?;
        match unsent {
            Some(unsent) => self.send_rest(unsent).await,
            None => Ok(()),
        }
    }

    /// Sends what the socket did not take at once, as it takes it.
    pub(super) async fn send_rest(&mut self, mut rest: Rest) -> io::Result<()> {
        if !self.thread.deadlines.make_room(rest.memory_bytes()) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.deadline.enter(Activity::Busy);
        let unsent = self.deadline.hold(rest.memory_bytes());
        while !rest.is_empty() {
            let sent = poll_fn(|context| poll_write(self.stream, context, rest.parts())).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest.advance(sent);
            unsent.take(sent);
        }
        Ok(())
    }

    /// Reads away a little of what a rejected client still sends, so that closing does not reset the connection before
    /// it has read why (RFC 9112, section 9.6).
    pub(super) async fn linger(&mut self) {
        self.deadline.enter(Activity::Body);
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut left = HEAD_BYTES_MAX * 8;
        let mut sink = [0; 1024];
        while left > 0 {
            let read = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut sink);
                let polled = Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
                polled.map_ok(|()| buffer.filled().len())
            });
            match read.await {
                Ok(length) if length > 0 => left = left.saturating_sub(length),
                _ => return,
            }
        }
    }
}
