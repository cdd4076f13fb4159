//! Floods and slow clients: memory stays flat, slow connections are cut off, maxima are refusals, and everyone else goes on
//! being answered.

use anyhow::{Context as _, Result, anyhow, ensure};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::answers::value_of;
use crate::api::SaleSettings;
use crate::http::{Connection, request, request_json};
use crate::problem::check_problem;
use crate::server::Server;

/// How far resident memory may grow between the end of a warm-up and the end of the flood it warms up for. A flood that
/// leaves as little as 100 bytes per request behind exceeds it in the long profile.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// The server's maximum of counter names in this scenario.
const COUNTERS_MAX: u64 = 1_000;

/// The server's maximum of connections in this scenario.
const CONNECTIONS_MAX: usize = 3_000;

/// Slow connections of each kind.
const SLOW_COUNT: usize = 300;

/// Connections that ask for long answers and never read one.
const SILENT_READER_COUNT: usize = 20;

/// How long the server may take to be rid of connections that it should cut off after a second or two.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections of a flood.
const FLOOD_CONNECTION_COUNT: u64 = 8;

/// Requests of a flood in flight per connection.
const FLOOD_DEPTH: usize = 50;

const SETTINGS: &[(&str, &str)] = &[
    ("ONRUSH_SERVER__HEADER_TIMEOUT_MS", "1000"),
    ("ONRUSH_SERVER__BODY_TIMEOUT_MS", "1000"),
    ("ONRUSH_SERVER__IDLE_TIMEOUT_MS", "2000"),
    ("ONRUSH_SERVER__WRITE_TIMEOUT_MS", "1000"),
    ("ONRUSH_SERVER__CONNECTIONS_MAX", "3000"),
    ("ONRUSH_LIMITS__COUNTERS_MAX", "1000"),
    ("ONRUSH_LIMITS__WINDOWS_MAX", "100"),
];

/// Runs the scenario.
pub(crate) fn run(bench: &mut Bench) -> Result<String> {
    let launch = bench.launch()?.with(SETTINGS);
    let server = launch.start()?;
    let requests = if bench.short { 40_000 } else { 400_000 };
    let mut grown = Vec::new();
    fill_counters(&server).context("counter names")?;
    SaleSettings {
        sale: "gone",
        stocks: &[("unit", 1)],
        per_customer_max: None,
        hold_ttl_ms: 0,
        cooldown_ms: 0,
    }
    .put(server.operator())?;
    let names = (0..100).map(|number| format!("stock-{number}")).collect::<Vec<_>>();
    let stocks = names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>();
    SaleSettings { sale: "long", stocks: &stocks, per_customer_max: None, hold_ttl_ms: 0, cooldown_ms: 0 }
        .put(server.operator())?;
    let mut connection = Connection::open(server.public())?;
    connection.call(&reserve("gone", 0))?.expect::<serde_json::Value>(201)?;
    for flood in FLOODS {
        let started = Instant::now();
        let bytes = flood.run(&server, requests).context(flood.name)?;
        println!("    {}: {:.1} s", flood.name, started.elapsed().as_secs_f32());
        grown.push(format!("{} {} KiB", flood.name, bytes / 1024));
    }
    let before_slow = server.memory_bytes()?;
    let started = Instant::now();
    slow_clients(&server, bench.short).context("slow clients")?;
    println!("    slow clients: {:.1} s", started.elapsed().as_secs_f32());
    too_many_connections(&server).context("more connections than the maximum")?;
    let bytes = server.memory_bytes()?.saturating_sub(before_slow);
    ensure!(
        bytes <= 4 * GROWTH_BYTES_MAX,
        "after slow clients were cut off, memory had grown by {bytes} bytes"
    );
    grown.push(format!("slow clients {} KiB", bytes / 1024));
    let counter = Connection::open(server.public())?.call(&request("POST", "/v1/counters/n-0"))?;
    ensure!(counter.status == 200, "after everything an addition is {}", counter.status);
    server.stop(rustix::process::Signal::TERM)?;
    Ok(format!("{requests} requests per flood; memory grew: {}", grown.join(", ")))
}

/// A flood: what the numbered request is, and the status that each must get.
struct Flood {
    name: &'static str,
    request: fn(u64) -> Vec<u8>,
    status: u16,
}

const FLOODS: &[Flood] = &[
    Flood { name: "refusals", request: |number| reserve("gone", number), status: 409 },
    Flood {
        name: "unknown sales",
        request: |number| reserve(&format!("sale-{number}"), number),
        status: 404,
    },
    Flood {
        name: "unknown paths",
        request: |number| request("GET", &format!("/path-{number}?{number}")),
        status: 404,
    },
    Flood {
        name: "new counters beyond the maximum",
        request: |number| request("POST", &format!("/v1/counters/beyond-{number}")),
        status: 503,
    },
    Flood {
        name: "unknown customers",
        request: |number| request("GET", &format!("/v1/sales/gone/customers/c-{number}/reservations")),
        status: 200,
    },
    Flood { name: "additions to one counter", request: |_| request("POST", "/v1/counters/n-0"), status: 200 },
];

