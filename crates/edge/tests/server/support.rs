//! A server over a partition on a log in memory, and clients that send exactly what they are told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
pub(crate) use onrush_edge::Settings;
use onrush_edge::{CatalogSettings, Components, GateSettings, Scenarios, Server};
use onrush_log::memory::MemoryLog;
use onrush_node::{MachineClock, Partition, Partitions, Retention};
use socket2::{Domain, Socket, Type};

/// How long a client waits for what must come.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Asks for what [`Rig::put_long_sale`] made.
pub(crate) const LONG_REQUEST: &[u8] = b"GET /v1/sales?limit=100 HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server on ports of its own.
pub(crate) struct Rig {
    server: Option<Server>,
    partition: Arc<Partition>,
    log: MemoryLog,
}

/// Settings with which nothing is cut off before a test is over.
pub(crate) fn settings() -> Settings {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let hour = Duration::from_hours(1);
    Settings {
        listen: any_port,
        operator_listen: any_port,
        operator_key: None,
        threads: 1,
        connections_max: 100,
        header_timeout: hour,
        body_timeout: hour,
        idle_timeout: hour,
        write_timeout: hour,
        unsent_bytes_max: usize::MAX,
        drain_timeout: hour,
        scenarios: Scenarios::ALL,
        gate: GateSettings::default(),
        catalog: CatalogSettings::default(),
    }
}

impl Rig {
    pub(crate) fn start(settings: Settings) -> Self {
        Self::start_on(MemoryLog::new(0), settings)
    }

    /// With parts beside the partition.
    pub(crate) fn start_with(settings: Settings, components: Components) -> Self {
        Self::start_with_all(MemoryLog::new(0), settings, components)
    }

    /// Over what another server left in a log.
    pub(crate) fn start_on(log: MemoryLog, settings: Settings) -> Self {
        Self::start_with_all(log, settings, Components::default())
    }

    /// The same with parts beside the partition.
    pub(crate) fn start_again(log: MemoryLog, settings: Settings, components: Components) -> Self {
        Self::start_with_all(log, settings, components)
    }

    fn start_with_all(log: MemoryLog, settings: Settings, components: Components) -> Self {
        let partition = open(&log);
        let partitions = Arc::new(Partitions::one(Arc::clone(&partition)));
        let server = Server::start(settings, &partitions, components).expect("a server");
        Self { server: Some(server), partition, log }
    }

    /// Stops, and leaves the log as it is.
    pub(crate) fn leave(self) -> MemoryLog {
        self.log.clone()
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("a server that runs")
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.server().address()
    }

    pub(crate) fn operator(&self) -> SocketAddr {
        self.server().operator_address()
    }

