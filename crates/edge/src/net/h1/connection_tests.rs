//! One connection of HTTP/1.1 from its first byte to its last, over a real socket and a partition with a log in memory. The
//! deadlines have a clock that the tests step.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onrush_log::memory::MemoryLog;
use onrush_node::{MachineClock, Partition, Partitions, Retention};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::yield_now;

use crate::api::{App, hot_table, preflights, public_router};
use crate::components::Components;
use crate::gate::Gate;
use crate::limits::{HEAD_BYTES_MAX, PIPELINE_MAX};
use crate::metrics::EdgeMetrics;
use crate::net::call_batcher::CallBatcher;
use crate::net::counters::{CutOff, EdgeCounters};
use crate::net::h2::frames::PREFACE;
use crate::net::listener::accept_all;
use crate::net::stream_tests::settings;
use crate::net::thread::{EdgeThread, Routes};

const COUNT: &str = "POST /v1/counters/a HTTP/1.1\r\nHost: x\r\n\r\n";
const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const DOCUMENT: &str = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
const HOUR_MS: u64 = 3_600_000;

/// An edge thread that listens; its sockets keep little for a client that does not read.
pub(in crate::net) struct Rig {
    pub(in crate::net) address: std::net::SocketAddr,
    thread: Rc<EdgeThread>,
}

pub(in crate::net) struct Client {
    socket: TcpStream,
    /// What was read and is not looked at.
    read: Vec<u8>,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Runs a test on the thread of the connections.
fn with_edge<F: Future<Output = ()>>(test: impl FnOnce(Rig) -> F) {
    let log = Arc::new(MemoryLog::new(0));
    let node_settings = onrush_node::Settings::default();
    let (partition, _) =
        Partition::open(log, node_settings, Arc::new(MachineClock), Retention::default()).unwrap();
    with_edge_over(&partition, test);
}

/// The same over a partition that is there. It is closed in the end.
pub(in crate::net) fn with_edge_over<F: Future<Output = ()>>(
    partition: &Arc<Partition>,
    test: impl FnOnce(Rig) -> F,
) {
    let partitions = Arc::new(Partitions::one(Arc::clone(partition)));
    // Whoever yields lets the sockets be looked at, so that what was sent before is read by itself.
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().event_interval(1).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let batcher = CallBatcher::new(&partitions);
        tokio::task::spawn_local(Rc::clone(&batcher).run());
        let settings = settings();
        let edge_metrics = Arc::new(EdgeMetrics::default);
        let app = App::new(Arc::clone(&partitions), &settings, Components::default(), edge_metrics);
        let (hot, preflights) = (hot_table(settings.scenarios), Some(preflights(settings.scenarios)));
        let gate = Gate::Public(Arc::clone(&app.gate));
        let catalog = Arc::clone(&app.catalog);
        let routes = Routes {
            gate,
            hot,
            preflights,
            catalog,
            router: public_router(Arc::new(app)),
            partitions: Some(partitions),
        };
        let counters = Arc::new(EdgeCounters::default());
        let thread = EdgeThread::new(Arc::new(settings), counters, Some(batcher), routes, 1);
        thread.deadlines.tick(0, false);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4 << 10).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Rc::clone(&thread);
        tokio::task::spawn_local(async move { accept_all(&listener, &served).await });
        let run = test(Rig { address, thread });
        tokio::time::timeout(Duration::from_mins(1), run).await.expect("what must come comes");
    });
    drop(runtime);
    partition.close();
}

impl Rig {
    async fn connect(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let socket = socket.connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, read: Vec::new() }
    }

    pub(in crate::net) async fn ask(&self, requests: &str) -> Client {
        let mut client = self.connect().await;
        client.send(requests).await;
        client
    }

    /// Another connection adds one to the counter `a` and says what it is then.
    async fn count(&self) -> String {
        self.ask(COUNT).await.answer().await.body
    }

    async fn until(&self, holds: impl Fn(&EdgeThread) -> bool) {
        while !holds(&self.thread) {
            yield_now().await;
        }
    }

    /// Until answers are left untaken and nothing more is sent.
    async fn until_stalled(&self) {
        let counters = &self.thread.counters;
        let served = || (counters.hot_count.read() + counters.routed_count.read(), counters.unsent_bytes());
        loop {
            self.until(|_| counters.unsent_bytes() > 0).await;
            let before = served();
            for _ in 0..500 {
                yield_now().await;
            }
            if before == served() {
                return;
            }
        }
    }
}

impl Client {
    pub(in crate::net) async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Sends a part that the server reads by itself.
    async fn send_alone(&mut self, bytes: &str) {
        self.send(bytes).await;
        for _ in 0..4 {
            yield_now().await;
        }
    }

