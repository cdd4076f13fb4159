//! What becomes of requests while the leader has left and nobody leads yet, over both protocols.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onrush_log::memory::MemoryLog;
use onrush_log::{
    BrokenOff, Log, LogReader, OpenError, Opened, Opening, SnapshotError, SnapshotReader, SnapshotWriter,
    StorageError, Visit, VisitError,
};
use onrush_node::{MachineClock, Partition, Retention, Settings};
use tokio::net::TcpStream;

use super::h1::connection_tests::{Rig, with_edge_over};

const COUNT: &str = "POST /v1/counters/a HTTP/1.1\r\nHost: x\r\n\r\n";
const LIST: &str = "GET /v1/sales HTTP/1.1\r\nHost: x\r\n\r\n";
const READY: &str = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";

/// A log that this process writes to when the test says so.
#[derive(Clone)]
struct Left {
    log: MemoryLog,
    is_vacant: Arc<AtomicBool>,
    is_ours: Arc<AtomicBool>,
}

impl Log for Left {
    fn open_visiting(
        &self,
        opening: Opening,
        visit: &mut Visit<'_>,
    ) -> Result<Opened, VisitError<OpenError, BrokenOff>> {
        while !self.is_ours.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        self.log.open_visiting(opening, visit)
    }

    fn has_rivals(&self) -> bool {
        true
    }

    fn is_vacant(&self) -> bool {
        self.is_vacant.load(Ordering::Relaxed)
    }

    fn reader(&self) -> Box<dyn LogReader> {
        self.log.reader()
    }

    fn snapshots(&self) -> Result<Vec<u64>, StorageError> {
        self.log.snapshots()
    }

    fn read_snapshot(&self, offset: u64) -> Result<Box<dyn SnapshotReader>, SnapshotError> {
        self.log.read_snapshot(offset)
    }

    fn write_snapshot(&self, offset: u64, time_ms: u64) -> Result<Box<dyn SnapshotWriter>, SnapshotError> {
        self.log.write_snapshot(offset, time_ms)
    }

    fn trim(&self, before: u64) -> Result<u64, StorageError> {
        self.log.trim(before)
    }
}

/// Runs a test over a log that nobody writes to.
fn with_left<F: Future<Output = ()>>(test: impl FnOnce(Rig, Left) -> F) {
    let left = Left {
        log: MemoryLog::new(0),
        is_vacant: Arc::new(AtomicBool::new(true)),
        is_ours: Arc::new(AtomicBool::new(false)),
    };
    let (log, clock) = (Arc::new(left.clone()), Arc::new(MachineClock));
    let partition = Partition::follow(log, Settings::default(), clock, Retention::default()).unwrap();
    with_edge_over(&partition, |rig| {
        let (left, ends) = (left.clone(), left);
        let run = test(rig, left);
        async move {
            run.await;
            ends.is_ours.store(true, Ordering::Relaxed);
        }
    });
}

/// Long enough for an answer that does not wait.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[test]
fn a_request_waits_until_this_node_leads() {
    with_left(|rig, left| async move {
        let mut pipelined = rig.ask(&format!("{COUNT}{COUNT}{LIST}{COUNT}")).await;
        let mut listed = rig.ask(LIST).await;
        // What is about the node is told at once.
        rig.ask(READY).await.expect(&[(503, "not_leader")]).await;
        a_while().await;
        assert!(!pipelined.has_bytes().await && !listed.has_bytes().await, "they wait");
        left.is_ours.store(true, Ordering::Relaxed);
        pipelined.expect(&[(200, "1"), (200, "2"), (200, "sales"), (200, "3")]).await;
        listed.expect(&[(200, "sales")]).await;
        // The connection goes on.
        pipelined.send(COUNT).await;
        pipelined.expect(&[(200, "4")]).await;
    });
}

#[test]
fn a_request_is_refused_when_another_node_leads() {
    with_left(|rig, left| async move {
        let mut counted = rig.ask(&format!("{COUNT}{COUNT}")).await;
        a_while().await;
        assert!(!counted.has_bytes().await, "it waits");
        left.is_vacant.store(false, Ordering::Relaxed);
        counted.expect(&[(503, "not_leader"), (503, "not_leader")]).await;
        rig.ask(LIST).await.expect(&[(503, "not_leader")]).await;
    });
}

#[test]
fn streams_of_http_2_wait_as_well() {
    with_left(|rig, left| async move {
        let socket = TcpStream::connect(rig.address).await.unwrap();
        let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::task::spawn_local(connection);
        let mut ask = |method: &str, path: &str| {
            let request = http::Request::builder().method(method).uri(format!("http://x{path}"));
            client.send_request(request.body(()).unwrap(), true).unwrap().0
        };
        // One is hot, the other is for the router.
        let waiting = [ask("POST", "/v1/counters/a"), ask("GET", "/v1/sales")].map(tokio::task::spawn_local);
        assert_eq!(
            ask("GET", "/readyz").await.unwrap().status(),
            503,
            "what is about the node is told at once"
        );
        a_while().await;
        assert!(waiting.iter().all(|answer| !answer.is_finished()), "they wait");
        left.is_ours.store(true, Ordering::Relaxed);
        for answer in waiting {
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
    });
}