impl Flood {
    /// Warms up, floods, and returns by how many bytes memory has grown in between.
    fn run(&self, server: &Server, requests: u64) -> Result<u64> {
        let next = AtomicU64::new(1);
        self.send(server.public(), &next, requests / 2)?;
        let before = server.memory_bytes()?;
        self.send(server.public(), &next, requests)?;
        let grown = server.memory_bytes()?.saturating_sub(before);
        ensure!(
            grown <= GROWTH_BYTES_MAX,
            "memory grew from {before} by {grown} bytes over {requests} requests"
        );
        Ok(grown)
    }

    fn send(&self, public: SocketAddr, next: &AtomicU64, requests: u64) -> Result<()> {
        thread::scope(|scope| {
            let share = requests / FLOOD_CONNECTION_COUNT;
            let senders = (0..FLOOD_CONNECTION_COUNT)
                .map(|_| scope.spawn(move || self.send_share(public, next, share)))
                .collect::<Vec<_>>();
            senders
                .into_iter()
                .try_for_each(|sender| sender.join().map_err(|_| anyhow!("a sender panicked"))?)
        })
    }

    fn send_share(&self, public: SocketAddr, next: &AtomicU64, share: u64) -> Result<()> {
        let mut connection = Connection::open(public)?;
        for _ in 0..share / FLOOD_DEPTH as u64 {
            let requests = (0..FLOOD_DEPTH)
                .map(|_| (self.request)(next.fetch_add(1, Ordering::Relaxed)))
                .collect::<Vec<_>>();
            for answer in connection.pipeline(&requests, FLOOD_DEPTH)? {
                ensure!(answer.status == self.status, "answered {}: {}", answer.status, answer.text());
            }
        }
        Ok(())
    }
}

/// Fills the names up to the maximum: the next is a clear refusal, and those that exist still work.
fn fill_counters(server: &Server) -> Result<()> {
    let mut connection = Connection::open(server.public())?;
    let post = |name: &str| request("POST", &format!("/v1/counters/{name}"));
    for number in 0..COUNTERS_MAX {
        let answer = connection.call(&post(&format!("n-{number}")))?;
        ensure!(answer.status == 200, "counter {number} of {COUNTERS_MAX}: {}", answer.text());
    }
    let beyond = connection.call(&post("beyond"))?;
    ensure!(beyond.status == 503, "counter {COUNTERS_MAX} of {COUNTERS_MAX} was answered {}", beyond.status);
    check_problem(&beyond)?;
    let existing = connection.call(&post("n-7"))?;
    ensure!(value_of(&existing)? == 2, "an existing counter: {}", existing.text());
    let windows =
        (0..101).map(|number| request("POST", &format!("/v1/windows/w-{number}"))).collect::<Vec<_>>();
    let answers = connection.pipeline(&windows, 20)?;
    let beyond = answers.last().context("no answer")?;
    ensure!(beyond.status == 503, "window 101 of 100 was answered {}", beyond.status);
    check_problem(beyond).map(|_| ())
}

/// What a slow client has sent before it falls silent, or what it goes on sending for ever.
const SLOW_KINDS: &[(&str, &str)] = &[
    ("nothing", ""),
    ("half a request line", "GET /v1/sa"),
    ("half a head", "GET /v1/sales HTTP/1.1\r\nHost: onr"),
    (
        "half a body",
        "POST /v1/sales/gone/reservations HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{\"customer\"",
    ),
    (
        "half a chunk",
        "POST /v1/sales/gone/reservations HTTP/1.1\r\nHost: onrush\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n10\r\n{\"cust",
    ),
    ("half an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nS"),
    ("an HTTP/2 preface and nothing", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("one whole request", "GET /readyz HTTP/1.1\r\nHost: onrush\r\n\r\n"),
];

/// Hundreds of slow connections of every kind are cut off, while a healthy one is answered all the time.
fn slow_clients(server: &Server, short: bool) -> Result<()> {
    let idle_count = server.descriptor_count()?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let healthy = scope.spawn(|| stay_healthy(server.public(), &stop));
        let result = slow_rounds(server, idle_count, short);
        stop.store(true, Ordering::Relaxed);
        let answered = healthy.join().map_err(|_| anyhow!("the healthy client panicked"))?;
        result.and(answered.context("a healthy connection beside slow ones"))
    })
}

