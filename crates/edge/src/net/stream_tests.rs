//! Answers that are made while they are sent, over both protocols, with a maker that the test holds in its hands.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body as RouterBody;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use hyper::body::Frame;
use onrush_core::RowCollection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::counters::EdgeCounters;
use super::listener::accept_all;
use super::thread::{EdgeThread, Routes};
use crate::catalog::{Catalog, CatalogSettings, RowSource};
use crate::gate::{Gate, PublicGate};
use crate::hot::HotTable;
use crate::settings::{GateSettings, Scenarios, Settings};

type Made = Result<Bytes, io::Error>;

/// A body that says what the test says.
struct Channel(Receiver<Made>);

impl hyper::body::Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|made| made.map(|made| made.map(Frame::data)))
    }
}

/// A thread that serves one stream, and the maker of it.
struct Rig {
    address: SocketAddr,
    thread: Rc<EdgeThread>,
    maker: Sender<Made>,
}

/// A catalogue without rows.
struct NoRows;

impl RowSource for NoRows {
    fn read_collection(&self, _: &str, read: &mut dyn FnMut(Option<&RowCollection>)) {
        read(None);
    }
}

pub(super) fn settings() -> Settings {
    let (any_port, hour) = (SocketAddr::from(([127, 0, 0, 1], 0)), Duration::from_hours(1));
    Settings {
        listen: any_port,
        operator_listen: any_port,
        operator_key: None,
        threads: 1,
        connections_max: 10,
        header_timeout: hour,
        body_timeout: hour,
        idle_timeout: hour,
        write_timeout: hour,
        unsent_bytes_max: 1 << 20,
        drain_timeout: hour,
        scenarios: Scenarios::default(),
        gate: GateSettings::default(),
        catalog: CatalogSettings::default(),
    }
}

/// What the connections of a thread share that answers what this router says.
pub(super) fn thread(router: Router) -> Rc<EdgeThread> {
    let gate = Gate::Public(Arc::new(PublicGate::open()));
    let (hot, preflights) = (HotTable::default(), None);
    let catalog = Arc::new(Catalog::new(CatalogSettings::default(), Arc::new(NoRows)));
    let answered = Routes { gate, hot, preflights, router, catalog, partitions: None };
    EdgeThread::new(Arc::new(settings()), Arc::new(EdgeCounters::default()), None, answered, 1)
}

/// Runs a test on the thread of the connections.
fn with_stream<F: Future<Output = ()>>(test: impl FnOnce(Rig) -> F) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let (maker, made) = mpsc::channel(1);
        let made = Arc::new(Mutex::new(Some(made)));
        let stream = move || async move {
            let made = made.lock().unwrap().take().expect("the stream is asked for once");
            RouterBody::new(Channel(made))
        };
        let router = Router::new().route("/stream", get(stream)).route("/whole", get(|| async { "whole" }));
        let thread = thread(router);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Rc::clone(&thread);
        tokio::task::spawn_local(async move { accept_all(&listener, &served).await });
        let run = test(Rig { address, thread, maker });
        tokio::time::timeout(Duration::from_secs(20), run).await.expect("what must come comes");
    });
}

