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

use crate::gate::{Admission, PageOrigin};
use crate::http::request::{self, Peer};
use crate::leading::wait_for_leader;
use crate::limits::{PIPELINE_MAX, READ_BYTES};
use crate::net::deadlines::{Activity, Deadline};
use crate::net::h2;
use crate::net::h2::frames::PREFACE;
use crate::net::thread::EdgeThread;
use crate::phases::{Begun, Exchange, finish, reject};
use crate::router_bridge;

use super::head::{Fields, Parsed, Request, is_worth_parsing, parse};
use super::rejection::Rejection;
use super::rest::{Rest, send_at_once};
use super::write::{Shape, write_answer, write_rejection};

/// Serves a connection until either side ends it.
pub(crate) async fn serve(mut stream: TcpStream, peer: Peer, thread: Rc<EdgeThread>, deadline: Deadline) {
    let mut connection = Connection {
        stream: &mut stream,
        peer,
        thread: &thread,
        deadline: &deadline,
        carry: Vec::new(),
        front: None,
        pipeline: Pipeline::default(),
        told_to_continue: false,
    };
    match connection.run().await {
        Ok(End::IsHttp2(bytes)) => Box::pin(h2::serve(stream, peer, bytes, &thread, deadline)).await,
        // An error means that the client is gone: there is nobody to tell.
        Ok(End::Closed) | Err(_) => {}
    }
}

enum End {
    Closed,
    /// The client knew beforehand that HTTP/2 is spoken here; these bytes of it have been read.
    IsHttp2(Vec<u8>),
}

pub(super) struct Connection<'a> {
    pub(super) stream: &'a mut TcpStream,
    peer: Peer,
    pub(super) thread: &'a Rc<EdgeThread>,
    pub(super) deadline: &'a Deadline,
    /// The beginning of a request whose end has not arrived.
    carry: Vec<u8>,
    /// What that request is, as far as it was found out. Nothing if its head has not arrived.
    front: Option<Parsed>,
    /// What was taken up and is not answered.
    pipeline: Pipeline,
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
    /// A whole request is in `carry`, and is not to be taken up before it is known who leads.
    Held,
    Routed(Box<Routed>),
    Reject(Rejection, PageOrigin),
    Http2,
}

/// Whether a request was taken up.
enum Taken {
    /// It was, and another may be behind it.
    GoesOn,
    /// It was, and none is taken up behind it now.
    IsLast,
    /// It is left where it is.
    Not,
}

/// A request for the router, out of the thread's buffer.
struct Routed {
    bytes: Bytes,
    request: Request,
    admission: Admission,
}

