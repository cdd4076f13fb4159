//! The life of one HTTP/1.1 connection.
//!
//! A connection at rest owns no buffers: bytes are read into the thread's, parsed there, and only what is left over of
//! an unfinished request is kept. All requests that one read brought are served at once, in order: their calls go out
//! in one batch and their answers leave in one write.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::http::request::{self, Peer};
use crate::http::response::{Body, Broken, Response, Stream};
use crate::limits::{COPIED_BODY_BYTES_MAX, HEAD_BYTES_MAX, PIPELINE_MAX, READ_BYTES};
use crate::net::deadlines::{Deadline, Phase};
use crate::net::h2;
use crate::net::thread::EdgeThread;
use crate::phases::{Exchange, finish};
use crate::router_bridge;

use super::head::{Parsed, Request, is_worth_parsing, parse};
use super::rejection::Rejection;
use super::rest::{Rest, poll_write};
use super::write::{Framing, Shape, write_answer, write_chunk, write_head, write_rejection};

/// Serves a connection until either side ends it.
pub(crate) async fn serve(mut stream: TcpStream, peer: Peer, thread: Rc<EdgeThread>, deadline: Deadline) {
    let mut connection = Connection {
        stream: &mut stream,
        peer,
        thread: &thread,
        deadline: &deadline,
        carry: Vec::new(),
        front: None,
        told_to_continue: false,
    };
    match connection.run().await {
        Ok(End::IsHttp2(bytes)) => h2::serve(stream, peer, bytes, &thread, deadline).await,
        // An error means that the client is gone: there is nobody to tell.
        Ok(End::Closed) | Err(_) => {}
    }
}

enum End {
    Closed,
    /// The client knew beforehand that HTTP/2 is spoken here; these bytes of it have been read.
    IsHttp2(Vec<u8>),
}

struct Connection<'a> {
    stream: &'a mut TcpStream,
    peer: Peer,
    thread: &'a Rc<EdgeThread>,
    deadline: &'a Deadline,
    /// The beginning of a request whose end has not arrived.
    carry: Vec<u8>,
    /// What that request is, as far as it was found out. Nothing if its head has not arrived.
    front: Option<Parsed>,
    /// The client of that request was told to go on with its body.
    told_to_continue: bool,
}

/// Requests that arrived together.
#[derive(Default)]
struct Pipeline {
    hot: SmallVec<[HotRequest; 1]>,
    next: Next,
}

/// One hot request and what becomes of the connection after it.
struct HotRequest {
    exchange: Exchange,
    keep_alive: bool,
    is_http_1_0: bool,
}

/// What comes behind the hot requests of a pipeline.
#[derive(Default)]
enum Next {
    /// Nothing: wait for more bytes.
    #[default]
    Read,
    /// More whole requests are in `carry`.
    Again,
    /// The client waits for leave to send a body.
    Continue,
    Cold(Box<Cold>),
    Reject(Rejection),
    Http2,
}

/// A request for the router, out of the thread's buffer.
struct Cold {
    bytes: Vec<u8>,
    request: Request,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl Connection<'_> {
    async fn run(&mut self) -> io::Result<End> {
        let mut is_first = true;
        loop {
            let Some(mut pipeline) = poll_fn(|context| self.poll_read_pipeline(context, is_first)).await?
            else {
                return Ok(End::Closed);
            };
            loop {
                if matches!(pipeline.next, Next::Http2) {
                    return Ok(End::IsHttp2(mem::take(&mut self.carry)));
                }
                if !self.serve_pipeline(pipeline).await? {
                    self.stream.shutdown().await?;
                    return Ok(End::Closed);
                }
                if self.carry.is_empty() {
                    break;
                }
                let carried = mem::take(&mut self.carry);
                pipeline = self.take_requests(&carried, false);
                if pipeline.hot.is_empty() && matches!(pipeline.next, Next::Read) {
                    break;
                }
            }
            is_first = false;
            if self.carry.is_empty() {
                self.deadline.enter(Phase::Idle);
            }
        }
    }