    /// Whether something of an answer is there.
    pub(in crate::net) async fn has_bytes(&mut self) -> bool {
        let readable = tokio::time::timeout(Duration::from_millis(1), self.socket.readable()).await;
        readable.is_ok() && self.socket.try_read_buf(&mut self.read).is_ok_and(|length| length > 0)
    }

    async fn read_more(&mut self) {
        let length = self.socket.read_buf(&mut self.read).await.unwrap();
        assert!(length > 0, "the connection ended behind {:?}", String::from_utf8_lossy(&self.read));
    }

    async fn head(&mut self) -> String {
        let end = loop {
            match memchr::memmem::find(&self.read, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.read_more().await,
            }
        };
        String::from_utf8(self.read.drain(..end).collect()).unwrap()
    }

    async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().unwrap();
        while self.read.len() < length {
            self.read_more().await;
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    /// The next answers have these statuses and these words in their bodies.
    pub(in crate::net) async fn expect(&mut self, answers: &[(u16, &str)]) {
        for (status, words) in answers {
            let answer = self.answer().await;
            assert!(answer.status == *status && answer.body.contains(words), "{words} is not in {answer:?}");
        }
    }

    /// The server closes, and says nothing more.
    async fn expect_end(&mut self) {
        self.socket.read_to_end(&mut self.read).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&self.read), "");
    }
}

impl Answer {
    fn says(&self, line: &str) -> bool {
        self.head.lines().any(|one| one == line)
    }
}

/// A request to reserve from a sale that is not there.
fn reserve(fields: &str, body: &str) -> String {
    format!(
        "POST /v1/sales/none/reservations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{fields}\r\n{body}"
    )
}

const BODY: &str = r#"{"customer":"a","lines":[{"stock":"s","quantity":1}]}"#;

fn reserve_by_length() -> String {
    reserve(&format!("Content-Length: {}\r\n", BODY.len()), BODY)
}

#[test]
fn requests_of_one_read_are_answered_in_order() {
    with_edge(|rig| async move {
        let missing = "GET /v1/counters/missing HTTP/1.1\r\nHost: x\r\n\r\n";
        let head = "HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
        let requests = [COUNT, COUNT, LIVE, COUNT, missing, head, LIVE, LIVE, &reserve_by_length(), COUNT];
        let mut client = rig.ask(&requests.concat()).await;
        let live = (200, "live");
        client.expect(&[(200, "\"value\":1"), (200, "\"value\":2"), live, (200, "\"value\":3")]).await;
        client.expect(&[(404, "counter_not_found")]).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("content-length: 0"), "{head}");
        client.expect(&[live, live, (404, "sale_not_found"), (200, "\"value\":4")]).await;
        let counters = rig.thread.counters.read();
        assert_eq!((counters.hot_request_count, counters.routed_request_count), (6, 4));
    });
}