    /// A figure of the operator's page; `name` with its labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = Http1::connect(self.operator()).call(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let page = page.expect("figures").body;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing")).parse().expect("a number")
    }

    /// Waits until `is_so`.
    #[allow(clippy::disallowed_methods, reason = "a test that waits in vain ends")]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < ANSWER_TIMEOUT, "never: {what}");
            std::thread::yield_now();
        }
    }

    /// Calls that were handed to the partition and are not answered.
    pub(crate) fn waiting_count(&self) -> u64 {
        self.partition.metrics().waiting_count
    }

    /// Stops the server, which must come to an end though clients do nothing.
    pub(crate) fn stop(mut self) {
        self.begin_to_stop().recv_timeout(ANSWER_TIMEOUT).expect("a server that stops");
    }

    /// Begins to stop the server. What is returned tells the end of it.
    pub(crate) fn begin_to_stop(&mut self) -> Receiver<()> {
        let server = self.server.take().expect("a server that runs");
        let (tell, told) = sync_channel(1);
        std::thread::spawn(move || {
            server.drain();
            let _ = tell.send(());
        });
        told
    }

    /// Creates a sale of one stock, `unit`.
    pub(crate) fn put_sale(&self, sale: &str) {
        self.put(sale, r#"{"stocks":[{"stock":"unit","quantity_total":100}]}"#);
    }

    /// Creates a sale that is as long as sales can be, and returns the list of it.
    pub(crate) fn put_long_sale(&self) -> Answer {
        let title = "\\\"".repeat(256);
        let stock = |number| format!(r#"{{"stock":"{number:064}","title":"{title}","quantity_total":1}}"#);
        let stocks = (0..1_000).map(stock).collect::<Vec<_>>().join(",");
        self.put("long", &format!(r#"{{"stocks":[{stocks}]}}"#));
        let list = Http1::connect(self.public()).call(LONG_REQUEST).expect("a list");
        assert!(list.body.len() > 1 << 19, "{} bytes", list.body.len());
        list
    }

    fn put(&self, sale: &str, body: &str) {
        let answer = call_json(self.operator(), "PUT", &format!("/v1/sales/{sale}"), "", body);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

fn open(log: &MemoryLog) -> Arc<Partition> {
    let (shared, of_node) = (Arc::new(log.clone()), onrush_node::Settings::default());
    let opened = Partition::open(shared, of_node, Arc::new(MachineClock), Retention::default());
    opened.expect("a partition").0
}

/// Why no server starts with these settings.
pub(crate) fn why_not_started(settings: Settings) -> io::Error {
    let partition = open(&MemoryLog::new(0));
    let partitions = Arc::new(Partitions::one(Arc::clone(&partition)));
    let error = Server::start(settings, &partitions, Components::default()).err().expect("no server");
    partition.close();
    error
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.drain();
        }
        self.partition.close();
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case, without those that differ each time or belong to one protocol.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn new(status: u16, mut fields: Vec<(String, String)>, body: &[u8]) -> Self {
        const OWN: [&str; 4] = ["date", "x-request-id", "connection", "content-length"];
        fields.retain(|(name, _)| !OWN.contains(&name.as_str()));
        fields.sort();
        Self { status, fields, body: String::from_utf8_lossy(body).into_owned() }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request with a body that is JSON over HTTP/1.1; `fields` are whole lines, each with its end.
pub(crate) fn call_json(address: SocketAddr, method: &str, target: &str, fields: &str, body: &str) -> Answer {
    call_with(address, method, target, &format!("{fields}Content-Type: application/json\r\n"), body)
}

/// The same with a body of whatever media type the fields say.
pub(crate) fn call_with(address: SocketAddr, method: &str, target: &str, fields: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    );
    Http1::connect(address).call(request.as_bytes()).expect("an answer")
}

/// A connection of HTTP/1.1 that sends whatever bytes it is given.
pub(crate) struct Http1 {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Http1 {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time limit");
        Self { stream, received: Vec::new() }
    }

    /// A connection into which the system takes little before somebody reads.
    pub(crate) fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4 << 10).expect("a small buffer");
        socket.connect(&address.into()).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time limit");
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("a server that reads");
    }

    /// The same, and whether it could be sent.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Reads and forgets until the server closes the connection.
    pub(crate) fn wait_for_close(&mut self) {
        while self.read() {
            self.received.clear();
        }
    }

    /// Sends a request and reads one answer; nothing if the connection ended before it began.
    pub(crate) fn call(&mut self, bytes: &[u8]) -> Option<Answer> {
        self.send(bytes);
        self.receive(bytes.starts_with(b"HEAD "))
    }

    pub(crate) fn receive(&mut self, without_body: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read() {
                assert!(self.received.is_empty(), "half an answer");
                return None;
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("text");
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().expect("a status line");
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let fields: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").expect("a field"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length =
            length.filter(|_| !without_body).map_or(0, |(_, length)| length.parse().expect("a length"));
        while self.received.len() < length {
            assert!(self.read(), "half a body");
        }
        let body: Vec<u8> = self.received.drain(..length).collect();
        Some(Answer::new(status, fields, &body))
    }

    /// Whether the server closed the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.read()
    }

    /// Reads more; false at the end.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4 << 10];
        match self.stream.read(&mut chunk) {
            Ok(length) => {
                self.received.extend_from_slice(&chunk[..length]);
                length > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends one request over HTTP/2 on a connection of its own.
pub(crate) fn call_http2(address: SocketAddr, request: http::Request<()>, body: &[u8]) -> Answer {
    let body = Bytes::copy_from_slice(body);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let exchange = async move {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.expect("a stream");
        let (response, mut sending) = client.send_request(request, body.is_empty()).expect("a request");
        if !body.is_empty() {
            sending.send_data(body, true).expect("a body that is taken");
        }
        let (parts, mut incoming) = response.await.expect("an answer").into_parts();
        let mut body = Vec::new();
        while let Some(bytes) = incoming.data().await {
            let bytes = bytes.expect("a body");
            incoming.flow_control().release_capacity(bytes.len()).expect("capacity");
            body.extend_from_slice(&bytes);
        }
        connection.abort();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields = parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Answer::new(parts.status.as_u16(), fields, &body)
    };
    runtime
        .block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.expect("an answer in time") })
}
