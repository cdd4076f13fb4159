//! HTTP/2 without TLS, for clients that know beforehand that it is spoken here (RFC 9113, section 3.3).

mod body;
pub(crate) mod frames;
mod socket;
mod streamed;
mod streams;

use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use axum::body::Body as RouterBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;

use self::body::Pieces;
use self::socket::CountedSocket;
use self::streamed::Streamed;
use self::streams::{OpenStream, Streams};
use crate::api::catalog;
use crate::grpc;
use crate::http::authority::is_authority;
use crate::http::request::{self, Peer};
use crate::http::response::Response;
use crate::http::size::{TooLarge, check_head as check_head_size};
use crate::http::target;
use crate::leading::wait_for_leader;
use crate::limits::{H2_PIECE_BYTES, H2_PING_INTERVAL, H2_PING_TIMEOUT, H2_STREAMS_MAX, HEAD_BYTES_MAX};
use crate::net::deadlines::{Deadline, TICK};
use crate::net::thread::EdgeThread;
use crate::phases::{Begun, Exchange, finish, reject};
use crate::problem::Problem;
use crate::router_bridge;
use crate::scenarios::product_inventory;

/// Ticks after which a connection without open streams has had time to say what it had to, when the server stops.
const LAST_TICKS: u32 = 2;