    /// Reads once and takes up the requests that it completed. Nothing at the end of the stream.
    fn poll_read_pipeline(
        &mut self,
        context: &mut Context<'_>,
        is_first: bool,
    ) -> Poll<io::Result<Option<Pipeline>>> {
        loop {
            let carried_length = self.carry.len();
            if carried_length == 0 {
                let thread = Rc::clone(self.thread);
                let mut inbound = thread.inbound.borrow_mut();
                let mut buffer = ReadBuf::new(&mut inbound);
                ready!(Pin::new(&mut *self.stream).poll_read(context, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Ok(None));
                }
                let pipeline = self.take_requests(buffer.filled(), is_first);
                if !pipeline.is_empty() {
                    return Poll::Ready(Ok(Some(pipeline)));
                }
            } else {
                self.carry.resize(carried_length + READ_BYTES, 0);
                let mut buffer = ReadBuf::new(&mut self.carry[carried_length..]);
                let polled = Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
                let read_length = buffer.filled().len();
                self.carry.truncate(carried_length + read_length);
                ready!(polled)?;
                if read_length == 0 {
                    return Poll::Ready(Ok(None));
                }
                if !self.is_further(carried_length, is_first) {
                    continue;
                }
                let carried = mem::take(&mut self.carry);
                let pipeline = self.take_requests(&carried, is_first);
                if !pipeline.is_empty() {
                    return Poll::Ready(Ok(Some(pipeline)));
                }
            }
        }
    }

    /// Whether the carried bytes from `known_length` on may have completed something. If not, they are left where they
    /// are, so that a request which comes byte by byte costs no more than its bytes.
    fn is_further(&mut self, known_length: usize, is_first: bool) -> bool {
        let Some(front) = self.front.take() else {
            let may_be_preface = is_first && known_length < PREFACE.len();
            return may_be_preface || is_worth_parsing(&self.carry, known_length);
        };
        let front = front.go_on(&self.carry, self.thread.body_bytes_max);
        let is_further = !matches!(front, Parsed::PartialBody(_));
        self.front = Some(front);
        is_further
    }

    /// Takes up the whole requests at the front of `bytes`, as far as they can be served at once, and keeps the rest.
    fn take_requests(&mut self, bytes: &[u8], is_first: bool) -> Pipeline {
        let mut pipeline = Pipeline::default();
        let mut at = 0;
        if is_first && bytes.starts_with(&PREFACE[..bytes.len().min(PREFACE.len())]) {
            self.carry.extend_from_slice(bytes);
            if bytes.len() >= PREFACE.len() {
                pipeline.next = Next::Http2;
            } else {
                self.deadline.stay_or_enter(Phase::Head);
            }
            return pipeline;
        }
        while at < bytes.len() {
            if pipeline.hot.len() == PIPELINE_MAX {
                pipeline.next = Next::Again;
                break;
            }
            let rest = &bytes[at..];
            let body_bytes_max = self.thread.body_bytes_max;
            let parsed = match self.front.take() {
                Some(front) => front.go_on(rest, body_bytes_max),
                None => parse(rest, body_bytes_max),
            };
            match parsed {
                Parsed::Request(request) => {
                    let length = request.length;
                    let ends = !request.keep_alive;
                    self.told_to_continue = false;
                    match self.take_up(rest, request) {
                        Ok(request) => pipeline.hot.push(request),
                        Err(cold) => {
                            pipeline.next = Next::Cold(cold);
                            at += length;
                            break;
                        }
                    }
                    at += length;
                    if ends {
                        break;
                    }
                }
                Parsed::PartialHead => {
                    self.deadline.stay_or_enter(Phase::Head);
                    break;
                }
                Parsed::PartialBody(awaiting) => {
                    self.deadline.stay_or_enter(Phase::Body);
                    if awaiting.expects_continue() && !mem::replace(&mut self.told_to_continue, true) {
                        pipeline.next = Next::Continue;
                    }
                    self.front = Some(Parsed::PartialBody(awaiting));
                    break;
                }
                Parsed::Rejected(rejection) => {
                    pipeline.next = Next::Reject(rejection);
                    break;
                }
            }
        }
        self.carry.extend_from_slice(&bytes[at..]);
        pipeline
    }

    /// Puts a hot request on its way, or copies a cold one.
    fn take_up(&self, bytes: &[u8], request: Request) -> Result<HotRequest, Box<Cold>> {
        match Exchange::begin(self.thread, &request::Request::of_http1(&request, bytes)) {
            Some(exchange) => {
                let Request { keep_alive, is_http_1_0, .. } = request;
                Ok(HotRequest { exchange, keep_alive, is_http_1_0 })
            }
            None => Err(Box::new(Cold { bytes: bytes[..request.length].to_vec(), request })),
        }
    }