impl Rig {
    async fn ask(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    async fn say(&self, piece: &'static str) {
        self.maker.send(Ok(piece.into())).await.unwrap();
    }
}

/// Reads until what came ends with `end`.
async fn read_to(client: &mut TcpStream, end: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(end) {
        let mut bytes = [0; 100];
        let length = client.read(&mut bytes).await.unwrap();
        assert!(length > 0, "the connection ended behind {read:?}");
        read.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    read
}

#[test]
fn pieces_leave_as_they_are_made_and_the_connection_goes_on() {
    with_stream(|rig| async move {
        let mut client = rig.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let head = read_to(&mut client, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"),
            "{head}"
        );
        rig.say("ab").await;
        assert_eq!(read_to(&mut client, "ab\r\n").await, "2\r\nab\r\n");
        rig.say("0123456789abcdef").await;
        assert_eq!(read_to(&mut client, "f\r\n").await, "10\r\n0123456789abcdef\r\n");
        drop(rig.maker);
        assert_eq!(read_to(&mut client, "0\r\n\r\n").await, "0\r\n\r\n");
        client.write_all(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let next = read_to(&mut client, "\r\n\r\nwhole").await;
        assert!(next.contains("content-length: 5\r\n"), "{next}");
    });
}

#[test]
fn a_long_piece_is_sent_in_parts() {
    with_stream(|rig| async move {
        let mut client = rig.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
        rig.maker.send(Ok(vec![b'x'; 100_000].into())).await.unwrap();
        drop(rig.maker);
        let answer = read_to(&mut client, "0\r\n\r\n").await;
        assert_eq!(answer.split("\r\n\r\n").nth(1).unwrap().matches('x').count(), 100_000);
    });
}

#[test]
fn the_end_of_the_connection_ends_a_stream_of_http_1_0() {
    with_stream(|rig| async move {
        let mut client = rig.ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        rig.say("ab").await;
        rig.say("cd").await;
        drop(rig.maker);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.contains("connection: close\r\n") && !answer.contains("transfer-encoding"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\nabcd"), "{answer}");
    });
}

#[test]
fn head_of_a_stream_has_no_body_and_no_length() {
    with_stream(|rig| async move {
        let mut client = rig.ask("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let head = read_to(&mut client, "\r\n\r\n").await;
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        rig.maker.closed().await;
        client.write_all(b"HEAD /whole HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let next = read_to(&mut client, "\r\n\r\n").await;
        assert!(next.contains("content-length: 5\r\n"), "{next}");
    });
}

#[test]
fn a_client_that_leaves_ends_its_stream() {
    with_stream(|rig| async move {
        let client = rig.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
        rig.say("ab").await;
        drop(client);
        rig.maker.closed().await;
    });
}

#[test]
fn a_maker_that_fails_shows_as_an_answer_without_an_end() {
    with_stream(|rig| async move {
        let mut client = rig.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").await;
        rig.say("ab").await;
        rig.maker.send(Err(io::ErrorKind::Other.into())).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("\r\n\r\n2\r\nab\r\n"), "{answer}");
    });
}

/// Asks for the stream over HTTP/2, where it may be `window` bytes ahead of what was taken.
async fn ask_http2(rig: &Rig, window: u32) -> h2::RecvStream {
    let socket = TcpStream::connect(rig.address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (mut client, connection) =
        builder.initial_window_size(window).handshake::<_, Bytes>(socket).await.unwrap();
    tokio::task::spawn_local(connection);
    let request = Request::get("http://x/stream").body(()).unwrap();
    let answer = client.send_request(request, true).unwrap().0.await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (200, None));
    answer.into_body()
}

#[test]
fn http_2_gets_pieces_as_they_are_made_however_long_nothing_is_said() {
    with_stream(|rig| async move {
        let mut body = ask_http2(&rig, 1 << 16).await;
        for piece in ["ab", "cde"] {
            // Days pass. The connection is not idle while a stream is open.
            rig.thread.deadlines.tick(1_000_000_000, false);
            rig.say(piece).await;
            assert_eq!(body.data().await.unwrap().unwrap(), piece);
        }
        drop(rig.maker);
        let end = body.data().await;
        assert!(end.as_ref().is_none_or(|end| end.as_ref().is_ok_and(Bytes::is_empty)), "{end:?}");
    });
}

#[test]
fn http_2_is_not_told_more_than_it_takes() {
    with_stream(|rig| async move {
        let mut body = ask_http2(&rig, 10).await;
        let maker = rig.maker.clone();
        let making = tokio::task::spawn_local(async move {
            for _ in 0..1_000 {
                maker.send(Ok("0123456789".into())).await.unwrap();
            }
        });
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(!making.is_finished(), "a thousand pieces were taken for a client that takes one");
        drop(rig.maker);
        let mut length = 0;
        while let Some(data) = body.data().await {
            length += data.as_ref().unwrap().len();
            body.flow_control().release_capacity(data.unwrap().len()).unwrap();
        }
        assert_eq!(length, 10_000);
    });
}

#[test]
fn http_2_resets_the_stream_of_a_maker_that_fails() {
    with_stream(|rig| async move {
        let mut body = ask_http2(&rig, 1 << 16).await;
        rig.say("ab").await;
        assert_eq!(body.data().await.unwrap().unwrap(), "ab");
        rig.maker.send(Err(io::ErrorKind::Other.into())).await.unwrap();
        let error = body.data().await.unwrap().unwrap_err();
        assert!(error.is_reset(), "{error}");
    });
}

#[test]
fn http_2_resets_a_stream_for_which_there_is_no_room() {
    with_stream(|rig| async move {
        let mut body = ask_http2(&rig, 1 << 16).await;
        let settings = settings();
        rig.maker.send(Ok(vec![0; settings.unsent_bytes_max + 1].into())).await.unwrap();
        let error = body.data().await.unwrap().unwrap_err();
        assert!(error.is_reset(), "{error}");
        assert_eq!(rig.thread.counters.unsent_bytes(), 0);
    });
}

#[test]
fn http_2_lets_go_of_a_stream_that_the_client_resets() {
    with_stream(|rig| async move {
        let body = ask_http2(&rig, 1 << 16).await;
        rig.say("ab").await;
        drop(body);
        rig.maker.closed().await;
    });
}
