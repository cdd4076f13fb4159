//! Answers that nobody takes: they have a bound in bytes and in time, and whoever does take theirs is served.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use onrush_edge::CatalogSettings;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::grpc::{RowsToRead, framed};
use crate::support::{
    ANSWER_TIMEOUT, Http1, LONG_REQUEST, Rig, Settings, call_http2, call_json, call_with, settings,
};

const LIVE_REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

const ROWS_CALL: &str = "/onrush.v1.Catalog/GetRows";

/// So many long answers are more than any socket's buffers take.
const READS: usize = 20;

#[test]
fn a_long_answer_is_the_same_in_both_protocols() {
    let rig = Rig::start(settings());
    let list = rig.put_long_sale();
    let uri = format!("http://{}/v1/sales?limit=100", rig.public());
    assert!(call_http2(rig.public(), Request::builder().uri(uri).body(()).expect("a request"), b"") == list);
    rig.wait_until("everything was taken", |rig| rig.metric("onrush_unsent_bytes") == 0);
}

/// Opens 64 streams that ask for a long answer and give it no window, and returns when the connection has ended.
fn ask_and_take_nothing(
    rig: &Rig,
    (target, message): (&str, &[u8]),
    when_all_have_asked: impl FnOnce(&Rig),
    when_one_is_answered: impl FnOnce(&Rig),
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address = rig.public();
    let (mut connection, _client) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let mut builder = h2::client::Builder::new();
        let handshake = builder.initial_window_size(0).handshake::<_, Bytes>(stream);
        let (mut client, connection) = handshake.await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let (tell, mut told) = tokio::sync::mpsc::channel(64);
        for _ in 0..64 {
            client = client.ready().await.expect("a stream");
            let method = if message.is_empty() { "GET" } else { "POST" };
            let request = Request::builder().method(method).uri(format!("http://{address}{target}"));
            let request = request.header("content-type", "application/grpc").body(()).expect("a request");
            let (response, mut sending) =
                client.send_request(request, message.is_empty()).expect("a request");
            if !message.is_empty() {
                sending.send_data(framed(message), true).expect("a message");
            }
            let tell = tell.clone();
            tokio::spawn(async move {
                let response = response.await;
                let _ = tell.send(()).await;
                // A response that is dropped would give its stream back.
                std::future::pending::<()>().await;
                drop(response);
            });
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        when_all_have_asked(rig);
        // The heads of answers are under no flow control, so the first comes when its answer is made.
        told.recv().await.expect("an answer");
        (connection, client)
    });
    when_one_is_answered(rig);
    runtime.block_on(async {
        // How it ends is the server's affair: with an error or without.
        let _ = tokio::time::timeout(ANSWER_TIMEOUT, &mut connection).await.expect("a connection that ends");
    });
}

#[test]
fn http_2_without_a_window_holds_little_and_is_cut_off() {
    let rig = Rig::start(Settings { write_timeout: Duration::from_secs(2), ..settings() });
    let length = rig.put_long_sale().body.len() as u64;
    let check = |rig: &Rig| {
        let unsent_bytes = rig.metric("onrush_unsent_bytes");
        assert!(unsent_bytes >= length, "{unsent_bytes}");
        assert!(unsent_bytes <= (1 << 20) + 5 * length, "{unsent_bytes} of answers of {length}");
    };
    ask_and_take_nothing(&rig, ("/v1/sales?limit=100", b""), |_| {}, check);
    assert_eq!(rig.metric("onrush_connections_cut_off_total{awaited=\"write\"}"), 1);
    rig.wait_until("its answers are gone", |rig| rig.metric("onrush_unsent_bytes") == 0);
}

/// A server with rows that are longer together than one connection may leave untaken: their keys, and their bytes.
fn with_long_rows() -> (Rig, Vec<String>, u64) {
    let keys: Vec<_> = (0..90).map(|key| key.to_string()).collect();
    let row = |key: &String| format!("{{\"key\":\"{key}\",\"row\":{{\"a\":\"{}\"}}}}\n", "x".repeat(16_000));
    let rows: String = keys.iter().map(row).collect();
    let catalog = CatalogSettings {
        wait_max: ANSWER_TIMEOUT,
        embedded: vec!["products".into()],
        ..CatalogSettings::default()
    };
    let rig = Rig::start(Settings { write_timeout: Duration::from_secs(2), catalog, ..settings() });
    let lines = "Content-Type: application/x-ndjson\r\n";
    assert_eq!(call_with(rig.operator(), "POST", "/v1/catalog/products", lines, &rows).status, 200);
    (rig, keys, rows.len() as u64)
}