#[test]
fn more_requests_than_are_served_at_once_are_answered_in_order() {
    with_edge(|rig| async move {
        let count = 3 * PIPELINE_MAX + 5;
        let mut client = rig.ask(&COUNT.repeat(count)).await;
        for value in 1..=count {
            client.expect(&[(200, &format!("\"value\":{value}}}"))]).await;
        }
        // One of them for the router, at every place about the bound.
        for before in PIPELINE_MAX - 1..=PIPELINE_MAX + 1 {
            client.send(&[&COUNT.repeat(before), LIVE, COUNT].concat()).await;
            for _ in 0..before {
                client.expect(&[(200, "value")]).await;
            }
            client.expect(&[(200, "live"), (200, "value")]).await;
        }
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    with_edge(|rig| async move {
        let chunked = reserve("Transfer-Encoding: chunked\r\n", "");
        let chunked = format!("{chunked}{:x};a=b\r\n{BODY}\r\n0\r\nTrailer: x\r\n\r\n", BODY.len());
        let mut client = rig.connect().await;
        let by_length = reserve_by_length();
        let missing = (404, "sale_not_found");
        for (request, answer) in
            [(COUNT, (200, "value")), (LIVE, (200, "live")), (&by_length, missing), (&chunked, missing)]
        {
            for at in 0..request.len() {
                client.send_alone(&request[at..=at]).await;
            }
            client.expect(&[answer]).await;
        }
        for cut in 1..chunked.len() {
            client.send_alone(&chunked[..cut]).await;
            // The end of one request comes with the beginning of the next.
            client.send(&[&chunked[cut..], &COUNT[..cut.min(COUNT.len())]].concat()).await;
            client.expect(&[(404, "sale_not_found")]).await;
            client.send(&COUNT[cut.min(COUNT.len())..]).await;
            client.expect(&[(200, &format!("\"value\":{}}}", cut + 1))]).await;
        }
    });
}

#[test]
fn a_request_that_does_not_come_to_its_end_is_cut_off() {
    for (part, reason) in [
        (COUNT[..20].to_owned(), CutOff::Headers),
        (reserve_by_length().trim_end_matches('}').to_owned(), CutOff::Body),
        (format!("{LIVE}{}", &COUNT[..1]), CutOff::Headers),
        (LIVE.to_owned(), CutOff::Request),
    ] {
        with_edge(|rig| async move {
            let mut client = rig.connect().await;
            client.send_alone(&part).await;
            if part.starts_with(LIVE) {
                client.expect(&[(200, "live")]).await;
            }
            rig.thread.deadlines.tick(HOUR_MS - 1, false);
            yield_now().await;
            assert_eq!(rig.thread.deadlines.open_count(), 1, "{part}");
            rig.thread.deadlines.tick(HOUR_MS, false);
            client.expect_end().await;
            assert_eq!(rig.thread.counters.cut_off(reason).read(), 1, "{part}");
        });
    }
}

#[test]
fn leave_to_continue_is_given_once_and_in_its_turn() {
    with_edge(|rig| async move {
        let expecting = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", BODY.len());
        let mut client = rig.connect().await;
        for _ in 0..2 {
            client.send(&[COUNT, &reserve(&expecting, "")].concat()).await;
            client.expect(&[(200, "value")]).await;
            assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
            for at in 0..BODY.len() {
                client.send_alone(&BODY[at..=at]).await;
            }
            client.expect(&[(404, "sale_not_found")]).await;
        }
        // Whoever sent the body does not wait for leave; a client of HTTP/1.0 would not know what it is.
        client.send(&reserve(&expecting, BODY)).await;
        client.expect(&[(404, "sale_not_found")]).await;
        client.send_alone(&reserve(&expecting, "").replace("HTTP/1.1", "HTTP/1.0")).await;
        client.send(BODY).await;
        client.expect(&[(404, "sale_not_found")]).await;
        client.expect_end().await;
    });
}

#[test]
fn a_rejected_client_can_read_why() {
    with_edge(|rig| async move {
        let mut client = rig.ask(&[COUNT, LIVE, "GET / HTTP/1.1\r\nbad field\r\n\r\n", COUNT].concat()).await;
        client.expect(&[(200, "\"value\":1"), (200, "live")]).await;
        let rejected = client.answer().await;
        assert!(rejected.status == 400 && rejected.says("connection: close"), "{rejected:?}");
        client.expect_end().await;
        assert_eq!(rig.count().await, r#"{"counter":"a","value":2}"#, "nothing behind it was served");
        // What it goes on sending is read away, up to a bound.
        for _ in 0..7 {
            client.send_alone(&"x".repeat(HEAD_BYTES_MAX)).await;
        }
        assert_eq!(rig.thread.deadlines.open_count(), 1);
        let _ = client.socket.write_all(&vec![b'x'; 2 * HEAD_BYTES_MAX]).await;
        rig.until(|thread| thread.deadlines.open_count() == 0).await;
        assert_eq!(rig.thread.counters.rejected_count.read(), 1);
        // One that sends nothing more is waited for as long as for a body.
        let mut silent = rig.ask("GET / HTTP/1.1\r\nContent-Length: 99999\r\nHost: x\r\n\r\n").await;
        silent.expect(&[(413, "body_too_large")]).await;
        silent.expect_end().await;
        rig.thread.deadlines.tick(HOUR_MS, false);
        rig.until(|thread| thread.deadlines.open_count() == 0).await;
    });
}

#[test]
fn what_is_no_http_1_is_closed_without_a_word() {
    with_edge(|rig| async move {
        let mut client = rig.ask("HELO there friend\r\n\r\n").await;
        client.expect_end().await;
        assert_eq!(rig.thread.counters.rejected_count.read(), 1);
    });
}

#[test]
fn the_version_and_the_field_say_whether_the_connection_goes_on() {
    with_edge(|rig| async move {
        for target in ["/v1/counters/none", "/livez", "/nothing"] {
            for (version, field, said, goes_on) in [
                ("1.1", "", "", true),
                ("1.1", "Connection: keep-alive\r\n", "", true),
                ("1.1", "Connection: close\r\n", "connection: close", false),
                ("1.1", "Connection: keep-alive, Close\r\n", "connection: close", false),
                ("1.0", "", "connection: close", false),
                ("1.0", "Connection: Keep-Alive\r\n", "connection: keep-alive", true),
                ("1.0", "Connection: close\r\n", "connection: close", false),
            ] {
                let request = format!("GET {target} HTTP/{version}\r\nHost: x\r\n{field}\r\n");
                let mut client = rig.ask(&[&request, LIVE].concat()).await;
                let answer = client.answer().await;
                let line = answer.head.lines().find(|line| line.starts_with("connection: "));
                assert_eq!(line.unwrap_or_default(), said, "{request}");
                if goes_on {
                    client.expect(&[(200, "live")]).await;
                } else {
                    client.expect_end().await;
                }
            }
        }
    });
}

#[test]
fn nothing_behind_the_last_request_is_served() {
    with_edge(|rig| async move {
        let last = COUNT.replace("Host", "Connection: close\r\nHost");
        let mut client = rig.ask(&[COUNT, &last, COUNT].concat()).await;
        client.expect(&[(200, "\"value\":1"), (200, "\"value\":2")]).await;
        client.expect_end().await;
        assert_eq!(rig.count().await, r#"{"counter":"a","value":3}"#);
    });
}

#[test]
fn a_client_that_sends_no_more_still_gets_its_answers() {
    with_edge(|rig| async move {
        let mut client = rig.ask(&[COUNT, LIVE, COUNT].concat()).await;
        client.socket.shutdown().await.unwrap();
        client.expect(&[(200, "\"value\":1"), (200, "live"), (200, "\"value\":2")]).await;
        client.expect_end().await;
        rig.until(|thread| thread.deadlines.open_count() == 0).await;
    });
}

#[test]
fn while_the_server_stops_the_last_answer_alone_says_close() {
    let many = COUNT.repeat(PIPELINE_MAX + 6);
    let (hot, routed) = (COUNT.repeat(3), [COUNT, COUNT, LIVE].concat());
    for (requests, count) in [(COUNT, 1), (&hot, 3), (&routed, 3), (LIVE, 1), (&many, PIPELINE_MAX + 6)] {
        with_edge(|rig| async move {
            rig.thread.draining.set(true);
            let mut client = rig.ask(requests).await;
            for number in 1..=count {
                let answer = client.answer().await;
                let is_last = number == count;
                assert_eq!(answer.says("connection: close"), is_last, "{number} of {count}: {answer:?}");
                assert_eq!(answer.status, 200);
            }
            client.expect_end().await;
        });
    }
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    for request in [DOCUMENT.to_owned(), COUNT.repeat(PIPELINE_MAX)] {
        with_edge(|rig| async move {
            let (reading, mut writing) = rig.connect().await.socket.into_split();
            let asking = tokio::task::spawn_local(async move {
                while writing.write_all(request.as_bytes()).await.is_ok() {}
            });
            rig.until_stalled().await;
            rig.thread.deadlines.tick(HOUR_MS - 1, false);
            yield_now().await;
            assert_eq!(rig.thread.deadlines.open_count(), 1);
            rig.thread.deadlines.tick(HOUR_MS, false);
            rig.until(|thread| thread.deadlines.open_count() == 0).await;
            assert_eq!(rig.thread.counters.cut_off(CutOff::Write).read(), 1);
            assert_eq!(rig.thread.counters.unsent_bytes(), 0);
            asking.await.unwrap();
            drop(reading);
        });
    }
}

#[test]
fn a_client_that_takes_its_answers_late_gets_them_whole() {
    with_edge(|rig| async move {
        let count = 15 * PIPELINE_MAX;
        let mut client = rig.ask(&[&COUNT.repeat(count), DOCUMENT, LIVE].concat()).await;
        rig.until(|thread| thread.counters.unsent_bytes() > 0).await;
        for value in 1..=count {
            client.expect(&[(200, &format!("\"value\":{value}}}"))]).await;
        }
        client.expect(&[(200, "\"openapi\": \"3.1.0\""), (200, "live")]).await;
        assert_eq!(rig.thread.counters.unsent_bytes(), 0);
    });
}

#[test]
fn the_first_bytes_of_http_2_may_come_in_parts() {
    with_edge(|rig| async move {
        let preface = str::from_utf8(PREFACE).unwrap();
        let mut client = rig.connect().await;
        for at in 0..preface.len() {
            client.send_alone(&preface[at..=at]).await;
        }
        client.send("\0\0\0\x04\0\0\0\0\0").await;
        while client.read.len() < 9 {
            client.read_more().await;
        }
        assert_eq!(client.read[3], 4, "the first frame is SETTINGS");
        assert_eq!(rig.thread.counters.h2_count.read(), 1);
    });
}