/// Serves a connection of which `bytes` were read already.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: Peer,
    bytes: Vec<u8>,
    thread: &Rc<EdgeThread>,
    deadline: Deadline,
) {
    thread.counters.h2_count.add(1);
    let streams = Streams::new(deadline);
    let socket = CountedSocket::new(socket, bytes, Rc::clone(&streams), Rc::clone(thread));
    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT)
        .max_concurrent_streams(H2_STREAMS_MAX)
        // Above ours, so that it is we who say that there are too many.
        .max_header_list_size(u32::try_from(4 * HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(H2_PIECE_BYTES);
    let served = Rc::clone(thread);
    let of_service = Rc::clone(&streams);
    let service = service_fn(move |request: Request<Incoming>| {
        let thread = Rc::clone(&served);
        let stream = OpenStream::new(&of_service);
        async move { Ok::<_, Infallible>(answer(&thread, stream.streams(), peer, request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(socket.clone()), service);
    tokio::pin!(connection);
    let mut was_told_to_end = false;
    let mut idle_ticks = 0;
    loop {
        let ended = poll_fn(|context| {
            let has_ended = connection.as_mut().poll(context).is_ready();
            let is_broken = matches!(socket.poll_send(context), Poll::Ready(Err(_)));
            if has_ended || is_broken { Poll::Ready(()) } else { Poll::Pending }
        });
        tokio::select! {
            // How it ended is the client's affair: reset, gone or done.
            () = ended => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if !thread.draining.get() {
            continue;
        }
        if !was_told_to_end {
            was_told_to_end = true;
            connection.as_mut().graceful_shutdown();
        }
        // A client that does not even answer a ping is not waited for once it has all its answers.
        idle_ticks = if streams.are_idle() { idle_ticks + 1 } else { 0 };
        if idle_ticks > LAST_TICKS {
            return;
        }
    }
}

async fn answer(
    thread: &Rc<EdgeThread>,
    streams: &Rc<Streams>,
    peer: Peer,
    request: Request<Incoming>,
) -> http::Response<Pieces> {
    let given = request.headers().get("x-request-id").map(|id| id.as_bytes().trim_ascii());
    let request_id = thread.request_id(given);
    let is_head = request.method() == Method::HEAD;
    let page_origin = thread.routes.gate.page_origin(&request::Fields::Mapped(request.headers()));
    let is_call = grpc::is_call(request.uri().path());
    let refuse = |problem: &Problem| match reject(thread, problem, page_origin) {
        _ if is_call => grpc::refused(problem),
        response => response,
    };
    let response = if grpc::takes_stream(request.uri().path()) {
        let place = streams.take_read_stream().ok_or_else(Problem::overloaded);
        match place.and_then(|place| Ok((place, head_of(thread, request)?))) {
            Ok((place, (parts, body))) => {
                let (timeout, draining) = (thread.settings.body_timeout, thread.stopping.subscribe());
                let body = RouterBody::new(Streamed::new(body, timeout, draining, place));
                route(thread, streams, peer, parts, (Bytes::new(), Some(body))).await
            }
            Err(problem) => refuse(&problem),
        }
    } else {
        match whole(thread, request).await {
            Ok((parts, body)) => route(thread, streams, peer, parts, (body, None)).await,
            Err(problem) => refuse(&problem),
        }
    };
    let Response { status, fields, length, body, trailers, .. } = finish(thread, response, is_head);
    let mut response = http::Response::new(Pieces::new(body, trailers, streams));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    if let Some(mut id) = request_id.field_value(&thread.request_id_prefix) {
        // No other answer has it. In HPACK's table it would take the place of what others have, and each is looked for among all.
        id.set_sensitive(true);
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// A request whose body is still to come.
fn head_of(
    thread: &EdgeThread,
    request: Request<Incoming>,
) -> Result<(http::request::Parts, Incoming), Problem> {
    let target_length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let field_bytes =
        |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let head_bytes: usize = request.headers().iter().map(field_bytes).sum();
    check_head_size(target_length, head_bytes, request.headers().len())
        .map_err(|part| part.problem(thread.body_bytes_max))?;
    let (parts, body) = request.into_parts();
    Ok((check_head(parts)?, body))
}

/// Waits for the whole request.
async fn whole(
    thread: &EdgeThread,
    request: Request<Incoming>,
) -> Result<(http::request::Parts, Bytes), Problem> {
    let (parts, body) = head_of(thread, request)?;
    let body = tokio::time::timeout(
        thread.settings.body_timeout,
        Limited::new(body, thread.body_bytes_max).collect(),
    );
    match body.await {
        Ok(Ok(body)) => Ok((parts, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(TooLarge::Body.problem(thread.body_bytes_max))
        }
        Ok(Err(_)) => Err(Problem::malformed("The body ended before it was whole.")),
        Err(_) => Err(Problem::malformed("The body did not arrive in time.")),
    }
}

/// Holds the head against what HTTP/1.1 requires of one, so that a request means the same in both.
fn check_head(mut parts: http::request::Parts) -> Result<http::request::Parts, Problem> {
    let path_and_query = parts.uri.path_and_query().map_or("", |target| target.as_str());
    target::read(parts.method.as_str(), path_and_query).map_err(Problem::malformed)?;
    let hosts = parts.headers.get_all(HOST);
    let authorities = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let authorities = || authorities.into_iter().chain(hosts.iter().map(HeaderValue::as_bytes));
    if !authorities().all(is_authority) {
        return Err(Problem::malformed("Host is not a host with or without a port"));
    }
    // `:authority` and Host may both be there, and then agree (RFC 9113, section 8.3.1).
    let differs = |other: &[u8]| authorities().next().is_some_and(|first| !first.eq_ignore_ascii_case(other));
    if authorities().any(differs) || hosts.iter().count() > 1 {
        return Err(Problem::malformed("there must be exactly one Host field"));
    }
    if let Some(authority) = authorities().next().and_then(|host| HeaderValue::from_bytes(host).ok()) {
        parts.headers.insert(HOST, authority);
    }
    // Blanks around a value are not part of it (RFC 9110, section 5.5).
    for value in parts.headers.values_mut() {
        let trimmed = value.as_bytes().trim_ascii();
        if trimmed.len() < value.len() {
            *value = HeaderValue::from_bytes(trimmed).unwrap_or_else(|_| HeaderValue::from_static(""));
        }
    }
    Ok(parts)
}

/// Answers a request. Of its body, the bytes are what is there, and the router reads `streamed` if it is still to come.
async fn route(
    thread: &Rc<EdgeThread>,
    streams: &Rc<Streams>,
    peer: Peer,
    mut parts: http::request::Parts,
    (body, streamed): (Bytes, Option<RouterBody>),
) -> Response {
    streams.room().await;
    let admission = loop {
        match Exchange::begin(thread, &request::Request::of_http2(&parts, &body, peer)) {
            Begun::Hot(mut exchange) => {
                poll_fn(|context| exchange.poll_decided(context)).await;
                thread.counters.hot_count.add(1);
                let mut body = Vec::new();
                let (head, length) = exchange.render(thread, &mut body);
                return Response { length, ..Response::of_hot(head, body) };
            }
            Begun::Routed(admission) => break admission,
            Begun::Held => wait_for_leader(thread).await,
        }
    };
    let _turn = turn(thread, streams, &parts).await;
    streams.room().await;
    parts.extensions.insert(peer);
    let body = streamed.unwrap_or_else(|| RouterBody::from(body));
    router_bridge::dispatch(thread, Request::from_parts(parts, body), admission).await
}

/// Reads can be long, and one connection must not ask for many of them at once. All else has a short answer.
async fn turn<'a>(
    thread: &EdgeThread,
    streams: &'a Streams,
    parts: &http::request::Parts,
) -> Option<SemaphorePermit<'a>> {
    let (path, rows) = (parts.uri.path(), &thread.routes.catalog);
    if catalog::may_wait(rows, &parts.uri) || product_inventory::may_wait(rows, path) || grpc::may_wait(path)
    {
        streams.turn_to_wait().await
    } else if parts.method.is_safe() || product_inventory::is_read(path) || grpc::is_long_read(path) {
        streams.turn_to_read().await
    } else {
        None
    }
}

/// Runs the streams of a connection on the thread of the connection.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