/// Waits until the connection is cut off, and returns how many bytes of answers it held at most.
fn most_held(rig: &Rig) -> u64 {
    let most = Cell::new(0);
    rig.wait_until("it is cut off", |rig| {
        most.set(most.get().max(rig.metric("onrush_unsent_bytes")));
        rig.metric("onrush_connections_cut_off_total{awaited=\"write\"}") == 1
    });
    most.get()
}

/// Whether they ask in HTTP or in gRPC.
#[test]
fn reads_that_wait_for_a_version_hold_little_when_it_comes() {
    for is_call in [false, true] {
        let (rig, keys, length) = with_long_rows();
        let over_http = format!("/v1/catalog/products?keys={}&min_version=2", keys.join(","));
        let message = RowsToRead { collection: "products".into(), keys, min_version: 2 }.encode_to_vec();
        let asked = if is_call { (ROWS_CALL, &*message) } else { (&*over_http, &b""[..]) };
        let put_version_2 = |rig: &Rig| {
            assert_eq!(call_json(rig.operator(), "PUT", "/v1/catalog/products/new", "", "{}").status, 200);
        };
        ask_and_take_nothing(&rig, asked, put_version_2, |rig| {
            let most = most_held(rig);
            assert!(most > length / 2, "{most}");
            assert!(most <= (1 << 20) + 17 * length, "{most} of answers of {length}");
        });
        rig.wait_until("its answers are gone", |rig| rig.metric("onrush_unsent_bytes") == 0);
    }
}

#[test]
fn rows_that_are_there_at_once_are_answered_while_there_is_room() {
    let (rig, keys, length) = with_long_rows();
    let message = RowsToRead { collection: "products".into(), keys, min_version: 0 }.encode_to_vec();
    ask_and_take_nothing(
        &rig,
        (ROWS_CALL, &message),
        |_| {},
        |rig| {
            let most = most_held(rig);
            assert!(most > length / 2, "{most}");
            assert!(most <= (1 << 20) + length, "{most} of answers of {length}");
        },
    );
    rig.wait_until("its answers are gone", |rig| rig.metric("onrush_unsent_bytes") == 0);
}

/// A connection from which nothing is read until its client is told.
struct LateReader {
    stream: tokio::net::TcpStream,
    told: Option<oneshot::Receiver<()>>,
}

impl AsyncRead for LateReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(told) = &mut self.told {
            let _ = ready!(Pin::new(told).poll(context));
            self.told = None;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for LateReader {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Bytes of the body of an answer to a call that went well.
async fn length_of(response: h2::client::ResponseFuture) -> Result<usize, h2::Error> {
    let (mut answer, mut length) = (response.await?.into_body(), 0);
    while let Some(piece) = answer.data().await {
        length += piece?.len();
    }
    let trailers = answer.trailers().await?.unwrap_or_default();
    assert_eq!(trailers["grpc-status"], "0");
    Ok(length)
}

type Call = JoinHandle<Result<usize, h2::Error>>;

/// Asks for one row again and again over a connection with all the window that there can be, until the server's system takes nothing
/// more. Returns the calls, each of which ends with the bytes of its answer, and what lets the client read.
async fn ask_until_it_stalls(rig: &Rig) -> (Vec<Call>, oneshot::Sender<()>) {
    let stream = tokio::net::TcpStream::connect(rig.public()).await.expect("a connection");
    let (tell, told) = oneshot::channel();
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 30)
        .initial_max_send_streams(100_000);
    let handshake = builder.handshake::<_, Bytes>(LateReader { stream, told: Some(told) });
    let (mut client, connection) = handshake.await.expect("HTTP/2");
    tokio::spawn(connection);
    let message = RowsToRead { collection: "products".into(), keys: vec!["7".into()], min_version: 0 };
    let body = framed(&message.encode_to_vec());
    let (mut calls, mut unsent_bytes, mut looks) = (Vec::new(), 0, 0);
    while looks < 10 {
        // Streams beyond 64 at once are refused, so the next are opened when the last are gone.
        for _ in 0..if unsent_bytes == 0 { 16 } else { 0 } {
            client = client.ready().await.expect("a stream");
            let request = Request::post(format!("http://{}{ROWS_CALL}", rig.public()));
            let request = request.header("content-type", "application/grpc").body(()).expect("a request");
            let (response, mut sending) = client.send_request(request, false).expect("a request");
            sending.send_data(body.clone(), true).expect("a message");
            calls.push(tokio::spawn(length_of(response)));
        }
        while rig.metric("onrush_requests_total{class=\"hot\"}") < calls.len() as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(if unsent_bytes == 0 { 2 } else { 20 })).await;
        let before = std::mem::replace(&mut unsent_bytes, rig.metric("onrush_unsent_bytes"));
        looks = if unsent_bytes > 0 && unsent_bytes == before { looks + 1 } else { 0 };
    }
    (calls, tell)
}