    /// Answers a pipeline; whether the connection goes on.
    async fn serve_pipeline(&mut self, mut pipeline: Pipeline) -> io::Result<bool> {
        let mut goes_on = true;
        if !pipeline.hot.is_empty() {
            self.deadline.enter(Phase::Busy);
            for request in &mut pipeline.hot {
                request.exchange.decided().await;
            }
            // Only the last answer may say that the connection ends (RFC 9112, section 9.6).
            if self.thread.draining.get()
                && matches!(pipeline.next, Next::Read)
                && let Some(last) = pipeline.hot.last_mut()
            {
                last.keep_alive = false;
            }
            goes_on = pipeline.hot.iter().all(|request| request.keep_alive);
            self.send(|out, thread| render_hot(out, thread, pipeline.hot)).await?;
        }
        if !goes_on {
            return Ok(false);
        }
        match pipeline.next {
            Next::Read | Next::Again | Next::Http2 => Ok(true),
            Next::Continue => {
                self.send(|out, _| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n")).await?;
                self.deadline.enter(Phase::Body);
                Ok(true)
            }
            Next::Reject(rejection) => {
                self.thread.counters.rejected_count.add(1);
                if let Some(problem) = rejection.problem(self.thread.body_bytes_max) {
                    self.send(|out, thread| write_rejection(out, thread, &problem)).await?;
                }
                self.linger().await;
                Ok(false)
            }
            Next::Cold(cold) => self.serve_cold(*cold).await,
        }
    }

    async fn serve_cold(&mut self, cold: Cold) -> io::Result<bool> {
        let Cold { bytes, request } = cold;
        self.deadline.enter(Phase::Busy);
        let request_id = request.fields.request_id.clone().map(|range| &bytes[range]);
        let is_head = &bytes[request.method.clone()] == b"HEAD";
        let shape = Shape {
            request_id: &self.thread.request_id(request_id),
            keep_alive: request.keep_alive && !self.thread.draining.get(),
            is_http_1_0: request.is_http_1_0,
        };
        let response = match router_bridge::request_from(&bytes, &request, self.peer) {
            Ok(request) => router_bridge::dispatch(self.thread, request).await,
            Err(problem) => Response::of_problem(&problem),
        };
        self.send_response(finish(self.thread, response, is_head), shape).await
    }

    /// Sends an answer; whether the connection goes on.
    async fn send_response(&mut self, response: Response, shape: Shape<'_>) -> io::Result<bool> {
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
        self.deadline.enter(Phase::Busy);
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
    async fn send(&mut self, write: impl FnOnce(&mut Vec<u8>, &EdgeThread)) -> io::Result<()> {
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
        let mut rest = poll_fn(|context| {
            let mut out = self.thread.outbound.borrow_mut();
            out.clear();
            if let Some(write) = write.take() {
                write(&mut out, self.thread);
            }
            let sent = match poll_write(self.stream, context, [&out, &body]) {
                Poll::Ready(Ok(sent)) => sent,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => 0,
            };
            Poll::Ready(Ok(Rest::new(&out, body.clone(), sent)))
        })
        .await?;
        if rest.is_empty() {
            return Ok(());
        }
        if !self.thread.deadlines.make_room(rest.memory_bytes()) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.deadline.enter(Phase::Busy);
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
    async fn linger(&mut self) {
        self.deadline.enter(Phase::Body);
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

impl Pipeline {
    fn is_empty(&self) -> bool {
        self.hot.is_empty() && matches!(self.next, Next::Read)
    }
}

fn render_hot(out: &mut Vec<u8>, thread: &EdgeThread, requests: SmallVec<[HotRequest; 1]>) {
    let mut body = thread.body.borrow_mut();
    for HotRequest { mut exchange, keep_alive, is_http_1_0 } in requests {
        body.clear();
        let request_id = mem::take(&mut exchange.request_id);
        let shape = Shape { request_id: &request_id, keep_alive, is_http_1_0 };
        let (head, length) = exchange.render(thread, &mut body);
        write_answer(out, thread, shape, &head, length, &body);
    }
}