/// All kinds together, and in the long profile each by itself too.
fn slow_rounds(server: &Server, idle_count: usize, short: bool) -> Result<()> {
    let mut connections = Vec::new();
    for (name, sent) in SLOW_KINDS {
        connections.extend(open_many(server.public(), sent, SLOW_COUNT / 3).context(*name)?);
    }
    for mut connection in open_many(server.public(), "", SILENT_READER_COUNT)? {
        never_read(&mut connection)?;
        connections.push(connection);
    }
    let mut dribbling = open_many(server.public(), "GET /readyz HTTP/1.1\r\nX: ", SLOW_COUNT / 3)?;
    await_cut_off(server, idle_count, &mut dribbling).context("slow clients of every kind")?;
    drop(connections);
    for (name, sent) in SLOW_KINDS.iter().filter(|_| !short) {
        let connections = open_many(server.public(), sent, SLOW_COUNT).context(*name)?;
        await_cut_off(server, idle_count, &mut [])
            .with_context(|| format!("{SLOW_COUNT} clients that send {name}"))?;
        drop(connections);
    }
    Ok(())
}

fn open_many(public: SocketAddr, sent: &str, count: usize) -> Result<Vec<Connection>> {
    (0..count)
        .map(|_| {
            let mut connection = Connection::open(public)?;
            connection.send(sent.as_bytes())?;
            Ok(connection)
        })
        .collect()
}

/// Sends requests with long answers until the server stops taking them, which it must.
fn never_read(connection: &mut Connection) -> Result<()> {
    connection.set_timeout(Duration::from_millis(50))?;
    // Long enough that the buffers of both kernels cannot hold them all.
    let padding = "x".repeat(4_000);
    let request = format!("GET /v1/sales/long HTTP/1.1\r\nHost: onrush\r\nX: {padding}\r\n\r\n");
    let requests = request.repeat(20).into_bytes();
    let taken = (0..1_000).take_while(|_| connection.send(&requests).is_ok()).count();
    ensure!(taken < 1_000, "20,000 long requests were taken from a client that reads nothing");
    Ok(())
}

/// Waits until the server has about as many descriptors open as when idle. The dribbling connections send a byte of a header
/// now and then, which keeps none of them alive for longer than a header may take.
fn await_cut_off(server: &Server, idle_count: usize, dribbling: &mut [Connection]) -> Result<()> {
    let started = Instant::now();
    loop {
        let open_count = server.descriptor_count()?;
        // The healthy client and one connection being accepted or closed.
        if open_count <= idle_count + 2 {
            return Ok(());
        }
        ensure!(
            started.elapsed() < CUT_OFF_TIMEOUT,
            "{} connections are still open",
            open_count.saturating_sub(idle_count)
        );
        for connection in &mut *dribbling {
            // A connection that has been cut off refuses the byte, which is what is waited for.
            let _ = connection.send(b"x");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn stay_healthy(public: SocketAddr, stop: &AtomicBool) -> Result<()> {
    let mut connection = Connection::open(public)?;
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.call(&request("POST", "/v1/counters/n-1"))?;
        ensure!(answer.status == 200, "answered {}: {}", answer.status, answer.text());
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Beyond the maximum new connections are turned away, those that are there go on, and room is used again.
fn too_many_connections(server: &Server) -> Result<()> {
    let mut first = Connection::open(server.public())?;
    let before = first.call(&request("GET", "/readyz"))?;
    ensure!(before.status == 200, "readyz is {}", before.status);
    let crowd =
        (0..CONNECTIONS_MAX + 500).filter_map(|_| Connection::open(server.public()).ok()).collect::<Vec<_>>();
    let open_count = server.descriptor_count()?;
    ensure!(
        open_count <= CONNECTIONS_MAX + 200,
        "{open_count} descriptors are open where {CONNECTIONS_MAX} connections are the maximum"
    );
    let during = first.call(&request("GET", "/readyz"));
    ensure!(
        during.is_ok_and(|answer| answer.status == 200),
        "a connection made before the crowd came is not answered any more"
    );
    drop(crowd);
    let started = Instant::now();
    loop {
        let answer = Connection::open(server.public()).map(|mut new| new.call(&request("GET", "/readyz")));
        if matches!(answer, Ok(Ok(answer)) if answer.status == 200) {
            return Ok(());
        }
        ensure!(started.elapsed() < CUT_OFF_TIMEOUT, "when the crowd had left, no new connection was served");
        thread::sleep(Duration::from_millis(50));
    }
}

fn reserve(sale: &str, number: u64) -> Vec<u8> {
    let body = format!(r#"{{"customer":"c-{number}","lines":[{{"stock":"unit","quantity":1}}]}}"#);
    request_json("POST", &format!("/v1/sales/{sale}/reservations"), &[], &body)
}