#[test]
fn answers_that_are_taken_late_are_whole() {
    let (rig, ..) = with_long_rows();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (calls, tell) = ask_until_it_stalls(&rig).await;
        assert!(rig.metric("onrush_unsent_bytes") < 2 << 20);
        tell.send(()).expect("a client that waits");
        let mut lengths = std::collections::BTreeSet::new();
        for call in calls {
            let length = tokio::time::timeout(ANSWER_TIMEOUT, call).await.expect("in time");
            lengths.insert(length.expect("a call").expect("an answer"));
        }
        assert!(lengths.len() == 1 && lengths.first() > Some(&16_000), "{lengths:?}");
        rig.wait_until("everything was taken", |rig| rig.metric("onrush_unsent_bytes") == 0);
    });
    assert_eq!(rig.metric("onrush_connections_cut_off_total{awaited=\"write\"}"), 0);
}

#[test]
fn what_waits_in_one_piece_for_the_system_is_cut_off_as_well() {
    let (rig, ..) = with_long_rows();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (_calls, _tell) = ask_until_it_stalls(&rig).await;
        rig.wait_until("it is cut off", |rig| {
            rig.metric("onrush_connections_cut_off_total{awaited=\"write\"}") == 1
        });
        rig.wait_until("its answers are gone", |rig| rig.metric("onrush_unsent_bytes") == 0);
    });
}

#[test]
fn http_1_readers_that_take_nothing_are_cut_off() {
    let rig = Rig::start(Settings { write_timeout: Duration::from_millis(300), ..settings() });
    rig.put_long_sale();
    let mut reader = Http1::connect_narrow(rig.public());
    reader.send(&LONG_REQUEST.repeat(READS));
    let cut_off = "onrush_connections_cut_off_total{awaited=\"write\"}";
    rig.wait_until("it is cut off", |rig| rig.metric(cut_off) == 1);
    rig.wait_until("its answer is gone", |rig| rig.metric("onrush_unsent_bytes") == 0);
}

#[test]
fn all_unsent_answers_have_a_bound_and_the_slowest_make_room() {
    let unsent_bytes_max = 3 << 20;
    let rig = Rig::start(Settings { unsent_bytes_max, ..settings() });
    let list = rig.put_long_sale();
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut reader = Http1::connect_narrow(rig.public());
        reader.send(&LONG_REQUEST.repeat(READS));
        silent.push(reader);
        assert!(Http1::connect(rig.public()).call(LIVE_REQUEST).is_some(), "short answers go on");
        let unsent_bytes = rig.metric("onrush_unsent_bytes");
        assert!(unsent_bytes <= unsent_bytes_max as u64, "{unsent_bytes}");
    }
    // As soon as the silent ones have taken nothing for long enough, they give way to who asks.
    rig.wait_until("a long answer is served again", |rig| {
        let answer = Http1::connect(rig.public()).call(LONG_REQUEST).expect("an answer");
        assert!(answer == list || answer.body.contains("overloaded"), "{}", answer.status);
        answer.status == 200 && rig.metric("onrush_connections_cut_off_total{awaited=\"room\"}") > 0
    });
    assert!(rig.metric("onrush_answers_without_room_total") > 0);
}