impl Connection<'_> {
    async fn run(&mut self) -> io::Result<End> {
        let mut is_first = true;
        loop {
            if !poll_fn(|context| self.poll_read_pipeline(context, is_first)).await? {
                return Ok(End::Closed);
            }
            loop {
                if matches!(self.pipeline.next, Next::Http2) {
                    return Ok(End::IsHttp2(mem::take(&mut self.carry)));
                }
                if !self.serve_pipeline().await? {
                    self.stream.shutdown().await?;
                    return Ok(End::Closed);
                }
                if self.carry.is_empty() {
                    break;
                }
                let carried = mem::take(&mut self.carry);
                self.take_requests(&carried, false);
                if self.pipeline.is_empty() {
                    break;
                }
            }
            is_first = false;
            if self.carry.is_empty() {
                self.deadline.enter(Activity::Idle);
            }
        }
    }

    /// Reads and takes up the requests that it completed, at least one; `false` at the end of the stream.
    fn poll_read_pipeline(&mut self, context: &mut Context<'_>, is_first: bool) -> Poll<io::Result<bool>> {
        loop {
            let carried_length = self.carry.len();
            if carried_length == 0 {
                let thread = self.thread;
                let mut inbound = thread.inbound.borrow_mut();
                let mut buffer = ReadBuf::new(&mut inbound);
                ready!(Pin::new(&mut *self.stream).poll_read(context, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Ok(false));
                }
                self.take_requests(buffer.filled(), is_first);
            } else {
                self.carry.resize(carried_length + READ_BYTES, 0);
                let mut buffer = ReadBuf::new(&mut self.carry[carried_length..]);
                let polled = Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
                let read_length = buffer.filled().len();
                self.carry.truncate(carried_length + read_length);
                ready!(polled)?;
                if read_length == 0 {
                    return Poll::Ready(Ok(false));
                }
                if !self.is_further(carried_length, is_first) {
                    continue;
                }
                let carried = mem::take(&mut self.carry);
                self.take_requests(&carried, is_first);
            }
            if !self.pipeline.is_empty() {
                return Poll::Ready(Ok(true));
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

    /// Takes up the whole requests at the front of `bytes`, as far as they can be served at once, and keeps the rest. The
    /// pipeline is empty before.
    fn take_requests(&mut self, bytes: &[u8], is_first: bool) {
        let mut at = 0;
        if is_first && bytes.starts_with(&PREFACE[..bytes.len().min(PREFACE.len())]) {
            self.carry.extend_from_slice(bytes);
            if bytes.len() >= PREFACE.len() {
                self.pipeline.next = Next::Http2;
            } else {
                self.deadline.stay_or_enter(Activity::Head);
            }
            return;
        }
        while at < bytes.len() {
            if self.pipeline.hot.len() == PIPELINE_MAX {
                self.pipeline.next = Next::Again;
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
                    let taken = self.take_request(rest, request);
                    if !matches!(taken, Taken::Not) {
                        at += length;
                    }
                    if !matches!(taken, Taken::GoesOn) {
                        break;
                    }
                }
                Parsed::PartialHead => {
                    self.deadline.stay_or_enter(Activity::Head);
                    break;
                }
                Parsed::PartialBody(awaiting) => {
                    self.deadline.stay_or_enter(Activity::Body);
                    if awaiting.expects_continue() && !mem::replace(&mut self.told_to_continue, true) {
                        self.pipeline.next = Next::Continue;
                    }
                    self.front = Some(Parsed::PartialBody(awaiting));
                    break;
                }
                Parsed::Rejected(rejection) => {
                    self.pipeline.next = Next::Reject(rejection, self.page_origin_in(rest));
                    break;
                }
            }
        }
        self.carry.extend_from_slice(&bytes[at..]);
    }

    /// Puts a hot request on its way, or copies one for the router.
    #[inline]
    fn take_request(&mut self, bytes: &[u8], request: Request) -> Taken {
        self.told_to_continue = false;
        match Exchange::begin(self.thread, &request::Request::of_http1(&request, bytes, self.peer)) {
            Begun::Hot(exchange) => {
                let Request { keep_alive, is_http_1_0, .. } = request;
                self.pipeline.hot.push(HotRequest { exchange, keep_alive, is_http_1_0 });
                if keep_alive { Taken::GoesOn } else { Taken::IsLast }
            }
            Begun::Routed(admission) => {
                let bytes = Bytes::copy_from_slice(&bytes[..request.length]);
                self.pipeline.next = Next::Routed(Box::new(Routed { bytes, request, admission }));
                Taken::IsLast
            }
            Begun::Held => {
                self.pipeline.next = Next::Held;
                Taken::Not
            }
        }
    }

    /// Answers the pipeline, which is empty afterwards; whether the connection goes on.
    async fn serve_pipeline(&mut self) -> io::Result<bool> {
        if !self.pipeline.hot.is_empty() {
            self.deadline.enter(Activity::Busy);
            let (goes_on, unsent) = poll_fn(|context| self.poll_answer_hot(context)).await?;
            if let Some(unsent) = unsent {
                Box::pin(self.send_rest(unsent)).await?;
            }
            if !goes_on {
                return Ok(false);
            }
        }
        match mem::take(&mut self.pipeline.next) {
            Next::Read | Next::Again | Next::Http2 => Ok(true),
            Next::Held => {
                self.deadline.enter(Activity::Busy);
                Box::pin(wait_for_leader(self.thread)).await;
                Ok(true)
            }
            Next::Continue => {
                let told = self.send(|out, _| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
                Box::pin(told).await?;
                self.deadline.enter(Activity::Body);
                Ok(true)
            }
            Next::Reject(rejection, page_origin) => {
                self.thread.counters.rejected_count.add(1);
                if let Some(problem) = rejection.problem(self.thread.body_bytes_max) {
                    let told = self.send(|out, thread| write_rejection(out, thread, &problem, page_origin));
                    Box::pin(told).await?;
                }
                Box::pin(self.linger()).await;
                Ok(false)
            }
            Next::Routed(routed) => Box::pin(self.serve_routed(*routed)).await,
        }
    }

    /// Sends the answers of the hot requests once all of them are decided: whether the connection goes on, and what the
    /// socket did not take.
    fn poll_answer_hot(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(bool, Option<Rest>)>> {
        for request in &mut self.pipeline.hot {
            ready!(request.exchange.poll_decided(context));
        }
        // Only the last answer may say that the connection ends (RFC 9112, section 9.6).
        if self.thread.draining.get()
            && matches!(self.pipeline.next, Next::Read)
            && let Some(last) = self.pipeline.hot.last_mut()
        {
            last.keep_alive = false;
        }
        let goes_on = self.pipeline.hot.iter().all(|request| request.keep_alive);
        let (stream, thread, hot) = (&mut *self.stream, self.thread, &mut self.pipeline.hot);
        let sent = send_at_once(stream, thread, context, &Bytes::new(), |out, thread| {
            thread.counters.hot_count.add(hot.len() as u64);
            for request in &mut *hot {
                request.write_answer(out, thread);
            }
        });
        self.pipeline.hot.clear();
        Poll::Ready(sent.map(|unsent| (goes_on, unsent)))
    }

    async fn serve_routed(&mut self, routed: Routed) -> io::Result<bool> {
        let Routed { bytes, request, admission } = routed;
        self.deadline.enter(Activity::Busy);
        let request_id = request.fields.request_id.clone().map(|range| &bytes[range]);
        let is_head = &bytes[request.method.clone()] == b"HEAD";
        let shape = Shape {
            request_id: &self.thread.request_id(request_id),
            keep_alive: request.keep_alive && !self.thread.draining.get(),
            is_http_1_0: request.is_http_1_0,
        };
        let response = match router_bridge::request_from(&bytes, request, self.peer) {
            Ok(request) => router_bridge::dispatch(self.thread, request, admission).await,
            Err(problem) => reject(self.thread, &problem, admission.page_origin),
        };
        self.send_response(finish(self.thread, response, is_head), shape).await
    }

    /// Where the page is from that sent bytes which cannot be served, as far as they have lines of a head.
    fn page_origin_in(&self, bytes: &[u8]) -> PageOrigin {
        let start = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        let known = Fields { all: start..bytes.len(), ..Fields::default() };
        self.thread.routes.gate.page_origin(&request::Fields::Parsed { known: &known, bytes })
    }
}

impl Pipeline {
    fn is_empty(&self) -> bool {
        self.hot.is_empty() && matches!(self.next, Next::Read)
    }
}

impl HotRequest {
    /// Appends the answer, which was decided, to `out`.
    fn write_answer(&mut self, out: &mut Vec<u8>, thread: &EdgeThread) {
        let mut body = thread.body.borrow_mut();
        body.clear();
        let (head, length) = self.exchange.render(thread, &mut body);
        let shape = Shape {
            request_id: &self.exchange.request_id,
            keep_alive: self.keep_alive,
            is_http_1_0: self.is_http_1_0,
        };
        write_answer(out, thread, shape, &head, length, &body);
    }
}
