//! HTTP/2 without TLS, for clients that know beforehand that it is spoken here (RFC 9113, section 3.3).

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body as RouterBody;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::cold;
use crate::hot::{self, Hot};
use crate::limits::{H2_STREAMS_MAX, H2_UNSENT_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, TARGET_BYTES_MAX};
use crate::problem::Problem;
use crate::thread::{EdgeThread, Figures, Phase, Watch};

/// How often a connection is asked whether anybody is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a connection of which `bytes` were read already.
pub(crate) async fn serve(stream: TcpStream, bytes: Vec<u8>, thread: &Rc<EdgeThread>, watch: Watch) {
    Figures::add(&thread.figures.h2_count, 1);
    // Pings find out who is gone, and each body has a time limit of its own; what is left to watch is whether anything
    // is asked at all.
    watch.enter(Phase::IdleHttp2);
    let streams = Rc::new(Streams { open_count: Cell::new(0), watch });
    let io = TokioIo::new(Replayed { bytes, at: 0, stream });
    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(H2_STREAMS_MAX)
        // Above ours, so that it is we who say that there are too many.
        .max_header_list_size(u32::try_from(4 * HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_UNSENT_BYTES_MAX);
    let served = Rc::clone(thread);
    let service = service_fn(move |request| {
        let thread = Rc::clone(&served);
        let stream = OpenStream::new(&streams);
        async move {
            let response = answer(&thread, request).await;
            drop(stream);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    let mut told_to_end = false;
    loop {
        tokio::select! {
            // How it ended is the client's affair: reset, gone or done.
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(crate::thread::TICK), if !told_to_end => {
                if thread.draining.get() {
                    told_to_end = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// The streams of one connection.
struct Streams {
    open_count: Cell<usize>,
    watch: Watch,
}

/// One of them, from its request to its answer.
struct OpenStream(Rc<Streams>);

impl OpenStream {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open_count.set(streams.open_count.get() + 1);
        streams.watch.enter(Phase::Busy);
        Self(Rc::clone(streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let open_count = self.0.open_count.get() - 1;
        self.0.open_count.set(open_count);
        if open_count == 0 {
            self.0.watch.enter(Phase::IdleHttp2);
        }
    }
}

async fn answer(thread: &Rc<EdgeThread>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let given = request.headers().get("x-request-id").map(HeaderValue::as_bytes);
    let request_id = thread.request_id(given);
    let without_body = request.method() == http::Method::HEAD;
    let mut response = match whole(thread, request).await {
        Ok((parts, body)) => route(thread, parts, body).await,
        Err(problem) => problem_response(&problem),
    };
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    if without_body {
        let length = response.body().size_hint().exact().unwrap_or(0);
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        *response.body_mut() = Full::default();
    }
    response
}

/// Waits for the whole request.
async fn whole(
    thread: &EdgeThread,
    request: Request<Incoming>,
) -> Result<(http::request::Parts, Bytes), Problem> {
    let target_length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_length > TARGET_BYTES_MAX {
        return Err(Problem::target_too_long(TARGET_BYTES_MAX));
    }
    let field_bytes =
        |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let head_bytes: usize = request.headers().iter().map(field_bytes).sum();
    if head_bytes > HEAD_BYTES_MAX || request.headers().len() > HEADERS_MAX {
        return Err(Problem::headers_too_large(HEAD_BYTES_MAX));
    }
    let (parts, body) = request.into_parts();
    let body = tokio::time::timeout(
        thread.settings.body_timeout,
        Limited::new(body, thread.body_bytes_max).collect(),
    );
    match body.await {
        Ok(Ok(body)) => Ok((parts, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::body_too_large(thread.body_bytes_max))
        }
        Ok(Err(_)) => Err(Problem::malformed("The body ended before it was whole.")),
        Err(_) => Err(Problem::malformed("The body did not arrive in time.")),
    }
}

async fn route(thread: &Rc<EdgeThread>, parts: http::request::Parts, body: Bytes) -> Response<Full<Bytes>> {
    let fields = |name: &'static str| parts.headers.get(name).map(HeaderValue::as_bytes);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let seen = hot::Request {
        method: parts.method.as_str().as_bytes(),
        target: target.as_bytes(),
        content_type: fields("content-type"),
        idempotency_key: fields("idempotency-key"),
        repeats_key: parts.headers.get_all("idempotency-key").iter().count() > 1,
        body: &body,
    };
    let decoded = thread.pump.as_ref().map(|pump| (pump, hot::decode(thread.settings.scenarios, &seen)));
    match decoded {
        Some((pump, Hot::Call(route, call))) => {
            let reply = pump.call(call).await;
            let mut body = Vec::new();
            let ids = pump.partition().reservation_ids();
            let head = hot::render(&route, reply, ids, thread.now_ms(), &mut body);
            response(head, body)
        }
        Some((_, Hot::Problem(problem))) => problem_response(&problem),
        Some((_, Hot::Cold)) | None => {
            let request = Request::from_parts(parts, RouterBody::from(body));
            let (parts, body) = cold::dispatch(&thread.router, request).await;
            Response::from_parts(parts, Full::new(body))
        }
    }
}

fn problem_response(problem: &Problem) -> Response<Full<Bytes>> {
    let mut body = Vec::new();
    let head = hot::render_problem(problem, &mut body);
    response(head, body)
}

fn response(head: hot::Head, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(head.content_type));
    for (name, value) in head.fields {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Runs the streams of a connection on the thread of the connection.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A stream whose first bytes were read before.
struct Replayed {
    bytes: Vec<u8>,
    at: usize,
    stream: TcpStream,
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at < self.bytes.len() {
            let length = buffer.remaining().min(self.bytes.len() - self.at);
            buffer.put_slice(&self.bytes[self.at..self.at + length]);
            self.at += length;
            if self.at == self.bytes.len() {
                self.bytes = Vec::new();
                self.at = 0;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
